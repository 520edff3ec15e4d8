// SPDX-License-Identifier: BSD-3-Clause
// The step that all layers share: a word of slots for each lane is multiplied, routed and summed.
#pragma once

#include "complsparse/arith.hpp"
#include "complsparse/hls/shape.hpp"

namespace complsparse {
namespace hls {

// next = sums + what `lanes` columns add to the members of all sets. A slot is a weight and the kernel id of the member
// that owns it; an empty slot has weight 0 and any id. Multiplies once for each slot; which member takes the product is
// a choice between it and 0, never a branch or an address, so that all of it is one clock's logic.
template <class C>
inline void accumulate(const typename C::activation_t (&x)[C::lanes],
                       const typename C::weight_t (&weights)[C::lanes][C::sets],
                       const typename C::id_t (&ids)[C::lanes][C::sets],
                       const typename C::sum_t (&sums)[C::sets][C::set_size],
                       typename C::sum_t (&next)[C::sets][C::set_size]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Shape<C>::product_t product_t;
    typedef typename C::sum_t sum_t;
    for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        product_t products[C::lanes];
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            products[lane] = arith::multiply<product_t>(weights[lane][set], x[lane]);
        }
        for (int member = 0; member < C::set_size; ++member) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            sum_t sum = sums[set][member];
            for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                const product_t routed = ids[lane][set] == typename C::id_t(member) ? products[lane] : product_t(0);
                sum = sum_t(sum + sum_t(routed));
            }
            next[set][member] = sum;
        }
    }
}

}  // namespace hls
}  // namespace complsparse
