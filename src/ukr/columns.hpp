// SPDX-License-Identifier: BSD-3-Clause
// columns: the sum of a few scaled columns, in accumulators that stay in L1.
//
// A unit costs two loads, an FMA and a store whatever its height, so its values fill as much of a register as the
// pattern's blocks allow. Every micro-operation counts: targets are distances in memory. Four units are loaded before
// any is stored: their targets differ, and a load that waits for an older store with the same low address bits (sums of
// a thousand rows have them all) would hold up the others. One unit at a time took up to twice as long. Scatters and
// masked registers lost too (docs/developer/performance/columns.md).
#pragma once

#include <cstddef>

#include "kernels/columns.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// How B values of T pass through registers: a few in part of one, many in several.
template <class T, int B>
struct Unit {
    static constexpr int least = B > 1 ? 16 / static_cast<int>(sizeof(T)) : 1;  // lanes of the narrowest register
    static constexpr int lanes = B < least ? least : B < native<T> ? B : native<T>;
    static constexpr int parts = B < lanes ? 1 : B / lanes;
    static constexpr std::size_t bytes = sizeof(T) * (B < lanes ? B : lanes);  // of a part
    using V = vec<T, lanes>;

    V part[parts];

    // Half a register goes through a scalar: GCC 12 copies eight bytes into a cleared vector by way of the stack, where
    // the load of the whole vector waits for them. That took 18 times as long.
    static CS_INLINE V load_part(const T* from) {
        if constexpr (bytes == 8 && sizeof(V) == 16) {
            vec<std::int64_t, 2> bits{};
            bits[0] = load<std::int64_t>(from);
            return (V)bits;
        } else {
            V value{};
            std::memcpy(&value, from, bytes);
            return value;
        }
    }

    CS_INLINE void add(const T* values, V activation, const T* sums) {
#pragma GCC unroll 8
        for (int p = 0; p < parts; ++p) {
            part[p] = fma(load_part(values + p * lanes), activation, load_part(sums + p * lanes));
        }
    }

    CS_INLINE void put(T* sums) const {
#pragma GCC unroll 8
        for (int p = 0; p < parts; ++p) std::memcpy(sums + p * lanes, &part[p], bytes);
    }
};

// `Count` units of one column.
template <class T, int B, int Count>
CS_INLINE void add_units(const std::uint16_t* targets, const T* values, typename Unit<T, B>::V activation, T* sums) {
    constexpr std::size_t scale = target_unit(B * static_cast<int>(sizeof(T)));
    Unit<T, B> unit[Count];
    std::size_t to[Count];
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u) to[u] = targets[u];
    auto* const bytes = reinterpret_cast<char*>(sums);
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u)
        unit[u].add(values + u * B, activation, reinterpret_cast<const T*>(bytes + to[u] * scale));
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u) unit[u].put(reinterpret_cast<T*>(bytes + to[u] * scale));
}

template <class T, int B>
CS_INLINE void prefetch_column(const ColumnsArgs& args, std::int32_t column) {
    constexpr std::size_t line = 64;
    const std::size_t first = args.starts[column], last = args.starts[column + 1];
    const auto* const values = static_cast<const char*>(args.values);
    for (std::size_t at = first * B * sizeof(T); at < last * B * sizeof(T); at += line) __builtin_prefetch(values + at);
    const auto* const targets = reinterpret_cast<const char*>(args.targets);
    for (std::size_t at = first * sizeof(*args.targets); at < last * sizeof(*args.targets); at += line)
        __builtin_prefetch(targets + at);
}

// to[i] = activation(from[i] + bias[i])
template <class T>
__attribute__((noinline)) void finish_sums(const T* from, T* to, std::int64_t n, Finish<T> finish) {
    using V = vec<T, native<T>>;
    std::int64_t i = 0;
    for (; i + native<T> <= n; i += native<T>) store(to + i, finish.rows(load<V>(from + i), i));
    for (; i < n; ++i) to[i] = finish.rows(from[i], i);
}

template <class T, int B>
void columns(const ColumnsArgs& given) {
    using V = typename Unit<T, B>::V;
    constexpr int at_once = columns_unroll;
    constexpr std::int64_t ahead = 6;  // winners between a prefetch and its use
    const ColumnsArgs args = given;    // a copy stays in registers; the original might change with every store
    const T* const values = static_cast<const T*>(args.values);
    const T* const activations = static_cast<const T*>(args.activations);
    T* const sums = static_cast<T*>(args.sums);
    const std::int64_t n_sums = (args.n_rows + B - 1) / B * B;
    std::int64_t cleared = 0;
    for (; cleared + native<T> <= n_sums; cleared += native<T>) store(sums + cleared, vec<T, native<T>>{});
    for (; cleared < n_sums; ++cleared) sums[cleared] = T{};
    for (std::int64_t i = 0; i < args.n_winners; ++i) {
        if (args.prefetch && i + ahead < args.n_winners) prefetch_column<T, B>(args, args.winners[i + ahead]);
        const std::int32_t column = args.winners[i];
        std::size_t unit = args.starts[column];
        const std::size_t last = args.starts[column + 1];
        const V activation = broadcast<V>(activations[i]);
        for (; unit + at_once <= last; unit += at_once)
            add_units<T, B, at_once>(args.targets + unit, values + unit * B, activation, sums);
        for (; unit < last; ++unit) add_units<T, B, 1>(args.targets + unit, values + unit * B, activation, sums);
    }
    T* const y = static_cast<T*>(args.y);
    if (y != sums || !args.finish.changes_nothing()) finish_sums(sums, y, args.n_rows, Finish<T>::of(args.finish));
}

template <class T, int B>
inline constexpr ColumnsRow columns_row{uniform(type_of<T>), B, columns<T, B>};

static constexpr ColumnsRow columns_of_every_level[] = {
    columns_row<float, 1>,        columns_row<float, 2>,         columns_row<float, 4>,
    columns_row<float, 8>,        columns_row<float, 16>,        columns_row<double, 1>,
    columns_row<double, 2>,       columns_row<double, 4>,        columns_row<double, 8>,
    columns_row<double, 16>,      columns_row<std::int64_t, 1>,  columns_row<std::int64_t, 2>,
    columns_row<std::int64_t, 4>, columns_row<std::int64_t, 8>,  columns_row<std::int64_t, 16>,
    columns_row<std::int32_t, 1>, columns_row<std::int32_t, 2>,  columns_row<std::int32_t, 4>,
    columns_row<std::int32_t, 8>, columns_row<std::int32_t, 16>,
};
template <>
struct EveryLevel<ColumnsRow> {
    static constexpr Rows<ColumnsRow> rows = table_rows(columns_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
