// SPDX-License-Identifier: BSD-3-Clause
// What is done to each output before it is stored: y = activation(sum + bias[row]).
#pragma once

#include <cstdint>

// The list of activations, from which enumerators, names and what Python and the tests offer are derived. What one
// computes is a case of activated() in ukr/activations.hpp. Integers have the first two.
#define CS_ACTIVATIONS none, relu, relu6, leaky_relu, silu, gelu, hard_swish, sigmoid, tanh
#define CS_TEXT(...) #__VA_ARGS__
#define CS_EXPANDED_TEXT(...) CS_TEXT(__VA_ARGS__)

namespace cs {

enum class Activation : std::uint8_t { CS_ACTIVATIONS };

inline constexpr char activation_list[] = CS_EXPANDED_TEXT(CS_ACTIVATIONS);

#undef CS_EXPANDED_TEXT
#undef CS_TEXT
#undef CS_ACTIVATIONS

constexpr int count_activations() {
    int n = 1;
    for (const char c : activation_list) n += c == ',';
    return n;
}
inline constexpr int n_activations = count_activations();

struct ActivationNames {
    char name[n_activations][16];  // a longer one does not compile
};

constexpr ActivationNames split_activation_list() {
    ActivationNames names{};
    int which = 0, length = 0;
    for (const char c : activation_list) {
        if (c == ',') {
            ++which;
            length = 0;
        } else if (c != ' ') {
            names.name[which][length++] = c;
        }
    }
    return names;
}
inline constexpr ActivationNames activation_names = split_activation_list();

constexpr const char* name_of(Activation activation) { return activation_names.name[static_cast<int>(activation)]; }

// leaky_relu's is the slope below zero; the others have none.
constexpr double default_parameter(Activation activation) { return activation == Activation::leaky_relu ? 0.01 : 0; }

struct Epilogue {
    const void* bias = nullptr;  // one entry per output row, or none
    Activation activation = Activation::none;
    double parameter = 0;
    bool over_zeros = false;  // the outputs are zero already: what stays zero need not be stored

    bool changes_nothing() const { return bias == nullptr && activation == Activation::none; }
    bool keeps_zeros() const { return bias == nullptr && activation != Activation::sigmoid; }
};

// A set of activations: those that a loop applies to its sums itself.
struct Activations {
    std::uint32_t bits;
    constexpr bool have(Activation activation) const { return (bits >> static_cast<int>(activation) & 1) != 0; }
};
inline constexpr Activations up_to_relu6{1u << static_cast<int>(Activation::none) |
                                         1u << static_cast<int>(Activation::relu) |
                                         1u << static_cast<int>(Activation::relu6)};
inline constexpr Activations every_activation{~0u};

}  // namespace cs
