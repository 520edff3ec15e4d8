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

// to[r, c] = activation(from[r, c] + bias[r]); from may be to.
struct FinishArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, to_stride;
    Epilogue finish;
};
using FinishFunction = void (*)(const FinishArgs&);

// to[r, c] = from[r, c] for the columns that there are, zeros behind them: rows of `to` lie one behind the other.
struct WidenArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, width;
};
using WidenFunction = void (*)(const WidenArgs&);

struct MoveRow {
    Type type;
    int lanes;  // of the level's vectors
    TransposeFunction transpose;
    FinishFunction finish;
    WidenFunction widen;
};

}  // namespace cs
