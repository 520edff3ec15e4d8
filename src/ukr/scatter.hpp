// SPDX-License-Identifier: BSD-3-Clause
// conv on scattered columns: sums in L1, units as those of columns.
//
// A unit costs two loads, an FMA and a store; stores bound it. The taps of a row of the kernel follow one another, so
// that a winner whose windows all lie inside of the output is one run of units.
#pragma once

#include "kernels/scatter.hpp"
#include "ukr/columns.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T, int B, int Count>
CS_INLINE void scatter_units(const std::int32_t* targets, const T* values, typename Unit<T, B>::V activation, T* sums) {
    Unit<T, B> unit[Count];
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u) unit[u].add(values + u * B, activation, sums + targets[u]);
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u) unit[u].put(sums + targets[u]);
}

template <class T, int B>
void scatter(const ScatterArgs& given) {
    using V = typename Unit<T, B>::V;
    constexpr int at_once = 4;
    const ScatterArgs args = given;  // a copy stays in registers; the original might change with every store
    const T* const values = static_cast<const T*>(args.values);
    const T* const activations = static_cast<const T*>(args.activations);
    T* const sums = static_cast<T*>(args.sums);
    const bool whole = args.first_row == 0 && args.last_row == args.kernel_rows && args.first_col == 0 &&
                       args.last_col == args.kernel_cols;
    const std::int64_t taps = args.kernel_rows * args.kernel_cols;
    const std::int64_t n_runs = whole ? 1 : args.last_row - args.first_row, run_step = args.kernel_cols;
    const std::int64_t first = args.first_row * args.kernel_cols + args.first_col;
    const std::int64_t run_taps = whole ? taps : args.last_col - args.first_col;
    for (std::int64_t i = 0; i < args.n_winners; ++i) {
        const std::uint32_t* start = args.starts + args.channels[i] * taps + first;
        const V activation = broadcast<V>(activations[i]);
        for (std::int64_t run = 0; run < n_runs; ++run, start += run_step) {
            std::size_t unit = start[0];
            const std::size_t last = start[run_taps];
            // Units of one tap have places of their own, and so have taps.
            for (; unit + at_once <= last; unit += at_once)
                scatter_units<T, B, at_once>(args.targets + unit, values + unit * B, activation, sums);
            for (; unit < last; ++unit)
                scatter_units<T, B, 1>(args.targets + unit, values + unit * B, activation, sums);
        }
    }
}

template <class T, int B>
inline constexpr ScatterRow scatter_row{uniform(type_of<T>), B, scatter<T, B>};

static constexpr ScatterRow scatter_of_every_level[] = {
    scatter_row<float, 1>,  scatter_row<float, 4>,        scatter_row<float, 8>,
    scatter_row<float, 16>, scatter_row<double, 1>,       scatter_row<double, 4>,
    scatter_row<double, 8>, scatter_row<std::int64_t, 1>, scatter_row<std::int32_t, 1>,
};
template <>
struct EveryLevel<ScatterRow> {
    static constexpr Rows<ScatterRow> rows = table_rows(scatter_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
