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

// Whether a register of 32-bit lanes multiplies 16-bit halves faster than lanes: of a weight that was widened from 8
// bits and an activation whose upper half is 0, the products of the halves add up to that of the lanes.
template <class V>
constexpr bool multiplies_halves() {
#if defined(__AVX512BW__)
    return !std::is_arithmetic_v<V> && sizeof(V) >= 16;
#elif defined(__AVX2__)
    return !std::is_arithmetic_v<V> && sizeof(V) >= 16 && sizeof(V) <= 32;
#else
    return false;
#endif
}
template <class V>
inline constexpr bool in_halves = multiplies_halves<V>();

// As many signed bytes as there are lanes, of which the first B exist. Intrinsics, because GCC 12 converts by unpacking
// halves of halves, which took four times as long as the whole product of floats.
template <class V, int B>
CS_INLINE V widen_bytes(const std::int8_t* from) {
    constexpr int lanes = static_cast<int>(sizeof(V) / sizeof(std::int32_t)), n = B < lanes ? B : lanes;
#ifdef __AVX512F__
    if constexpr (lanes == 16) return (V)_mm512_maskz_cvtepi8_epi32(0xffff, load<__m128i>(from));
#endif
#ifdef __AVX2__
    std::int64_t bytes = 0;
    std::memcpy(&bytes, from, n < 8 ? n : 8);
    if constexpr (lanes == 8) return (V)_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytes));
    if constexpr (lanes == 4) return (V)_mm_cvtepi8_epi32(_mm_cvtsi64_si128(bytes));
#endif
    V value{};
    for (int lane = 0; lane < n; ++lane) value[lane] = from[lane];
    return value;
}

#ifdef __AVX2__
template <class V>
CS_INLINE V add_halves(V value, V activation, V sum) {
#ifdef __AVX512VNNI__
    if constexpr (sizeof(V) == 64) return (V)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)value, (__m512i)activation);
    if constexpr (sizeof(V) == 32) return (V)_mm256_dpwssd_epi32((__m256i)sum, (__m256i)value, (__m256i)activation);
    if constexpr (sizeof(V) == 16) return (V)_mm_dpwssd_epi32((__m128i)sum, (__m128i)value, (__m128i)activation);
#elif defined(__AVXVNNI__)
    if constexpr (sizeof(V) == 32) return (V)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)value, (__m256i)activation);
    if constexpr (sizeof(V) == 16) return (V)_mm_dpwssd_avx_epi32((__m128i)sum, (__m128i)value, (__m128i)activation);
#else
#ifdef __AVX512BW__
    if constexpr (sizeof(V) == 64) return sum + (V)_mm512_madd_epi16((__m512i)value, (__m512i)activation);
#endif
    if constexpr (sizeof(V) == 32) return sum + (V)_mm256_madd_epi16((__m256i)value, (__m256i)activation);
    if constexpr (sizeof(V) == 16) return sum + (V)_mm_madd_epi16((__m128i)value, (__m128i)activation);
#endif
}
#else  // not called
template <class V>
V add_halves(V, V, V);
#endif

// How B values of W pass through registers as sums of T: a few in part of one, many in several.
template <class W, class T, int B>
struct Unit {
    static constexpr int least = B > 1 ? 16 / static_cast<int>(sizeof(T)) : 1;  // lanes of the narrowest register
    static constexpr int lanes = B < least ? least : B < native<T> ? B : native<T>;
    static constexpr int parts = B < lanes ? 1 : B / lanes;
    static constexpr std::size_t bytes = sizeof(T) * (B < lanes ? B : lanes);  // of a part
    using V = vec<T, lanes>;

    V part[parts];

    static CS_INLINE V multiply_add(V value, V activation, V sum) {
        if constexpr (!std::is_same_v<W, T> && in_halves<V>) return add_halves(value, activation, sum);
        return fma(value, activation, sum);
    }

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

    // Narrow weights, widened.
    static CS_INLINE V load_values(const W* from) {
        if constexpr (std::is_same_v<W, T>) {
            return load_part(from);
        } else if constexpr (B == 1) {
            return *from;
        } else {
            return widen_bytes<V, B>(from);
        }
    }

    // An activation in every lane, as multiply_add() wants it.
    template <class X>
    static CS_INLINE V spread(X activation) {
        if constexpr (std::is_same_v<X, T> || !in_halves<V>)
            return broadcast<V>(static_cast<T>(activation));
        else
            return broadcast<V>(static_cast<T>(static_cast<std::uint16_t>(activation)));
    }

    CS_INLINE void add(const W* values, V activation, const T* sums) {
#pragma GCC unroll 8
        for (int p = 0; p < parts; ++p)
            part[p] = multiply_add(load_values(values + p * lanes), activation, load_part(sums + p * lanes));
    }

    CS_INLINE void put(T* sums) const {
#pragma GCC unroll 8
        for (int p = 0; p < parts; ++p) std::memcpy(sums + p * lanes, &part[p], bytes);
    }
};

// `Count` units of one column.
template <class W, class T, int B, int Count>
CS_INLINE void add_units(const std::uint16_t* targets, const W* values, typename Unit<W, T, B>::V activation, T* sums) {
    constexpr std::size_t scale = target_unit(B * static_cast<int>(sizeof(T)));  // targets are places among the sums
    Unit<W, T, B> unit[Count];
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

template <class W, int B>
CS_INLINE void prefetch_column(const ColumnsArgs& args, std::int32_t column) {
    constexpr std::size_t line = 64;
    const std::size_t first = args.starts[column], last = args.starts[column + 1];
    const auto* const values = static_cast<const char*>(args.values);
    for (std::size_t at = first * B * sizeof(W); at < last * B * sizeof(W); at += line) __builtin_prefetch(values + at);
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

template <class P, int B>
void columns(const ColumnsArgs& given) {
    using W = typename P::W;
    using X = typename P::X;
    using T = typename P::Y;
    constexpr int at_once = columns_unroll;
    constexpr std::int64_t ahead = 6;  // winners between a prefetch and its use
    const ColumnsArgs args = given;    // a copy stays in registers; the original might change with every store
    const W* const values = static_cast<const W*>(args.values);
    const X* const activations = static_cast<const X*>(args.activations);
    T* const sums = static_cast<T*>(args.sums);
    const std::int64_t n_sums = (args.n_rows + B - 1) / B * B;
    std::int64_t cleared = 0;
    for (; cleared + native<T> <= n_sums; cleared += native<T>) store(sums + cleared, vec<T, native<T>>{});
    for (; cleared < n_sums; ++cleared) sums[cleared] = T{};
    for (std::int64_t i = 0; i < args.n_winners; ++i) {
        if (args.prefetch && i + ahead < args.n_winners) prefetch_column<W, B>(args, args.winners[i + ahead]);
        const std::int32_t column = args.winners[i];
        std::size_t unit = args.starts[column];
        const std::size_t last = args.starts[column + 1];
        const auto activation = Unit<W, T, B>::spread(activations[i]);
        for (; unit + at_once <= last; unit += at_once)
            add_units<W, T, B, at_once>(args.targets + unit, values + unit * B, activation, sums);
        for (; unit < last; ++unit) add_units<W, T, B, 1>(args.targets + unit, values + unit * B, activation, sums);
    }
    T* const y = static_cast<T*>(args.y);
    if (y != sums || !args.finish.changes_nothing()) finish_sums(sums, y, args.n_rows, Finish<T>::of(args.finish));
}

template <class P, int B>
inline constexpr ColumnsRow columns_of_product{P::types, B, columns<P, B>};
template <class T, int B>
inline constexpr ColumnsRow columns_row = columns_of_product<Product<T, T, T>, B>;
template <class X, int B>
inline constexpr ColumnsRow byte_columns_row = columns_of_product<Product<std::int8_t, X, std::int32_t>, B>;

static constexpr ColumnsRow columns_of_every_level[] = {
    columns_row<float, 1>,
    columns_row<float, 2>,
    columns_row<float, 4>,
    columns_row<float, 8>,
    columns_row<float, 16>,
    columns_row<double, 1>,
    columns_row<double, 2>,
    columns_row<double, 4>,
    columns_row<double, 8>,
    columns_row<double, 16>,
    columns_row<std::int64_t, 1>,
    columns_row<std::int64_t, 2>,
    columns_row<std::int64_t, 4>,
    columns_row<std::int64_t, 8>,
    columns_row<std::int64_t, 16>,
    columns_row<std::int32_t, 1>,
    columns_row<std::int32_t, 2>,
    columns_row<std::int32_t, 4>,
    columns_row<std::int32_t, 8>,
    columns_row<std::int32_t, 16>,
    byte_columns_row<std::uint8_t, 1>,
    byte_columns_row<std::uint8_t, 2>,
    byte_columns_row<std::uint8_t, 4>,
    byte_columns_row<std::uint8_t, 8>,
    byte_columns_row<std::uint8_t, 16>,
    byte_columns_row<std::int8_t, 1>,
    byte_columns_row<std::int8_t, 2>,
    byte_columns_row<std::int8_t, 4>,
    byte_columns_row<std::int8_t, 8>,
    byte_columns_row<std::int8_t, 16>,
};
// Those that profit from instructions for 8-bit numbers.
static constexpr ColumnsRow columns_of_bytes[] = {
    byte_columns_row<std::uint8_t, 1>, byte_columns_row<std::uint8_t, 2>,  byte_columns_row<std::uint8_t, 4>,
    byte_columns_row<std::uint8_t, 8>, byte_columns_row<std::uint8_t, 16>, byte_columns_row<std::int8_t, 1>,
    byte_columns_row<std::int8_t, 2>,  byte_columns_row<std::int8_t, 4>,   byte_columns_row<std::int8_t, 8>,
    byte_columns_row<std::int8_t, 16>};
template <>
struct EveryLevel<ColumnsRow> {
    static constexpr Rows<ColumnsRow> rows = table_rows(columns_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
