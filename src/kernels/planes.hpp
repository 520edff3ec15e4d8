// SPDX-License-Identifier: BSD-3-Clause
// Planes: row groups that read x through offsets.
#pragma once

#include <cstdint>

#include "base/types.hpp"
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

struct PlanesRow {
    Types types;
    int tile_cols;    // elements of a run
    int shared_rows;  // as RowGroupsRow's
    PlanesFunction function;
    PlanesFunction of_windows;  // of one part alone, without a `finish`; null where the row has none
};

}  // namespace cs
