// SPDX-License-Identifier: BSD-3-Clause
// Filter lanes: convolutions of filters that share their pattern, as many as a vector has lanes.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// A *strip* is `lanes` neighbouring filters of one pattern. Lanes are filters: an entry costs one load of weights for
// all output pixels of a tile, and for each of these a broadcast of x that the FMA takes along.

// y[pixel, filter] = activation(sum + bias[filter]) for tile_cols output pixels.
struct FilterLanesArgs {
    const std::uint32_t* counts;    // [strip]: entries of one filter
    const std::uint32_t* offsets;   // [entry]: elements from x on, for the first pixel
    const void* values;             // [entry][lane]
    std::int64_t n_strips, n_rows;  // filters: the last strip may have fewer
    const void* x;
    void* y;
    std::int64_t x_stride, y_stride;  // elements from one output pixel to the next
    Epilogue finish;
};
using FilterLanesFunction = void (*)(const FilterLanesArgs&);

struct FilterLanesRow {
    Types types;
    int lanes, tile_cols;
    FilterLanesFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
