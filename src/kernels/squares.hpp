// SPDX-License-Identifier: BSD-3-Clause
// Squares: one column of a matrix of whole blocks of 4 x 4.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// Blocks of square_side rows and columns: the four values of x that a block needs come by one load, shared by its rows.
// Lanes are the columns of a block; they are added up once per row, at its end. Rows of blocks of about the same length
// are taken rows_at_once at a time, so that their sums do not wait for each other.

inline constexpr int square_side = 4;
inline constexpr int rows_at_once = 4;

// y[row] = activation(sum + bias[row]) for n_rows rows of blocks; they come in groups of rows_at_once.
struct SquaresArgs {
    const std::uint32_t* first_rows;  // [row of blocks]: its first row; no_row where a group has fewer
    const std::uint32_t* counts;      // [group]: blocks in each of its rows of blocks, shorter ones padded with zeros
    std::int64_t n_groups;
    const std::uint16_t* columns;  // [group][step][row of blocks]: first column / square_side
    const void* values;            // likewise, square_side * square_side values each, by rows
    const void* x;                 // contiguous
    void* y;
    std::int64_t y_stride;
    Epilogue finish;
};
using SquaresFunction = void (*)(const SquaresArgs&);

struct SquaresRow {
    Types types;
    SquaresFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
