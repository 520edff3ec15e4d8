// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/row_groups.hpp"
#include "layouts/layout.hpp"

namespace cs {

struct RowGroupsLayout final : Layout {
    struct Part {  // of one (panel, block): where its pieces start
        std::int64_t run, n_runs, tail, n_tails, row, entry;
    };
    std::int64_t entries;
    std::int64_t cols;  // columns that blocks cut: all of the matrix, or those in `used`
    int shared_rows;    // 0: every row has columns of its own
    std::int64_t panel_rows, block_cols;
    std::int64_t n_panels, n_blocks;
    std::vector<std::int32_t> used;  // empty: all
    std::vector<Part> parts;         // [panel * n_blocks + block]
    std::vector<GroupRun> runs;
    std::vector<RowTail> tails;
    std::vector<std::uint16_t> rows;
    AlignedVector<std::uint16_t> columns;
    AlignedVector<unsigned char> values;

    std::int64_t bytes() const override;
    std::int64_t slots() const override { return entries; }
};

// block_cols at most max_block_cols, panel_rows at most 65536. shared_rows: so many neighbouring rows
// have one pattern, and panels are made of whole groups.
RowGroupsLayout derive_row_groups(const StoredMatrix& matrix, std::int64_t panel_rows, std::int64_t block_cols,
                                  int shared_rows);

}  // namespace cs
