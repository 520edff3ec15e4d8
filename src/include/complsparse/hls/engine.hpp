// SPDX-License-Identifier: BSD-3-Clause
// The loop that all layers share: a word of activations meets a word of the table in every clock.
#pragma once

#include "complsparse/hls/accumulate.hpp"

namespace complsparse {
namespace hls {

// The members' sums between two clocks. They are cleared with the last word, by the reset of the flip-flops that hold
// them: a choice between 0 and the sum in front of the adder would cost as many LUTs as the routing of four members.
template <class C>
inline void keep_or_clear(const typename C::sum_t (&next)[C::sets][C::set_size], bool clear,
                          typename C::sum_t (&sums)[C::sets][C::set_size]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int member = 0; member < C::set_size; ++member) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            sums[set][member] = clear ? typename C::sum_t(0) : next[set][member];
        }
    }
}

// The members' sums in the order of the matrix's rows: wires.
template <class C>
inline void by_row(const typename C::sum_t (&sums)[C::sets][C::set_size], const int rows[C::sets][C::set_size],
                   typename C::sum_t (&y)[C::rows]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int member = 0; member < C::set_size; ++member) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            if (rows[set][member] >= 0) y[rows[set][member]] = sums[set][member];
        }
    }
}

template <class C>
inline void clear_sums(typename C::sum_t (&sums)[C::sets][C::set_size]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    keep_or_clear<C>(sums, true, sums);
}

// `Vectors` vectors of `Words` words, Vectors * Words clocks and no bubble between vectors. What a clock adds to the
// sums is `word(vector, number, sums, next)`.
template <class C, int Vectors, int Words, class Word>
inline void run(const Word& word, const int rows[C::sets][C::set_size], typename C::sum_t y[Vectors][C::rows]) {
    static_assert(Vectors >= 1, "an engine runs over at least one vector");
    typename C::sum_t sums[C::sets][C::set_size];
    typename C::sum_t next[C::sets][C::set_size];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#endif
    clear_sums<C>(sums);
    int number = 0;
    int vector = 0;
    for (int clock = 0; clock < Vectors * Words; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        const bool last = number == Words - 1;
        word(vector, number, sums, next);
        if (last) by_row<C>(next, rows, y[vector]);
        keep_or_clear<C>(next, last, sums);
        vector += last ? 1 : 0;
        number = last ? 0 : number + 1;
    }
}

}  // namespace hls
}  // namespace complsparse
