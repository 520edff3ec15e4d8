// SPDX-License-Identifier: BSD-3-Clause
// The epilogue as loops apply it to sums that are still in registers: bias, and the activations of `up_to_relu`.
#pragma once

#include "base/epilogue.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// bias(): that of these sums; called where there is one.
template <class V, class Bias>
CS_INLINE V finished(V sum, const Epilogue& finish, Bias bias) {
    if (finish.bias != nullptr) sum = static_cast<V>(sum + bias());
    return finish.activation == Activation::relu ? relu(sum) : sum;
}

}  // namespace cs::ukr::CS_ISA
