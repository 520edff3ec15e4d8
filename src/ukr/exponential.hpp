// SPDX-License-Identifier: BSD-3-Clause
// The exponential function on lanes. IEEE operations alone, the same ones for any number of lanes: a lane's result does
// not depend on how many there are. The coefficients are those of docs/developer/derive_activations.py.
#pragma once

#include <cstddef>
#include <limits>
#include <utility>

#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class V>
struct ElementOf {
    using type = std::remove_reference_t<decltype(std::declval<V&>()[0])>;
};
template <>
struct ElementOf<float> {
    using type = float;
};
template <>
struct ElementOf<double> {
    using type = double;
};
template <class V>
using Element = typename ElementOf<V>::type;

template <class V>
using Bits = vec<std::conditional_t<sizeof(Element<V>) == 4, std::uint32_t, std::uint64_t>,
                 static_cast<int>(sizeof(V) / sizeof(Element<V>))>;

template <class V>
CS_INLINE Bits<V> as_bits(V v) {
    return load<Bits<V>>(&v);
}

template <class V>
CS_INLINE V of_bits(Bits<V> bits) {
    return load<V>(&bits);
}

// -|v|, but no less than `least`. NaN stays NaN.
template <class V, class T>
CS_INLINE V minus_abs(V v, T least) {
    const V minus = of_bits<V>(as_bits(v) | as_bits(broadcast<V>(-T(0))));
    return minus < broadcast<V>(least) ? broadcast<V>(least) : minus;
}

// c[0] + c[1] x + c[2] x^2 + ...: a fold, because GCC keeps long loops, and their loads, as they are.
template <class V, class T, std::size_t N, std::size_t... I>
CS_INLINE V horner(const T (&c)[N], V x, std::index_sequence<I...>) {
    V sum = broadcast<V>(c[N - 1]);
    ((sum = fma(sum, x, broadcast<V>(c[N - 2 - I]))), ...);
    return sum;
}

template <class V, class T, std::size_t N>
CS_INLINE V polynomial(const T (&c)[N], V x) {
    return horner(c, x, std::make_index_sequence<N - 1>{});
}

// ln2_high has so few bits that the product with any exponent is exact. rest: (e^r - 1 - r) / r^2.
template <class T>
struct Exponential;
template <>
struct Exponential<float> {
    static constexpr float ln2_high = 0x1.62e4p-1F, ln2_low = 1.4286068e-06F;
    static constexpr int lift = 64;
    static constexpr float rest[] = {0.49999988F, 0.16666518F, 0.041669544F, 0.008368988F, 0.001375115F};
};
template <>
struct Exponential<double> {
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 1.9082149292705877e-10;
    static constexpr int lift = 128;
    static constexpr double rest[] = {0.5000000000000013,    0.1666666666666648,     0.041666666666515126,
                                      0.008333333333452386,  0.0013888888947024378,  0.00019841269595636865,
                                      2.480148995975424e-05, 2.7557508052114818e-06, 2.7631272551070285e-07,
                                      2.5024585741429218e-08};
};

// 2^exponent.
template <class T>
constexpr T power_of_two(int exponent) {
    T power = 1;
    for (; exponent > 0; --exponent) power *= 2;
    for (; exponent < 0; ++exponent) power /= 2;
    return power;
}

// Results are raised by 2^lift above the subnormal numbers, and lowered last: they are rounded there once.
template <class T>
inline constexpr T lowered = power_of_two<T>(-Exponential<T>::lift);

// e^(high + low) * 2^lift is (1 + less) * scale. The sum is left to the caller, who can often round it together with a
// product.
template <class V>
struct LiftedExp {
    V less, scale;
};

// For high <= 0 and |low| far below 1, while the scale is a normal number. NaN makes anything.
template <class V>
CS_INLINE LiftedExp<V> lifted_exp(V high, V low) {
    using T = Element<V>;
    using Of = Exponential<T>;
    constexpr int fraction_bits = std::numeric_limits<T>::digits - 1;
    // A number this large has no fraction: what is added becomes an integer, a biased exponent, in its lowest bits.
    constexpr T shift = 3 * power_of_two<T>(fraction_bits - 1) + (std::numeric_limits<T>::max_exponent - 1 + Of::lift);
    const V shifted = fma(high, broadcast<V>(T(1.44269504088896341)), broadcast<V>(shift));
    const V n = shifted - broadcast<V>(shift);
    const V r = fma(n, broadcast<V>(-Of::ln2_high), high) + fma(n, broadcast<V>(-Of::ln2_low), low);
    return {fma(r * r, polynomial(Of::rest, r), r), of_bits<V>(as_bits(shifted) << fraction_bits)};
}

}  // namespace cs::ukr::CS_ISA
