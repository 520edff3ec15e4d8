// SPDX-License-Identifier: BSD-3-Clause
// Byte windows: 8-bit weights, a few columns of 8-bit activations.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// A *unit* is a vector of 32-bit sums: `lanes` rows with about as many entries each. A *step* adds up to four entries
// of each row to its sum, all from one window of neighbouring columns: a permute within registers brings each byte of x
// to its place, and an instruction that multiplies and adds up groups of four bytes does the rest. The window of a step
// begins at the first column that is left of any row of the unit, and each row takes what it has of it. Places without
// an entry have the weight 0.
//
// Where `quarters` says so, entry p of a row's quad is from quarter p of the window, which begins anywhere: places are
// of four bits, and two steps share their bytes.
//
// x is unsigned. Signed activations are moved by 128 on the way in (x ^ 0x80 as bits), and sums begin at `starts`
// instead of 0: -128 times the sum of the row's weights, modulo 2^32.

inline constexpr int byte_quad = 4;  // entries of a row in a step

struct ByteWindowsArgs {
    const std::uint32_t* first_steps;  // [unit], and the end of the last; of quarters, even numbers
    const std::uint32_t* bases;        // [step]: the first column of its window
    // [step]: `lanes` quads of places in the window, a byte each, then as many of weights. Of quarters, [two steps]:
    // quads of places in a quarter, those of the first step in the lower bits, and the weights of both.
    const std::uint8_t* steps;
    std::int64_t n_units;
    const std::uint32_t* rows;   // [unit][lane], no_row where a lane is empty; null: the rows in their order
    std::int64_t n_rows;         // of all units, where they are in order
    const std::int32_t* starts;  // [unit][lane], or null
    const std::uint8_t* x;       // columns: contiguous, x_stride bytes apart, as long as a window at least
    std::int32_t*
        y;  // columns: contiguous, y_stride elements apart; from the first unit's row on where they are in order
    std::int64_t x_stride, y_stride;
    Epilogue finish;
};
using ByteWindowsFunction = void (*)(const ByteWindowsArgs&);

// to[i] = from[i] ^ flip for n bytes; from may be to.
using MoveBytesFunction = void (*)(const void* from, void* to, std::int64_t n, std::uint8_t flip);

struct ByteWindowsRow {
    Types types;
    int lanes, window;  // sums of a unit; columns in a window
    int tile_cols;
    int operations;  // of a step for each column, about
    ByteWindowsFunction function;
    MoveBytesFunction move;
    Activations takes = up_to_relu6;
    bool quarters = false;
};

// Of a step, from memory.
constexpr std::int64_t bytes_of_step(std::int64_t lanes, bool quarters) {
    return lanes * byte_quad * (quarters ? 3 : 4) / 2;
}

}  // namespace cs
