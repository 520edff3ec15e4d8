// SPDX-License-Identifier: BSD-3-Clause
// From sums to quantised activations, with the arithmetic of the CPU library (complsparse/arith.hpp).
#pragma once

#include "complsparse/arith.hpp"
#include "complsparse/hls/types.hpp"

namespace complsparse {
namespace hls {

// A stage `C`: rows, outputs_per_clock, sum_t (at most 32 bits), value_t (8 bits, signed or not). Each output of a
// clock has a multiplier of its own.
template <class C>
struct Requantise {
    static constexpr int clocks = parts(C::rows, C::outputs_per_clock);

    static_assert(C::rows >= 1, "a stage has at least one row");
    static_assert(C::outputs_per_clock >= 1 && C::outputs_per_clock <= C::rows,
                  "outputs_per_clock must be from 1 to the rows");
};

// One output.
template <class C>
inline typename C::value_t requantised(typename C::sum_t sum, int32_t bias, arith::Factor factor, int32_t zero_point,
                                       arith::Range<typename C::value_t> range) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    return arith::requantize<typename C::value_t>(int64_t(sum) + int64_t(bias), factor, zero_point, range);
}

// Of `Vectors` vectors. `bias` has the units of the sums, the zero point of the activations folded in; `range` is cut
// by the activation function beforehand (arith::relu). Takes Vectors * Requantise<C>::clocks.
template <class C, int Vectors>
inline void requantise(const typename C::sum_t sums[Vectors][C::rows], const int32_t bias[C::rows],
                       const arith::Factor factors[C::rows], int32_t zero_point,
                       arith::Range<typename C::value_t> range, typename C::value_t y[Vectors][C::rows]) {
    int vector = 0;
    int first = 0;
    for (int clock = 0; clock < Vectors * Requantise<C>::clocks; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        for (int output = 0; output < C::outputs_per_clock; ++output) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            const int row = first + output;
            if (row < C::rows) {
                y[vector][row] = requantised<C>(sums[vector][row], bias[row], factors[row], zero_point, range);
            }
        }
        const bool last = first + C::outputs_per_clock >= C::rows;
        vector += last ? 1 : 0;
        first = last ? 0 : first + C::outputs_per_clock;
    }
}

// Of a last layer, whose results are its sums with their bias: one in a clock.
template <class C>
inline void with_bias(const typename C::sum_t sums[1][C::rows], const int32_t bias[C::rows],
                      typename Signed<32>::type y[1][C::rows]) {
    for (int clock = 0; clock < C::rows; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        y[0][clock] = typename Signed<32>::type(int64_t(sums[0][clock]) + int64_t(bias[clock]));
    }
}

}  // namespace hls
}  // namespace complsparse
