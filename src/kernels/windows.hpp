// SPDX-License-Identifier: BSD-3-Clause
// Windows: one column.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// Lanes are rows: eight rows with about as many entries each form a group, and one vector step multiplies one entry of
// each. x is fetched in two ways. A *tile* step broadcasts a few windows of four neighbouring columns and lets each
// lane pick its column by an in-register permute: it covers the entries that are near each other in column, for a
// quarter of the loads. A *gather* step fetches the lanes' columns one by one and covers the rest. The packer chooses
// how many entries go into tiles. Lanes without an entry hold the value -0.0 (which changes no finite sum) and any
// column; a stored -0.0 becomes 0.0. Where a sum comes out non-finite, a masked variant that drops those lanes'
// products runs again.

inline constexpr int window_lanes = 8;
inline constexpr int window_cols = 4;
inline constexpr int block_tiles = 4;  // tiles come in blocks of four
// Per block: lane l of tile j finds its column in its window in the low two bits of picks[4 * l + j], and the window's
// number in bits 7 and 6 of picks[4 * l + j + 3]: loading 32 bytes at picks + j gives, without further decoding, the
// control of a permute (low bits of each lane) and of a select (its sign bit). 35 bytes are used; with 64 no load
// crosses a cache line.
inline constexpr int block_picks = 64;
// Window bases stored per tile.
constexpr int tile_bases(int windows) { return windows == 2 ? 2 : 4; }

struct WindowGroup {
    std::uint32_t blocks, steps;  // of tiles; of gathers
    bool consecutive;             // the lanes' rows follow each other: their sums are stored at once
    std::int64_t first_block, first_step;
};

// y[rows[i]] = activation(sum of value * x[column] + bias[rows[i]]) for the rows of n_groups groups.
struct WindowsArgs {
    const WindowGroup* groups;
    std::int64_t n_groups;
    const std::uint32_t* rows;  // window_lanes per group; no_row where a lane is empty
    const std::uint8_t* picks;
    const std::uint16_t* bases;
    const void* tile_values;
    const std::uint16_t* columns;
    const void* values;
    const void* x;  // contiguous
    void* y;
    std::int64_t y_stride;
    Epilogue finish;
};
using WindowsFunction = void (*)(const WindowsArgs&);

struct WindowsRow {
    Types types;
    int windows;  // per tile; 0: gather steps only
    WindowsFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
