// SPDX-License-Identifier: BSD-3-Clause
// Calls of BLAS's functions for matrices column by column.
#pragma once

#include <algorithm>
#include <cstdint>

#include "net/steps.hpp"

namespace cs {

// A matrix as BLAS takes it: column by column, `step` elements from one column to the next; or its transpose.
template <class T>
struct BlasMatrix {
    char trans;
    const T* data;
    std::int64_t step;
};

// c (m x n, column by column) = alpha op(a) op(b) + beta c.
template <class T>
void multiply_matrices(Gemm gemm, const BlasMatrix<T>& a, const BlasMatrix<T>& b, std::int64_t m, std::int64_t n,
                       std::int64_t k, T alpha, T beta, T* c, std::int64_t ldc) {
    if (m == 0 || n == 0) return;
    char trans_a = a.trans, trans_b = b.trans;
    int rows = static_cast<int>(m), cols = static_cast<int>(n), inner = static_cast<int>(k);
    int a_step = static_cast<int>(std::max<std::int64_t>(a.step, 1)),
        b_step = static_cast<int>(std::max<std::int64_t>(b.step, 1)),
        c_step = static_cast<int>(std::max<std::int64_t>(ldc, 1));
    gemm(&trans_a, &trans_b, &rows, &cols, &inner, &alpha, const_cast<T*>(a.data), &a_step, const_cast<T*>(b.data),
         &b_step, &beta, c, &c_step);
}

// body(T{}) for the types that BLAS has.
template <class Body>
StepPointer of_blas(Type type, Body body) {
    return type == Type::f32 ? body(float{}) : body(double{});
}

}  // namespace cs
