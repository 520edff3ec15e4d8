// SPDX-License-Identifier: BSD-3-Clause
// What follows from a configuration, and what it must keep to.
//
// A configuration `C` of a layer is a struct of constants and types:
//   rows, columns   of the matrix
//   sets, set_size  rows that share no column are overlaid in a set; set_size: members of the largest one
//   fullest_row     entries of the row that has most
//   lanes           columns (or winners) that are taken in one clock
//   weight_bits, activation_bits, id_bits, sum_bits
//   weight_t, activation_t, id_t, sum_t     integers of these widths; activation_t may be unsigned
#pragma once

#include "complsparse/hls/types.hpp"

namespace complsparse {
namespace hls {

template <class C>
struct Shape {
    // Groups of `lanes` neighbouring columns; the last one is filled up with weights of 0.
    static constexpr int groups = parts(C::columns, C::lanes);
    static constexpr int product_bits = C::weight_bits + C::activation_bits;
    static constexpr int least_id_bits = bits_up_to(C::set_size - 1);
    // n products of int8 and int8 or uint8 fit in 16 bits and as many more as count to n - 1; -128 * -128 included.
    static constexpr int least_sum_bits = product_bits + (C::fullest_row > 1 ? bits_up_to(C::fullest_row - 1) : 0);

    typedef typename Signed<product_bits>::type product_t;

    static_assert(C::rows >= 1 && C::columns >= 1, "a layer has at least one row and one column");
    static_assert(C::lanes >= 1 && C::lanes <= C::columns, "lanes must be from 1 to the columns of the matrix");
    static_assert(C::sets >= 1 && C::set_size >= 1, "a layer has at least one set with one member");
    static_assert(C::rows <= C::sets * C::set_size, "the sets have fewer places than the matrix has rows");
    static_assert(C::fullest_row >= 0 && C::fullest_row <= C::columns, "a row has at most one entry in a column");
    static_assert(C::weight_bits >= 2 && C::weight_bits <= 8, "weights have 2 to 8 bits");
    static_assert(C::activation_bits >= 2 && C::activation_bits <= 8, "activations have 2 to 8 bits");
    static_assert(C::id_bits >= least_id_bits, "id_bits is too narrow: kernel ids must count the members of a set");
    static_assert(C::sum_bits >= least_sum_bits, "sum_bits is too narrow: the sum of the fullest row can overflow");
    static_assert(C::sum_bits <= 32, "sums are at most 32 bits wide, as those of the CPU library are");
};

}  // namespace hls
}  // namespace complsparse
