// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of channels by filters of their own.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// y[i, l] = sum + bias, between `least` and `most`, where the sum is that of weights[t] * x[offsets[t] + i * x_step +
// l] over the taps, ascending, in one accumulator. Planes: i is a row, l a column, weights and bias those of a channel.
// Pixels (of_lanes): i is a pixel of a row, l a channel; weights are weight_step apart, and like bias one for each
// lane. Planes are read up to a vector beyond their last lane.
struct DepthwiseArgs {
    const void *x, *weights, *bias;  // bias may be none
    void* y;
    const std::int64_t* offsets;
    std::int64_t taps, weight_step;
    std::int64_t positions, x_step, y_step, lanes;
    double least, most;
    bool of_lanes;
};
using DepthwiseFunction = void (*)(const DepthwiseArgs&);

struct DepthwiseRow {
    Type type;
    DepthwiseFunction function;
};

}  // namespace cs
