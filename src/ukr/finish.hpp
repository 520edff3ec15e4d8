// SPDX-License-Identifier: BSD-3-Clause
// The epilogue as loops apply it to sums that are still in registers: bias, and the activations of `up_to_relu6`.
#pragma once

#include "base/epilogue.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// What of an epilogue stays in registers: the original might change with every store to y.
template <class T>
struct Finish {
    const T* bias;
    bool with_relu, with_six;

    static CS_INLINE Finish of(const Epilogue& epilogue) {
        const bool six = epilogue.activation == Activation::relu6;
        return {static_cast<const T*>(epilogue.bias), six || epilogue.activation == Activation::relu, six};
    }

    // Sums of neighbouring rows from `row` on; one of them, where V is T.
    template <class V>
    CS_INLINE V rows(V sum, std::int64_t row) const {
        if (bias != nullptr) sum = static_cast<V>(sum + load<V>(bias + row));
        return activated(sum);
    }
    // Sums of one row.
    template <class V>
    CS_INLINE V of_row(V sum, std::int64_t row) const {
        if (bias != nullptr) sum = static_cast<V>(sum + broadcast<V>(bias[row]));
        return activated(sum);
    }
    template <class V>
    CS_INLINE V activated(V sum) const {
        if (with_relu) sum = relu(sum);
        if (!with_six) return sum;
        const V six = broadcast<V>(T(6));
        return sum > six ? six : sum;
    }
};

}  // namespace cs::ukr::CS_ISA
