// SPDX-License-Identifier: BSD-3-Clause
// Bringing dense operands into tiles and out again.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// to[c * to_stride + r] = from[r * from_stride + c]
struct TransposeArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, to_stride;
};
using TransposeFunction = void (*)(const TransposeArgs&);

// to[r, c] = activation(from[r, c] + bias[r]); from may be to. Or each row is several lines, and from is not to.
struct FinishArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, to_stride;
    Epilogue finish;
    std::int64_t lines = 1, from_line = 0, to_line = 0;
};
using FinishFunction = void (*)(const FinishArgs&);

// to[r, c] = from[r, c] for the columns that there are, zeros behind them: rows of `to` lie one behind the other.
struct WidenArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, width;
};
using WidenFunction = void (*)(const WidenArgs&);

// Planes with what lies around them. Of each `size` elements are written: `before` times `fill`; rows, which begin
// `to_row` elements apart, of `cols` elements that lie `step` apart; `fill` between them and up to the end.
struct PadArgs {
    const void* from;
    void* to;
    const void* fill;
    std::int64_t planes, from_plane, to_plane;
    std::int64_t rows, cols, from_row, step;
    std::int64_t before, to_row, size;
};
using PadFunction = void (*)(const PadArgs&);
// As two calls, of elements two apart, of which those of the second lie between those of the first, or behind the last;
// else they differ only in where they are written and how many there are in a row.
using PadPairFunction = void (*)(const PadArgs&, const PadArgs&);

struct MoveRow {
    Type type;
    int lanes;  // of the level's vectors
    TransposeFunction transpose;
    FinishFunction finish;
    WidenFunction widen;
    // Of float32 alone: the same, from bfloat16.
    TransposeFunction transpose_halves;
    WidenFunction widen_halves;
    PadFunction pad;
    PadPairFunction pad_pair;
};

}  // namespace cs
