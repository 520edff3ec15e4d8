// SPDX-License-Identifier: BSD-3-Clause
// Planes: row groups that read x through offsets.
#pragma once

#include <cstdint>

#include "base/types.hpp"
#include "kernels/requantize.hpp"
#include "kernels/row_groups.hpp"

namespace cs {

// The row of x that an entry meets is a run of elements at an offset of its own, at any alignment; runs overlap. So a
// convolution reads a padded image: output pixel p, p + 1, ... of an entry at (channel, tap) meet neighbouring pixels.
//
// Windows of 2 x 2 outputs are four such sums, and the largest of them is what is stored: an entry lists where the
// outputs of a window meet it, row by row.

using PlanesArgs = GroupsArgs<std::uint32_t>;  // columns are elements from x on
inline constexpr int window_outputs = 4;
using PlanesFunction = void (*)(const PlanesArgs&);

// Sums of 8-bit products that become outputs where they end: of the last block. Of a tile's elements some are outputs,
// which lie one behind the other; a piece of a tile is `piece_cols` of them.
struct PlanesOutputs {
    static constexpr int piece_cols = 64, most_pieces = 2;
    struct Piece {
        std::uint8_t places[piece_cols];  // in the piece
        int count;
    };
    const RequantizeArgs* how;  // to, to_stride: of the panel's first row; feature: its
    Piece pieces[most_pieces];
};
using PlanesOutputsFunction = void (*)(const PlanesArgs&, const PlanesOutputs&);

struct PlanesRow {
    Types types;
    int tile_cols;    // elements of a run
    int shared_rows;  // as RowGroupsRow's
    PlanesFunction function;
    PlanesFunction of_windows;                   // of one part alone, without a `finish`; null where the row has none
    PlanesOutputsFunction of_outputs = nullptr;  // with sums in `to`, of other blocks and of rows with tails
};

}  // namespace cs
