// SPDX-License-Identifier: BSD-3-Clause
// Scatter: convolutions of images of which few activations are there.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// A winner adds its column of filters, scaled, to the sums of every output pixel that meets it: for each tap, the
// *units* that (channel, tap) owns, block_rows neighbouring filters of one pattern each. Outputs lie pixel by pixel, so
// the place of a unit is a distance from the output pixel that meets the winner at tap (0, 0): back by its tap, forward
// by its block of filters. Units are sorted by channel, tap, block.

// Of the taps of one axis those whose output pixels there are.
struct TapsInside {
    std::int32_t first, count;
};

// The winners of neighbouring pixels of a row.
struct ScatterArgs {
    std::int64_t each;            // units of every (channel, tap); 0: as many as `starts` says
    const std::uint32_t* starts;  // [channel][tap]: its first unit; and one more
    const std::int32_t* targets;  // [unit]: elements from sums on
    const void* values;           // [unit][filter of the block]
    std::int64_t kernel_rows, kernel_cols;
    const std::int64_t* winners;  // [pixel]: its first; and one more
    const std::int32_t* channels;
    const void* activations;
    std::int64_t n_pixels;
    TapsInside rows;
    const TapsInside* cols;  // [pixel]
    void* sums;
    std::int64_t pixel_step;  // elements of sums from a pixel to the next
};
using ScatterFunction = void (*)(const ScatterArgs&);

struct ScatterRow {
    Types types;
    int block_rows;
    ScatterFunction function;
};

}  // namespace cs
