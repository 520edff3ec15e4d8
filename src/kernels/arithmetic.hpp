// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic on arrays of one type: what networks do between their products.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// to[i] = a[i] + b[i], or another operation of the two: the larger, NaN where either is, or the smaller one; a[i] above
// zero, and its product with b[i] elsewhere, which is `slope`. Of an operand that is `one` a[0], or b[0]. `to` may be
// one of those that are not.
struct PairArgs {
    const void *a, *b;
    void* to;
    std::int64_t n;
    bool one_a, one_b;
};
using PairFunction = void (*)(const PairArgs&);

// to[r, c] = from[r, c] * factors[r] + summands[r], rows one behind the other; of columns factors[c] and summands[c].
struct ScaleArgs {
    const void *from, *factors, *summands;
    void* to;
    std::int64_t rows, cols;
    bool of_columns;
};
using ScaleFunction = void (*)(const ScaleArgs&);

// to[i, j] = e^from[i, j] / sum of e^from[k, j] over k, for rows i of `inner` elements, one behind the other. NaN all
// along where one of them is NaN or +inf, or all are -inf.
struct SoftmaxArgs {
    const void* from;
    void* to;
    std::int64_t n, inner;
};
using SoftmaxFunction = void (*)(const SoftmaxArgs&);

// Rows of n elements, one behind the other: (from - mean) / sqrt(var + eps), or from / sqrt(mean of squares + eps)
// where they are not `centred`; times weight[j], plus bias[j], of those that there are.
struct NormArgs {
    const void *from, *weight, *bias;
    void* to;
    std::int64_t rows, n;
    double eps;
    bool centred;
};
using NormFunction = void (*)(const NormArgs&);

struct ArithmeticRow {
    Type type;
    PairFunction add, multiply, subtract, divide, larger, smaller, slope;
    ScaleFunction scale;
    SoftmaxFunction softmax;
    NormFunction norm;
};

}  // namespace cs
