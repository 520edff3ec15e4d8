// SPDX-License-Identifier: BSD-3-Clause
// conv on scattered columns: sums in L1, units as those of columns.
//
// A unit costs three loads, an FMA and a store. What costs as much are loops whose length changes from one window to
// the next: a misprediction for each. Where every tap owns as many units, the length of a run depends on the window's
// width alone, and a loop that knows its last few units serves all winners of a pixel.
#pragma once

#include "kernels/scatter.hpp"
#include "ukr/columns.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

inline constexpr int scatter_unroll = 8;

// `Count` units, one after another: those of one winner have places of their own, which processors find out.
template <class T, int B, int Count>
CS_INLINE void scatter_units(const std::int32_t* targets, const T* values, typename Unit<T, T, B>::V activation,
                             T* sums) {
#pragma GCC unroll 8
    for (int u = 0; u < Count; ++u) {
        Unit<T, T, B> unit;
        unit.add(values + u * B, activation, sums + targets[u]);
        unit.put(sums + targets[u]);
    }
}

// The winners of one pixel.
template <class T>
struct PixelWinners {
    const std::int32_t* channels;
    const T* activations;
    std::int64_t n, first_tap, taps;  // of a row of the kernel, from the first row on that counts
    T* sums;
};

// Runs of as many units each: a multiple of scatter_unroll, and Rest.
template <class T, int B, int Rest>
void scatter_equal(const ScatterArgs& args, const PixelWinners<T>& of) {
    const PixelWinners<T> pixel = of;  // a copy stays in registers; the original might change with every store
    const std::int64_t n_runs = args.rows.count, n_more = pixel.taps * args.each / scatter_unroll;
    const std::int64_t run_step = args.kernel_cols * args.each, channel_step = args.kernel_rows * run_step;
    const std::int32_t* const targets = args.targets + pixel.first_tap * args.each;
    const T* const all_values = static_cast<const T*>(args.values) + pixel.first_tap * args.each * B;
    for (std::int64_t i = 0; i < pixel.n; ++i) {
        const std::int64_t unit = pixel.channels[i] * channel_step;
        const std::int32_t* run = targets + unit;
        const T* values = all_values + unit * B;
        const auto activation = broadcast<typename Unit<T, T, B>::V>(pixel.activations[i]);
#pragma GCC unroll 1
        for (std::int64_t left = n_runs; left > 0; --left, run += run_step, values += run_step * B) {
            const std::int32_t* at = run;
            const T* value = values;
            for (std::int64_t more = n_more; more > 0; --more, at += scatter_unroll, value += scatter_unroll * B)
                scatter_units<T, B, scatter_unroll>(at, value, activation, pixel.sums);
            scatter_units<T, B, Rest>(at, value, activation, pixel.sums);
        }
    }
}

// Runs as `starts` has them.
template <class T, int B>
void scatter_ragged(const ScatterArgs& args, const PixelWinners<T>& of) {
    constexpr int at_once = 4;
    const PixelWinners<T> pixel = of;
    const std::int32_t* const targets = args.targets;
    const T* const values = static_cast<const T*>(args.values);
    const std::int64_t kernel_cols = args.kernel_cols, taps = args.kernel_rows * kernel_cols;
    // The taps of a row of the kernel follow one another: whole rows are one run.
    const bool whole = pixel.taps == kernel_cols;
    const std::int64_t n_runs = whole ? 1 : args.rows.count,
                       run_taps = whole ? args.rows.count * kernel_cols : pixel.taps;
    for (std::int64_t i = 0; i < pixel.n; ++i) {
        const std::uint32_t* start = args.starts + pixel.channels[i] * taps + pixel.first_tap;
        const auto activation = broadcast<typename Unit<T, T, B>::V>(pixel.activations[i]);
        for (std::int64_t run = 0; run < n_runs; ++run, start += kernel_cols) {
            std::size_t unit = start[0];
            const std::size_t last = start[run_taps];
            for (; unit + at_once <= last; unit += at_once)
                scatter_units<T, B, at_once>(targets + unit, values + unit * B, activation, pixel.sums);
            for (; unit < last; ++unit)
                scatter_units<T, B, 1>(targets + unit, values + unit * B, activation, pixel.sums);
        }
    }
}

template <class T, int B>
void scatter(const ScatterArgs& given) {
    using OnPixel = void (*)(const ScatterArgs&, const PixelWinners<T>&);
    static constexpr OnPixel by_rest[scatter_unroll] = {
        scatter_equal<T, B, 0>, scatter_equal<T, B, 1>, scatter_equal<T, B, 2>, scatter_equal<T, B, 3>,
        scatter_equal<T, B, 4>, scatter_equal<T, B, 5>, scatter_equal<T, B, 6>, scatter_equal<T, B, 7>,
    };
    const ScatterArgs args = given;
    T* sums = static_cast<T*>(args.sums);
    for (std::int64_t p = 0; p < args.n_pixels; ++p, sums += args.pixel_step) {
        const std::int64_t first = args.winners[p], n = args.winners[p + 1] - first, taps = args.cols[p].count;
        if (n == 0 || taps == 0) continue;
        const OnPixel add = args.each == 0 ? scatter_ragged<T, B> : by_rest[taps * args.each % scatter_unroll];
        add(args, {args.channels + first, static_cast<const T*>(args.activations) + first, n,
                   args.rows.first * args.kernel_cols + args.cols[p].first, taps, sums});
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
