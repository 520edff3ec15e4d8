// SPDX-License-Identifier: BSD-3-Clause
// Activations on lanes. Those of float and double are within 4 units in the last place of the exact value wherever it
// is finite, subnormal results included. NaN stays NaN, infinities give the limits, and zeros and what vanishes keep
// their sign.
//
// Cycles per element of a loop over data in L1 at the levels portable, avx2 and avx512, on a Zen 5: silu of floats
// 5, 1.4 and 0.8, of doubles 15, 4 and 2.2; gelu of floats 7, 2.3 and 1.2, of doubles 25, 7.4 and 3.9; the others at
// most 1.0, 0.3 and 0.2, of doubles 2, 0.6 and 0.5.
#pragma once

#include "base/epilogue.hpp"
#include "ukr/normal_tail.hpp"

namespace cs::ukr::CS_ISA {

// What silu and gelu have in common: relu(x) - a tail(a), with a = |x|, which needs no branch and cancels nothing, as
// the tail is at most 1/2. `weighted` is -a tail(a) * 2^lift, brought down and rounded here. Zero keeps x's sign.
template <class V>
CS_INLINE V relu_and_tail(V x, V weighted) {
    using T = Element<V>;
    return fma(weighted, broadcast<V>(lowered<T>), x < V{} ? broadcast<V>(-T(0)) : x);
}

// x / (1 + e^-x): the tail is e^-a / (1 + e^-a).
template <class V>
CS_INLINE V silu(V x) {
    using T = Element<V>;
    const V minus = minus_abs(x, T(sizeof(T) == 4 ? -112 : -760));
    const auto [less, scale] = lifted_exp(minus, V{});
    const V exponential = fma(less, scale, scale), scaled = minus * scale;
    return relu_and_tail(x, fma(less, scaled, scaled) / fma(exponential, broadcast<V>(lowered<T>), broadcast<V>(T(1))));
}

// x times the normal distribution at x.
template <class V>
CS_INLINE V gelu(V x) {
    return relu_and_tail(x, weighted_normal_tail(minus_abs(x, NormalTail<Element<V>>::lowest)));
}

// 1 / (1 + e^-x): e^-a / (1 + e^-a) below zero, and 1 / (1 + e^-a) above, which cancel nothing.
template <class V>
CS_INLINE V sigmoid(V x) {
    using T = Element<V>;
    const auto [less, scale] = lifted_exp(minus_abs(x, T(sizeof(T) == 4 ? -112 : -760)), V{});
    const V exponential = fma(less, scale, scale), one = broadcast<V>(T(1));
    const V above = x < V{} ? exponential : broadcast<V>(T(1) / lowered<T>);
    const V result = above / fma(exponential, broadcast<V>(lowered<T>), one) * broadcast<V>(lowered<T>);
    return x == x ? result : x;
}

// -expm1(-2a) / (2 + expm1(-2a)), with the sign of x. Near zero the exponent is 0, and expm1 is the polynomial alone.
template <class V>
CS_INLINE V tanh(V x) {
    using T = Element<V>;
    const auto [less, lifted] = lifted_exp(minus_abs(static_cast<V>(x + x), T(-80)), V{});
    const V scale = lifted * broadcast<V>(lowered<T>);
    const V expm1 = fma(less, scale, static_cast<V>(scale - broadcast<V>(T(1))));
    const V magnitude = -expm1 / (broadcast<V>(T(2)) + expm1);
    const Bits<V> sign = as_bits(x) & as_bits(broadcast<V>(-T(0))), rest = ~as_bits(broadcast<V>(-T(0)));
    return x == x ? of_bits<V>((as_bits(magnitude) & rest) | sign) : x;
}

template <class V>
CS_INLINE V relu6(V x) {
    const V six = broadcast<V>(Element<V>(6)), above_zero = relu(x);
    return above_zero > six ? six : above_zero;
}

template <class V>
CS_INLINE V leaky_relu(V x, V slope) {
    return x < V{} ? x * slope : x;
}

template <class V>
CS_INLINE V hard_swish(V x) {
    using T = Element<V>;
    const V least = broadcast<V>(T(-3)), most = broadcast<V>(T(6));
    const V from_least = x < least ? least : x, above = from_least - least;
    return from_least * ((above > most ? most : above) * broadcast<V>(T(1) / T(6)));
}

// One activation, known to the compiler.
template <Activation activation, class T, class V>
CS_INLINE V activated([[maybe_unused]] T parameter, V v) {
    if constexpr (activation == Activation::relu) {
        return relu(v);
    } else if constexpr (activation == Activation::relu6) {
        return relu6(v);
    } else if constexpr (activation == Activation::leaky_relu) {
        return leaky_relu(v, broadcast<V>(parameter));
    } else if constexpr (activation == Activation::silu) {
        return silu(v);
    } else if constexpr (activation == Activation::gelu) {
        return gelu(v);
    } else if constexpr (activation == Activation::hard_swish) {
        return hard_swish(v);
    } else if constexpr (activation == Activation::sigmoid) {
        return sigmoid(v);
    } else if constexpr (activation == Activation::tanh) {
        return tanh(v);
    } else {
        static_assert(activation == Activation::none, "an activation without a case");
        return v;
    }
}

template <Activation activation, class T>
struct Activate {
    T parameter;
    template <class V>
    CS_INLINE V operator()(V v) const {
        return activated<activation>(parameter, v);
    }
};

template <class T, class Body, std::size_t... I>
CS_INLINE void with_activation_among(Activation activation, T parameter, Body body, std::index_sequence<I...>) {
    auto offer = [&](auto activate) { return body(activate), true; };
    static_cast<void>(
        ((activation == static_cast<Activation>(I) && offer(Activate<static_cast<Activation>(I), T>{parameter})) ||
         ...));
}

// body(f), where f(v) is the activation of a vector or a number: asks which one it is once, not for each vector. The
// body is compiled for each activation, so it should be a loop and no more.
template <class T, class Body>
CS_INLINE void with_activation(Activation activation, T parameter, Body body) {
    constexpr std::size_t n = std::is_floating_point_v<T> ? n_activations : 2;
    with_activation_among(activation, parameter, body, std::make_index_sequence<n>{});
}

}  // namespace cs::ukr::CS_ISA
