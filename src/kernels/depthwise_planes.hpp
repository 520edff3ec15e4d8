// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of planes by square filters of their own, from the image as it lies.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// For each of so many planes: y[i, j] = bias + sum, between `least` and `most`, where the sum is that of
// weights[a, b] * x[i * stride + a - top, j * stride + b - left] over the taps that lie in the plane, ascending, in one
// accumulator. Rows of a plane lie one behind the other; no memory beside the planes is touched.
struct DepthwisePlanesArgs {
    const void *x, *weights, *bias;  // bias, one for each plane, may be none
    void* y;
    std::int64_t planes, x_step, y_step;  // elements from one plane to the next
    std::int64_t height, width, out_rows, out_cols, top, left;
    double least, most;
};
using DepthwisePlanesFunction = void (*)(const DepthwisePlanesArgs&);

struct DepthwisePlanesRow {
    Type type;
    int kernel, stride;  // of both axes
    DepthwisePlanesFunction function;
};

}  // namespace cs
