// SPDX-License-Identifier: BSD-3-Clause
// The stored rows as they lie: batches of very sparse matrices.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// y[r, j] = activation(sum of value * x[column, j] + bias[r]) for the rows of [first_row, last_row) and all j < n; rows
// of x and of y are contiguous. Reads the stored matrix itself, columns ascending, one accumulator per output.
// `listed`: which rows of y the matrix's rows are; null: the same.
struct StoredRowsArgs {
    const std::int64_t* row_ptr;
    const std::int32_t* columns;
    const void* values;
    std::int64_t first_row, last_row;
    const void* x;
    void* y;
    std::int64_t n, x_stride, y_stride;
    Epilogue finish;
    const std::int64_t* listed = nullptr;
};
using StoredRowsFunction = void (*)(const StoredRowsArgs&);

struct StoredRowsRow {
    Types types;
    int tile_cols;
    StoredRowsFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
