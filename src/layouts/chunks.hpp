// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/chunks.hpp"
#include "layouts/layout.hpp"

namespace cs {

struct ChunksLayout final : Layout {
    std::int64_t n_units = 0;
    std::vector<std::int64_t> first_chunks{0};  // of each block, and behind the last one
    std::vector<std::uint16_t> units;           // [chunk][chunk_units]
    std::vector<std::uint8_t> neighbours;       // [chunk]
    AlignedVector<unsigned char> weights;       // [chunk][block_rows][chunk_units]

    std::int64_t n_blocks() const { return static_cast<std::int64_t>(first_chunks.size()) - 1; }
    // Rows of x that chunks read: its units, and some of zeros.
    std::int64_t x_rows() const { return n_units / chunk_units * chunk_units + chunk_units; }
    std::int64_t bytes() const override;
    std::int64_t slots() const override { return static_cast<std::int64_t>(weights.size()); }
};

// How many chunks of either kind a matrix of units takes.
struct ChunkCounts {
    double copied = 0, in_place = 0;
};
ChunkCounts count_chunks(const StoredMatrix& units);

// units: each entry four bytes, at most highest_unit columns.
ChunksLayout derive_chunks(const StoredMatrix& units);

}  // namespace cs
