// SPDX-License-Identifier: BSD-3-Clause
// What is done to each sum before it is stored, and the activations that there are. A leaf: every ISA level includes it.
#pragma once

#include <cstdint>

namespace cs {

enum class Activation : std::uint8_t { none, relu, relu6, leaky_relu, silu, gelu, hard_swish };
// By these names people ask for them; in the order of the enumeration.
inline constexpr const char* activation_names[] = {nullptr, "relu", "relu6", "leaky_relu", "silu", "gelu", "hard_swish"};
inline constexpr int n_activations = sizeof activation_names / sizeof *activation_names;

// What an activation has to be told, where nobody says otherwise.
constexpr double default_parameter(Activation activation) { return activation == Activation::leaky_relu ? 0.01 : 0; }

// y = activation(sum + bias[row]).
struct Epilogue {
    const void* bias = nullptr;  // one entry per output row, or none
    Activation activation = Activation::none;
    double parameter = 0;

    bool changes_nothing() const { return bias == nullptr && activation == Activation::none; }
};

// Those that a loop applies to its sums itself.
struct Activations {
    std::uint32_t bits;
    constexpr bool have(Activation activation) const { return (bits >> static_cast<int>(activation) & 1) != 0; }
};
inline constexpr Activations up_to_relu{1u << static_cast<int>(Activation::none) | 1u << static_cast<int>(Activation::relu)};

}  // namespace cs
