// SPDX-License-Identifier: BSD-3-Clause
// Folding the elements of windows into one: what pools are made of.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// to[i], for i in [0, n): the largest of from[i * step + a * row_step + b * col_step] for a in [0, rows) and b in
// [0, cols), or NaN where one of them is; or their sum, columns first, divided by `divisor`. So for each of `lines`,
// which lie from_line and to_line apart.
struct FoldArgs {
    const void* from;
    void* to;
    std::int64_t lines, from_line, to_line;
    std::int64_t n, step;
    std::int64_t rows, row_step, cols, col_step;  // rows and cols at least 1
    double divisor;
};
using FoldFunction = void (*)(const FoldArgs&);

struct FoldRow {
    Type type;
    FoldFunction largest, mean;
};

}  // namespace cs
