// SPDX-License-Identifier: BSD-3-Clause
// conv on filter lanes: the lanes of a vector are filters that share their pattern.
//
// An entry costs one load of weights and, for each output pixel, one FMA with a broadcast from memory: a load each, so
// the bound is the FMA or the load, whichever is slower. Pixels are independent sums, enough for the latency of the
// FMA.
#pragma once

#include "kernels/filter_lanes.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/quads.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Fewer filters than lanes.
template <class T>
[[gnu::noinline]] void finish_some(T* to, const T* sums, std::int64_t count, std::int64_t row, Finish<T> finish) {
    for (std::int64_t r = 0; r < count; ++r) to[r] = finish.rows(sums[r], row + r);
}

template <class T, int L, int Pixels, class Step = MultiplyAdd>
void filter_lanes(const FilterLanesArgs& args) {
    using V = vec<T, L>;
    const T* const x = static_cast<const T*>(args.x);
    T* const y = static_cast<T*>(args.y);
    const auto finish = Finish<T>::of(args.finish);
    const std::int64_t step = args.x_stride;
    const std::uint32_t* offset = args.offsets;
    const T* values = static_cast<const T*>(args.values);
    for (std::int64_t strip = 0; strip < args.n_strips; ++strip) {
        V sum[Pixels]{};
#pragma GCC unroll 1
        for (std::uint32_t left = args.counts[strip]; left > 0; --left, values += L) {
            const T* const pixel = x + *offset++;
            const V weight = load<V>(values);
#pragma GCC unroll 16
            for (int p = 0; p < Pixels; ++p) sum[p] = Step::of(weight, broadcast<V>(pixel[p * step]), sum[p]);
        }
        // Unrolled, so that sums never leave registers; a loop over them would have them in memory from the start.
        const std::int64_t row = strip * L, rows = args.n_rows - row;
        T* const to = y + row;
#pragma GCC unroll 16
        for (int p = 0; p < Pixels; ++p) {
            if (rows >= L) {
                store(to + p * args.y_stride, finish.rows(sum[p], row));
            } else {
                T some[L];
                store(some, sum[p]);
                finish_some(to + p * args.y_stride, some, rows, row, finish);
            }
        }
    }
}

template <class T, int L, int Pixels>
inline constexpr FilterLanesRow filter_lanes_row{uniform(type_of<T>), L, Pixels, filter_lanes<T, L, Pixels>};

// Of quads of 8-bit numbers.
template <int Pixels>
inline constexpr FilterLanesRow quad_lanes_row{Types{Type::s8, Type::u8, Type::s32}, native<std::int32_t>, Pixels,
                                               filter_lanes<std::int32_t, native<std::int32_t>, Pixels, DotQuads>};

static constexpr FilterLanesRow quad_lanes_rows[] = {
    quad_lanes_row<1>, quad_lanes_row<2>, quad_lanes_row<4>, quad_lanes_row<7>, quad_lanes_row<8>, quad_lanes_row<14>,
};

static constexpr FilterLanesRow filter_lanes_of_every_level[] = {
    filter_lanes_row<float, native<float>, 1>,
    filter_lanes_row<float, native<float>, 2>,
    filter_lanes_row<float, native<float>, 4>,
    filter_lanes_row<float, native<float>, 7>,
    filter_lanes_row<float, native<float>, 8>,
    filter_lanes_row<float, native<float>, 14>,
    filter_lanes_row<double, native<double>, 1>,
    filter_lanes_row<double, native<double>, 2>,
    filter_lanes_row<double, native<double>, 4>,
    filter_lanes_row<double, native<double>, 7>,
    filter_lanes_row<double, native<double>, 14>,
    quad_lanes_row<1>,
    quad_lanes_row<2>,
    quad_lanes_row<4>,
    quad_lanes_row<7>,
    quad_lanes_row<14>,
};
template <>
struct EveryLevel<FilterLanesRow> {
    static constexpr Rows<FilterLanesRow> rows = table_rows(filter_lanes_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
