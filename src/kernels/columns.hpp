// SPDX-License-Identifier: BSD-3-Clause
// Columns: activations of which few are there.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// The entries column by column, so that a product reads only the columns that its activations meet. A *unit* is what
// one column owns of block_rows neighbouring rows that share their pattern (one row where they do not); its *target* is
// the number of that block of rows. Units of a column have different targets: columns_unroll of them are loaded,
// multiplied and stored together. A column may be padded with units whose target is the block behind the last: there is
// room for it in the sums, and nobody reads it.

inline constexpr int columns_unroll = 4;
// Targets are distances from the first sum in units of so many bytes: what an x86 address scales an index by for
// nothing.
constexpr int target_unit(int block_bytes) { return block_bytes < 8 ? block_bytes : 8; }

// y[r] = activation(sum over i of activations[i] * W[r, winners[i]] + bias[r]) for n_rows rows, one accumulator each,
// in the order of i.
struct ColumnsArgs {
    const std::uint32_t* starts;   // [column]: its first unit
    const std::uint16_t* targets;  // [unit]
    const void* values;            // [unit][row of the block]
    const std::int32_t* winners;   // columns, ascending
    const void* activations;
    std::int64_t n_winners;
    void* sums;  // of whole blocks, and of one block more where columns are padded
    void* y;     // contiguous; may be sums
    std::int64_t n_rows;
    Epilogue finish;
    bool prefetch;  // columns come from beyond L2
};
using ColumnsFunction = void (*)(const ColumnsArgs&);

struct ColumnsRow {
    Types types;
    int block_rows;
    ColumnsFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
