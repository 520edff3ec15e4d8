// SPDX-License-Identifier: BSD-3-Clause
// Quantising: real numbers as 8-bit ones, and requantising: sums of 8-bit products as 8-bit outputs.
#pragma once

#include <cstdint>

#include "base/types.hpp"
#include "kernels/fold.hpp"

namespace cs {

// to[r * cols + c] = arith::requantize(sums[r * cols + c] + bias[f], {multipliers[f], shifts[f]}, ...), for r in
// [0, rows) and c in [0, cols). The feature f is the column c where `by_column` is set; else rows are features,
// `feature` that of the first and 0 behind that of `features - 1`. Outputs are at least `least` and at most `most`:
// the range of their type, narrowed by the activation.
// Sums are s32, or f32 that are integers.
//
// A factor multiplier / 2^shift is there as a number, too, and so are numbers of float32 below it and above it, both
// farther away than three roundings take a product.
struct RequantizeArgs {
    const void* sums;
    Type sum;
    void* to;
    std::int64_t rows, cols, feature, features;
    bool by_column;
    const std::int32_t *bias, *multipliers, *shifts;  // of each feature
    const double* factors;
    const float *below, *above;
    bool small_factors;  // all are below 2^-8
    std::int32_t zero_point, least, most;
    std::int64_t sums_stride = 0, to_stride = 0;  // elements from one row to the next; 0: cols
};
using RequantizeFunction = void (*)(const RequantizeArgs&);

// Likewise of the largest sums of windows, s32: rows are the lines of `windows`, columns its outputs, features are
// rows. Sums and outputs are where `windows` says. Windows of two neighbouring columns two apart may be read on to the
// end of the vector that the last of a line is in.
using RequantizeLargestFunction = void (*)(const FoldArgs& windows, const RequantizeArgs&);

// to[i] = from[i] / scale, rounded half to even, plus the zero point, saturated; the least number of the type for NaN.
struct QuantizeArgs {
    const void* from;
    void* to;
    std::int64_t n;
    double scale;  // one of float32 where that is divided
    std::int32_t zero_point;
};
using QuantizeFunction = void (*)(const QuantizeArgs&);

struct RequantizeRow {
    Type type;  // of the outputs
    RequantizeFunction function;
    RequantizeLargestFunction of_largest;
    QuantizeFunction quantize;                            // float32, divided as such
    QuantizeFunction quantize_widened, quantize_doubles;  // float32 and float64, divided in float64
};

}  // namespace cs
