// SPDX-License-Identifier: BSD-3-Clause
// The other way round to route: each member selects the activations that its slots meet, and products stay where they
// are. A choice among `lanes` activations of 8 bits takes the place of one among all members' sums for each product,
// which is narrower by far where members own equally many slots of every group, as in balanced patterns.
//
// Beside the members of a layer its configuration `C` has `turns`, the slots that a member owns in a group at most, and
// place_bits and place_t, which count lanes.
#pragma once

#include "complsparse/hls/engine.hpp"

namespace complsparse {
namespace hls {

template <class C>
struct Selected {
    static_assert(C::turns >= 1 && C::turns <= C::lanes, "turns must be from 1 to the lanes");
    static_assert(C::place_bits >= bits_up_to(C::lanes - 1), "place_bits is too narrow: places count the lanes");
};

// x[place]: of all lanes one passes, the others are 0.
template <class C>
inline typename C::activation_t selected(const typename C::activation_t (&x)[C::lanes], typename C::place_t place) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename C::activation_t activation_t;
    activation_t found = 0;
    for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        const activation_t here = x[lane];  // read whether it passes or not, or else there is a branch
        found = activation_t(found | (place == typename C::place_t(lane) ? here : activation_t(0)));
    }
    return found;
}

// next = sums + what `lanes` columns add to the members of all sets. A turn that a member does not need has weight 0.
template <class C>
inline void accumulate_selected(const typename C::activation_t (&x)[C::lanes],
                                const typename C::weight_t (&weights)[C::sets][C::set_size][C::turns],
                                const typename C::place_t (&places)[C::sets][C::set_size][C::turns],
                                const typename C::sum_t (&sums)[C::sets][C::set_size],
                                typename C::sum_t (&next)[C::sets][C::set_size]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Shape<C>::product_t product_t;
    for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int member = 0; member < C::set_size; ++member) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            typename C::sum_t sum = sums[set][member];
            for (int turn = 0; turn < C::turns; ++turn) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                const typename C::activation_t operand = selected<C>(x, places[set][member][turn]);
                const product_t product = arith::multiply<product_t>(weights[set][member][turn], operand);
                sum = typename C::sum_t(sum + typename C::sum_t(product));
            }
            next[set][member] = sum;
        }
    }
}

// A word of neighbouring columns, whose activations move.
template <class C>
struct WordOfSelected {
    const typename C::activation_t (*x)[Shape<C>::groups][C::lanes];
    const typename C::weight_t (*weights)[C::sets][C::set_size][C::turns];
    const typename C::place_t (*places)[C::sets][C::set_size][C::turns];

    inline void operator()(int vector, int group, const typename C::sum_t (&sums)[C::sets][C::set_size],
                           typename C::sum_t (&next)[C::sets][C::set_size]) const {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        accumulate_selected<C>(x[vector][group], weights[group], places[group], sums, next);
    }
};

// y = W x as sparse_dense computes it, in as many clocks.
template <class C, int Vectors>
inline void sparse_dense_selected(const typename C::activation_t x[Vectors][Shape<C>::groups][C::lanes],
                                  const typename C::weight_t weights[Shape<C>::groups][C::sets][C::set_size][C::turns],
                                  const typename C::place_t places[Shape<C>::groups][C::sets][C::set_size][C::turns],
                                  const int rows[C::sets][C::set_size], typename C::sum_t y[Vectors][C::rows]) {
    static_assert(sizeof(Selected<C>) > 0, "");
    run<C, Vectors, Shape<C>::groups>(WordOfSelected<C>{x, weights, places}, rows, y);
}

}  // namespace hls
}  // namespace complsparse
