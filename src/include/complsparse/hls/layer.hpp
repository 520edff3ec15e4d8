// SPDX-License-Identifier: BSD-3-Clause
// Engines of a linear layer: one flattened loop each, one step in every clock.
//
// Tables, in the paper's words the augmented weight memory: weights[column][set] and ids[column][set] stand side by
// side, for columns up to a whole number of groups; rows[set][member] is the row that a member computes, -1 for a place
// that no row has. Constant arrays become ROM, or wires where one group has all columns; arguments become memories.
#pragma once

#include "complsparse/hls/accumulate.hpp"

namespace complsparse {
namespace hls {

// The members' sums between two clocks. They are cleared with the last group, by the reset of the flip-flops that hold
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

// y = W x for `Vectors` vectors, `lanes` columns in a clock: Vectors * groups clocks, and no bubble between vectors.
// x is filled up to whole groups; what stands there is multiplied by 0.
template <class C, int Vectors>
inline void sparse_dense(const typename C::activation_t x[Vectors][Shape<C>::groups][C::lanes],
                         const typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets],
                         const typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets],
                         const int rows[C::sets][C::set_size], typename C::sum_t y[Vectors][C::rows]) {
    static_assert(Vectors >= 1, "an engine runs over at least one vector");
    typename C::sum_t sums[C::sets][C::set_size];
    typename C::sum_t next[C::sets][C::set_size];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#endif
    clear_sums<C>(sums);
    int group = 0;
    int vector = 0;
    for (int clock = 0; clock < Vectors * Shape<C>::groups; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        const bool last = group == Shape<C>::groups - 1;
        accumulate<C>(x[vector][group], weights[group], ids[group], sums, next);
        if (last) by_row<C>(next, rows, y[vector]);
        keep_or_clear<C>(next, last, sums);
        vector += last ? 1 : 0;
        group = last ? 0 : group + 1;
    }
}

// The clocks that one vector of winners takes: as many as `lanes` ports need to read their columns.
template <class C>
struct Beats {
    static constexpr int value = parts(C::winners, C::lanes);
    static_assert(C::winners >= 1 && C::winners <= C::columns, "winners must be from 1 to the columns of the matrix");
    static_assert(C::lanes <= C::winners, "more winners in a clock than a vector has");
    static_assert(C::index_bits >= bits_up_to(C::columns - 1), "index_bits is too narrow: indices count the columns");
};

// y = W x for `Vectors` vectors of `winners` values and the columns that they stand in, in any order. In a clock each
// lane reads the slots of its winner's column from a port of its own: Vectors * Beats clocks. Places beyond the winners
// have value 0 and a column of the matrix, and so have winners that a ReLU drops.
template <class C, int Vectors>
inline void sparse_sparse(const typename C::activation_t values[Vectors][Beats<C>::value][C::lanes],
                          const typename C::index_t indices[Vectors][Beats<C>::value][C::lanes],
                          const typename C::weight_t weights[C::columns][C::sets],
                          const typename C::id_t ids[C::columns][C::sets], const int rows[C::sets][C::set_size],
                          typename C::sum_t y[Vectors][C::rows]) {
    static_assert(Vectors >= 1, "an engine runs over at least one vector");
    typename C::sum_t sums[C::sets][C::set_size];
    typename C::sum_t next[C::sets][C::set_size];
    typename C::weight_t column_weights[C::lanes][C::sets];
    typename C::id_t column_ids[C::lanes][C::sets];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_weights complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_ids complete dim = 0
#endif
    clear_sums<C>(sums);
    int beat = 0;
    int vector = 0;
    for (int clock = 0; clock < Vectors * Beats<C>::value; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        const bool last = beat == Beats<C>::value - 1;
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                column_weights[lane][set] = weights[indices[vector][beat][lane]][set];
                column_ids[lane][set] = ids[indices[vector][beat][lane]][set];
            }
        }
        accumulate<C>(values[vector][beat], column_weights, column_ids, sums, next);
        if (last) by_row<C>(next, rows, y[vector]);
        keep_or_clear<C>(next, last, sums);
        vector += last ? 1 : 0;
        beat = last ? 0 : beat + 1;
    }
}

}  // namespace hls
}  // namespace complsparse
