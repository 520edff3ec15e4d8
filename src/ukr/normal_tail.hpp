// SPDX-License-Identifier: BSD-3-Clause
// The upper tail of the normal distribution, Q(a) = erfc(a / sqrt(2)) / 2, on lanes. The coefficients are those of
// docs/developer/derive_activations.py.
#pragma once

#include "ukr/exponential.hpp"

namespace cs::ukr::CS_ISA {

// e^(-a a / 2) / Q(a) = 2.5 a + over(a) / under(a) for 0 <= a <= -lowest, nearly a straight line: the fraction, and the
// rounding errors of its two sums, count less the larger they are.
template <class T>
struct NormalTail;
template <>
struct NormalTail<float> {
    static constexpr float lowest = -15;
    static constexpr std::uint32_t half_bits = ~std::uint32_t{0xfff};
    static constexpr float over[] = {3.0F, 1.2761387F, 0.32099771F, 0.03427371F, 0.00082873565F, 8.179687e-05F};
    static constexpr float under[] = {1.5F, 1.3162419F, 0.5506691F, 0.12221274F, 0.012392174F};
};
template <>
struct NormalTail<double> {
    static constexpr double lowest = -39;
    static constexpr std::uint64_t half_bits = ~std::uint64_t{0x7ffffff};
    static constexpr double over[] = {3.0,
                                      3.606546958304739,
                                      2.236384017676404,
                                      0.904219699768811,
                                      0.25908155199500915,
                                      0.05430832675953416,
                                      0.008368065305581077,
                                      0.0009324746188317607,
                                      7.248978384461412e-05,
                                      3.7685140519459277e-06,
                                      1.3738283026837611e-07,
                                      4.406477491378614e-09};
    static constexpr double under[] = {1.5,
                                       2.4814466379480713,
                                       2.035162686846985,
                                       1.0691845766589188,
                                       0.39472986627723416,
                                       0.10652021415118626,
                                       0.021249749813379588,
                                       0.003098156969307794,
                                       0.00031714247016128113,
                                       2.072678605252304e-05,
                                       6.648000780137141e-07};
};

// minus Q(-minus) * 2^lift for lowest <= minus <= 0. high high is exact, and the rest of the square is small: rounding
// the square itself would cost the exponential as many units as it is large. The product by minus is in both parts of
// the fraction, so that its rounding errors, and those of `under`, all but cancel far from zero.
template <class V>
CS_INLINE V weighted_normal_tail(V minus) {
    using T = Element<V>;
    using Of = NormalTail<T>;
    const V high = of_bits<V>(as_bits(minus) & Of::half_bits), half = broadcast<V>(T(-0.5));
    const auto [less, scale] = lifted_exp(half * high * high, half * (minus - high) * (minus + high));
    const V over = polynomial(Of::over, -minus), under = minus * polynomial(Of::under, -minus);
    return fma(less, under, under) * scale / fma(broadcast<V>(T(-2.5)), under, over);
}

}  // namespace cs::ukr::CS_ISA
