// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/chunks.hpp"
#include "layouts/layout.hpp"

namespace cs {

struct ChunksLayout final : Layout {
    std::int64_t n_units = 0;
    std::vector<std::int64_t> first_chunks{0};  // of each block, and behind the last one
    std::vector<std::uint32_t> units;           // [chunk][chunk_units]; n_units: none
    std::vector<std::uint8_t> copied;           // [chunk]
    AlignedVector<unsigned char> weights;       // [chunk][block_rows][chunk_units]

    std::int64_t n_blocks() const { return static_cast<std::int64_t>(first_chunks.size()) - 1; }
    // Rows of x that chunks read: its units, and some of zeros.
    std::int64_t x_rows() const { return n_units / chunk_units * chunk_units + chunk_units; }
    std::int64_t bytes() const override;
    std::string filled(double entries) const;  // how far by so many, in words
    std::int64_t slots() const override { return static_cast<std::int64_t>(weights.size()); }

    // What of some blocks micro-kernels read.
    ChunksArgs args_of(std::int64_t block, std::int64_t n_blocks) const {
        ChunksArgs args{};
        args.first_chunks = first_chunks.data() + block;
        args.n_blocks = n_blocks;
        args.units = units.data();
        args.copied = copied.data();
        args.weights = weights.data();
        return args;
    }
};

// How many chunks of either kind a matrix of units takes.
struct ChunkCounts {
    double copied = 0, in_place = 0;
    bool full = true;  // every row of a block owns each of its units
};
// any: zeros among the weights do not matter. whole: they would show (kernels/chunks.hpp), so that chunks are read in
// place where no unit is missing, and else copied with units of zeros behind the last.
enum class ChunkUse : std::uint8_t { any, whole };
// units: each entry four bytes. in_place: whether units that follow each other may be read where they lie.
ChunkCounts count_chunks(const StoredMatrix& units, bool in_place, ChunkUse use = ChunkUse::any);
ChunksLayout derive_chunks(const StoredMatrix& units, bool in_place, ChunkUse use = ChunkUse::any);

}  // namespace cs
