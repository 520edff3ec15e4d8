// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of quantised numbers, defined once: the library's products and circuits made from its headers call
// these functions, so their bits are the same. C++14 and <stdint.h> alone; no function has state, a loop or a branch on
// memory.
//
// A quantised number q stands for scale * (q - zero_point). Weights have zero point 0 and a scale for each row, so that
// a row's output is, in real numbers,
//     x_scale * w_scale * (sum of w * (x - x_zero_point) + bias),
// the bias in units of x_scale * w_scale. The sum of w * x_zero_point is a constant of the row: it is folded into the
// bias beforehand, and the loop multiplies x as it is stored.
//
// Number types are parameters: those of <stdint.h>, ap_int, _BitInt. Every result has to fit in the type asked for;
// nothing here checks that.
#pragma once

#include <stdint.h>

namespace complsparse {
namespace arith {

static_assert((-1 >> 1) == -1, "a shift to the right must keep the sign");

// ---- products

// w * x, in `Product`: 16 bits hold every product of 8-bit numbers, 17 those of an 8-bit weight and a wider x. Both are
// widened first, because two 8-bit numbers, one of them unsigned, have no 8-bit type in common.
template <class Product, class W, class X>
constexpr Product multiply(W w, X x) {
    return Product(Product(w) * Product(x));
}

template <class Sum, class W, class X>
constexpr Sum multiply_accumulate(Sum sum, W w, X x) {
    return Sum(sum + multiply<Sum>(w, x));
}

// What is added to the sum of w * x so that x counts from its zero point; `row_sum` is the sum of the row's weights.
template <class Sum>
constexpr Sum folded_bias(Sum bias, Sum row_sum, Sum x_zero_point) {
    return Sum(bias - Sum(row_sum * x_zero_point));
}

// ---- requantising

// The factor x_scale * w_scale / out_scale of a row is multiplier / 2^shift: 0 <= multiplier < 2^31, 1 <= shift <= 62.
struct Factor {
    int32_t multiplier;
    int32_t shift;
};

// What an output may be.
template <class Out>
struct Range {
    Out least, most;
};

// value / 2^shift, rounded to the nearest integer, a half to the even one; no value overflows.
template <class Wide>
constexpr Wide shift_half_even(Wide value, int shift) {
    const Wide one = Wide(1);
    const Wide below = Wide(value >> shift);
    const Wide rest = Wide(value & Wide(Wide(one << shift) - one));
    const Wide half = Wide(one << (shift - 1));
    const bool odd = Wide(below & one) != Wide(0);
    const bool up = rest > half || (rest == half && odd);
    return Wide(below + (up ? one : Wide(0)));
}

template <class T>
constexpr T maximum(T a, T b) {
    return a < b ? b : a;
}
template <class T>
constexpr T minimum(T a, T b) {
    return b < a ? b : a;
}

template <class T>
constexpr T clamp(T value, Range<T> range) {
    return minimum(maximum(value, range.least), range.most);
}

// The output for a row's sum, bias included: times the factor, plus the zero point, saturated. `Wide` holds a sum times
// a multiplier, so 64 bits are enough for sums of 32.
template <class Out, class Wide = int64_t, class Sum>
constexpr Out requantize(Sum sum, Factor factor, int32_t zero_point, Range<Out> range) {
    const Wide scaled = shift_half_even<Wide>(multiply<Wide>(sum, factor.multiplier), int(factor.shift));
    return Out(clamp<Wide>(Wide(scaled + Wide(zero_point)), Range<Wide>{Wide(range.least), Wide(range.most)}));
}

// ---- activations
// They cut off. Rounding keeps order, so a number that is cut after it is the number that was cut before; and a range
// that is cut, for requantize(), is every number of it cut.

template <class T>
constexpr T relu(T value, T zero_point) {
    return maximum(value, zero_point);
}

// `six` is the quantised 6, at least the zero point.
template <class T>
constexpr T relu6(T value, T zero_point, T six) {
    return minimum(relu(value, zero_point), six);
}

template <class T>
constexpr Range<T> relu(Range<T> range, T zero_point) {
    return Range<T>{relu(range.least, zero_point), relu(range.most, zero_point)};
}
template <class T>
constexpr Range<T> relu6(Range<T> range, T zero_point, T six) {
    return Range<T>{relu6(range.least, zero_point, six), relu6(range.most, zero_point, six)};
}

// ---- k winners

// Whether a comes before b: the larger value, and of equal ones that with the lower index.
template <class T, class Index>
constexpr bool beats(T a, Index index_of_a, T b, Index index_of_b) {
    return b < a || (a == b && index_of_a < index_of_b);
}

// Numbers in the order of beats(), larger ones first to win; no two are equal. Indices are below 2^index_bits, and
// `Key` has the bits of a value, of an index, and of a sign.
template <class Key, int index_bits, class T, class Index>
constexpr Key contest_key(T value, Index index) {
    return Key(Key(Key(value) * Key(Key(1) << index_bits)) + Key(Key(Key(Key(1) << index_bits) - Key(1)) - Key(index)));
}

}  // namespace arith
}  // namespace complsparse
