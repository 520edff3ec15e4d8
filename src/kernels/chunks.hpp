// SPDX-License-Identifier: BSD-3-Clause
// Chunks: batches of 8-bit numbers and of bfloat16 on tile registers.
#pragma once

#include <cstdint>

#include "base/types.hpp"
#include "kernels/interleave.hpp"

namespace cs {

// Blocks of sixteen rows share a list of units, which are four bytes of a row: a quad of columns, or a pair. Sixteen
// units of a list are a chunk: a tile of weights, a row of the matrix in each of its rows. Lists are filled up with
// zeros, whose unit may be any, but for bfloat16 one of zeros: there zero times what is no number would show.

inline constexpr std::int64_t block_rows = 16, chunk_units = 16;
inline constexpr std::int64_t chunk_bytes = block_rows * chunk_units * unit_bytes;
inline constexpr std::int64_t tile_register_cols = 16;  // of sums, and of units of x
inline constexpr std::int64_t units_at_once = 4;        // are copied

// Of each row r of some blocks, in the order of the blocks: to[r] = sum of weight * x[unit], lane by lane over the
// columns, `tiles` times tile_register_cols. The row of x that a unit meets is a run of as many units, anywhere; runs
// may overlap. So a matrix's x has a row for each unit, and an image is read through offsets.
struct ChunksArgs {
    const std::int64_t* first_chunks;  // of each block, and behind the last one
    std::int64_t n_blocks;
    const std::uint32_t* units;  // [chunk][chunk_units]: where its row of x begins, in steps of unit_step
    const std::uint8_t* copied;  // [chunk]: how many of its units are copied, the first ones, units_at_once at least;
                                 // 0: they follow each other, unit_step apart, and are read where they lie
    const void* weights;         // [chunk][block_rows][chunk_units]
    const void* x;
    std::int64_t unit_step;  // bytes
    void* copies;            // tiles * chunk_bytes, on a cache line: any numbers
    void* to;
    std::int64_t to_stride;  // bytes between rows
    int tiles;               // 1 to most_tiles of the row
};
using ChunksFunction = void (*)(const ChunksArgs&);

struct ChunksRow {
    Types types;
    int most_tiles;
    ChunksFunction function;
};

}  // namespace cs
