// SPDX-License-Identifier: BSD-3-Clause
// Planes: row groups that read x through offsets.
#pragma once

#include <cstdint>

#include "base/types.hpp"
#include "kernels/row_groups.hpp"

namespace cs {

// The row of x that an entry meets is a run of elements at an offset of its own, at any alignment; runs overlap. So a
// convolution reads a padded image: output pixel p, p + 1, ... of an entry at (channel, tap) meet neighbouring pixels.

using PlanesArgs = GroupsArgs<std::uint32_t>;  // columns are elements from x on
using PlanesFunction = void (*)(const PlanesArgs&);

struct PlanesRow {
    Types types;
    int tile_cols;    // elements of a run
    int shared_rows;  // as RowGroupsRow's
    PlanesFunction function;
};

}  // namespace cs
