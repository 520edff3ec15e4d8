// SPDX-License-Identifier: BSD-3-Clause
// Which micro-kernel and layout multiply a matrix, and the layouts a matrix holds.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/api.hpp"
#include "core/layout.hpp"
#include "core/parallel.hpp"
#include "core/registry.hpp"

namespace cs {

struct Choice {
    const MoveRow* move;
    // Batches: tiles of ascending width on one layout.
    std::vector<Registered<SpmmRow>> tiles;
    const RowGroupsLayout* row_groups = nullptr;
    // Batches of very sparse matrices, where x and y have contiguous rows.
    Registered<RowsRow> rows{nullptr, 0};
    // One column.
    Registered<SpmvRow> spmv{nullptr, 0};
    const WindowsLayout* windows = nullptr;
    std::string name, reason;
};

struct Layouts {
    // packed_batch: any batch; batch: a wide one, better where x and y have contiguous rows.
    enum Kind { one_column, packed_batch, batch, n_kinds };
    ForkSafeMutex mutex;                               // guards the building of all below
    std::atomic<const Choice*> choices[2][n_kinds]{};  // [side][kind]
    std::unique_ptr<const Choice> owned[2][n_kinds];
    std::unique_ptr<const RowGroupsLayout> row_groups[2];
    std::unique_ptr<const WindowsLayout> windows[2];
};

}  // namespace cs
