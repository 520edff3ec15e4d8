// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/epilogue.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T, class Body>
CS_INLINE void with_activation(Activation activation, T, Body body) {
    if (activation == Activation::relu)
        body([](auto v) { return relu(v); });
    else
        body([](auto v) { return v; });
}

}  // namespace cs::ukr::CS_ISA
