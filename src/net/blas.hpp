// SPDX-License-Identifier: BSD-3-Clause
// Calls of BLAS's functions for matrices column by column.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/parallel.hpp"
#include "net/steps.hpp"
#include "tiles/work.hpp"

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
void multiply_whole_matrices(Gemm gemm, const BlasMatrix<T>& a, const BlasMatrix<T>& b, std::int64_t m, std::int64_t n,
                             std::int64_t k, T alpha, T beta, T* c, std::int64_t ldc) {
    char trans_a = a.trans, trans_b = b.trans;
    int rows = static_cast<int>(m), cols = static_cast<int>(n), inner = static_cast<int>(k);
    int a_step = static_cast<int>(std::max<std::int64_t>(a.step, 1)),
        b_step = static_cast<int>(std::max<std::int64_t>(b.step, 1)),
        c_step = static_cast<int>(std::max<std::int64_t>(ldc, 1));
    gemm(&trans_a, &trans_b, &rows, &cols, &inner, &alpha, const_cast<T*>(a.data), &a_step, const_cast<T*>(b.data),
         &b_step, &beta, c, &c_step);
}

// The same, the columns of c cut into pieces on our threads where the product is small. OpenBLAS does each of these on
// the thread that asks; its own threads, once they have worked, stay awake for tens of milliseconds, on the cores that
// the next layer wants. Larger products gain more by its threads than the next layers lose.
template <class T>
void multiply_matrices(Gemm gemm, const BlasMatrix<T>& a, const BlasMatrix<T>& b, std::int64_t m, std::int64_t n,
                       std::int64_t k, T alpha, T beta, T* c, std::int64_t ldc, int threads = 1) {
    constexpr double alone = 1e6, small = 8 * alone;  // multiplications
    if (m == 0 || n == 0) return;
    const double work = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    const auto pieces = work > small ? std::int64_t{1} : std::min(n, static_cast<std::int64_t>(work / alone) + 1);
    // The same pieces for any number of threads: where they end shows in the bits.
    auto piece = [&](std::int64_t number, int) {
        const std::int64_t first = n * number / pieces, last = n * (number + 1) / pieces;
        const BlasMatrix<T> columns{b.trans, b.data + first * (b.trans == 'N' ? b.step : 1), b.step};
        multiply_whole_matrices<T>(gemm, a, columns, m, last - first, k, alpha, beta, c + first * ldc, ldc);
    };
    parallel_for(pieces, std::min(threads, choose_threads(work)), piece);
}

// body(T{}) for the types that BLAS has.
template <class Body>
StepPointer of_blas(Type type, Body body) {
    return type == Type::f32 ? body(float{}) : body(double{});
}

}  // namespace cs
