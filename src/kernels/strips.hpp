// SPDX-License-Identifier: BSD-3-Clause
// Strips: one column of a matrix whose rows share their columns, many at a time.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// A *strip* is strip_rows neighbouring rows with the same columns, which come in quads of strip_cols neighbours: whole
// 16 x 16 blocks, say. Lanes are rows, so nothing is added up across lanes, and a value of x serves a whole vector.

inline constexpr int strip_rows = 16;
inline constexpr int strip_cols = 4;

// y[row] = activation(sum + bias[row]) for the rows of n_strips strips.
struct StripsArgs {
    const std::uint32_t* counts;   // [strip]: quads
    const std::uint16_t* columns;  // [quad]: its first column
    const void* values;            // [quad][column][row]
    std::int64_t n_strips;
    const void* x;  // contiguous
    void* y;
    std::int64_t y_stride;
    Epilogue finish;
};
using StripsFunction = void (*)(const StripsArgs&);

struct StripsRow {
    Types types;
    StripsFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
