// SPDX-License-Identifier: BSD-3-Clause
// Engines of a linear layer: one flattened loop each, one step in every clock.
//
// Tables, in the paper's words the augmented weight memory: weights[column][set] and ids[column][set] stand side by
// side, for columns up to a whole number of groups; rows[set][member] is the row that a member computes, -1 for a place
// that no row has. Constant arrays become ROM, or wires where one group has all columns; arguments become memories.
#pragma once

#include "complsparse/hls/engine.hpp"

namespace complsparse {
namespace hls {

// How an engine finds the operand of a lane. Either memory has words of `lanes` operands, filled up,
template <class T, int Words, int Lanes>
struct ByWord {
    const T (*x)[Words][Lanes];
    inline T operator()(int vector, int word, int lane) const { return x[vector][word][lane]; }
};
// or it has the operands of one vector in their order, in `Parts` arrays of equal length; what a last word lacks is 0.
template <class T, int Length, int Lanes, int Parts>
struct InOrder {
    static constexpr int length = Length / Parts;
    static_assert(length * Parts == Length, "the parts of a vector have equal lengths");

    const T (*x)[length];
    inline T operator()(int, int word, int lane) const {
        const int place = word * Lanes + lane;
        const int inside = place < Length ? place : 0;
        const T here = x[inside / length][inside % length];
        return place < Length ? here : T(0);
    }
};

// A word of neighbouring columns.
template <class C, class Operands>
struct WordOfColumns {
    Operands operands;
    const typename C::weight_t (*weights)[C::lanes][C::sets];
    const typename C::id_t (*ids)[C::lanes][C::sets];

    inline void operator()(int vector, int group, const typename C::sum_t (&sums)[C::sets][C::set_size],
                           typename C::sum_t (&next)[C::sets][C::set_size]) const {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        typename C::activation_t x[C::lanes];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = x complete dim = 0
#endif
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            x[lane] = operands(vector, group, lane);
        }
        accumulate<C>(x, weights[group], ids[group], sums, next);
    }
};

// y = W x for `Vectors` vectors, `lanes` columns in a clock: Vectors * groups clocks. x is filled up to whole groups;
// what stands there is multiplied by 0.
template <class C, int Vectors>
inline void sparse_dense(const typename C::activation_t x[Vectors][Shape<C>::groups][C::lanes],
                         const typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets],
                         const typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets],
                         const int rows[C::sets][C::set_size], typename C::sum_t y[Vectors][C::rows]) {
    typedef ByWord<typename C::activation_t, Shape<C>::groups, C::lanes> Operands;
    run<C, Vectors, Shape<C>::groups>(WordOfColumns<C, Operands>{{x}, weights, ids}, rows, y);
}

// The same of one vector that is not filled up, the pixels of an image one after the other.
template <class C, int Parts>
inline void linear(const typename C::activation_t x[Parts][C::columns / Parts],
                   const typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets],
                   const typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets],
                   const int rows[C::sets][C::set_size], typename C::sum_t y[1][C::rows]) {
    typedef InOrder<typename C::activation_t, C::columns, C::lanes, Parts> Operands;
    run<C, 1, Shape<C>::groups>(WordOfColumns<C, Operands>{{x}, weights, ids}, rows, y);
}

// The clocks that one vector of winners takes: as many as `lanes` ports need to read their columns.
template <class C>
struct Beats {
    static constexpr int value = parts(C::winners, C::lanes);
    static_assert(C::winners >= 1 && C::winners <= C::columns, "winners must be from 1 to the columns of the matrix");
    static_assert(C::lanes <= C::winners, "more winners in a clock than a vector has");
    static_assert(C::index_bits >= bits_up_to(C::columns - 1), "index_bits is too narrow: indices count the columns");
};

// A word of winners: each lane reads the slots of its winner's column from a port of its own.
template <class C, class Values, class Indices>
struct WordOfWinners {
    Values values;
    Indices indices;
    const typename C::weight_t (*weights)[C::sets];
    const typename C::id_t (*ids)[C::sets];

    inline void operator()(int vector, int beat, const typename C::sum_t (&sums)[C::sets][C::set_size],
                           typename C::sum_t (&next)[C::sets][C::set_size]) const {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        typename C::activation_t x[C::lanes];
        typename C::weight_t column_weights[C::lanes][C::sets];
        typename C::id_t column_ids[C::lanes][C::sets];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = x complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_weights complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_ids complete dim = 0
#endif
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            x[lane] = values(vector, beat, lane);
            const int column = int(indices(vector, beat, lane));
            for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                column_weights[lane][set] = weights[column][set];
                column_ids[lane][set] = ids[column][set];
            }
        }
        accumulate<C>(x, column_weights, column_ids, sums, next);
    }
};

// y = W x for `Vectors` vectors of `winners` values and the columns that they stand in, in any order: Vectors * Beats
// clocks. Places beyond the winners have value 0 and a column of the matrix, and so have winners that a ReLU drops.
template <class C, int Vectors>
inline void sparse_sparse(const typename C::activation_t values[Vectors][Beats<C>::value][C::lanes],
                          const typename C::index_t indices[Vectors][Beats<C>::value][C::lanes],
                          const typename C::weight_t weights[C::columns][C::sets],
                          const typename C::id_t ids[C::columns][C::sets], const int rows[C::sets][C::set_size],
                          typename C::sum_t y[Vectors][C::rows]) {
    typedef ByWord<typename C::activation_t, Beats<C>::value, C::lanes> Values;
    typedef ByWord<typename C::index_t, Beats<C>::value, C::lanes> Indices;
    const WordOfWinners<C, Values, Indices> word{{values}, {indices}, weights, ids};
    run<C, Vectors, Beats<C>::value>(word, rows, y);
}

// The same of the winners of one vector, not filled up.
template <class C, int Parts>
inline void linear_of_winners(const typename C::activation_t values[Parts][C::winners / Parts],
                              const typename C::index_t indices[Parts][C::winners / Parts],
                              const typename C::weight_t weights[C::columns][C::sets],
                              const typename C::id_t ids[C::columns][C::sets], const int rows[C::sets][C::set_size],
                              typename C::sum_t y[1][C::rows]) {
    typedef InOrder<typename C::activation_t, C::winners, C::lanes, Parts> Values;
    typedef InOrder<typename C::index_t, C::winners, C::lanes, Parts> Indices;
    const WordOfWinners<C, Values, Indices> word{{values}, {indices}, weights, ids};
    run<C, 1, Beats<C>::value>(word, rows, y);
}

}  // namespace hls
}  // namespace complsparse
