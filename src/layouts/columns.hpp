// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/columns.hpp"
#include "layouts/layout.hpp"
#include "tiles/source.hpp"

namespace cs {

// Where panels list their columns, each has only those that own units of it: of large matrices with few entries a row,
// the pairs of panels and columns would take memory like a dense matrix.
struct ColumnLists {
    std::vector<std::int64_t> first;    // [panel and one more]: of its columns, among those of all panels
    std::vector<std::int32_t> columns;  // ascending within a panel
    bool listed = false;                // every panel has all columns where they are not

    bool are_listed() const { return listed; }
    Range of_panel(std::int64_t panel) const {
        const std::int64_t start = first[static_cast<std::size_t>(panel)];
        return {start, first[static_cast<std::size_t>(panel) + 1] - start};
    }
};

struct ColumnsLayout final : Layout {
    int block_rows;
    std::int64_t rows, cols, panel_rows, n_panels, n_units;  // n_units: with padding
    bool padded = false;
    std::vector<std::int64_t> first_unit;  // [panel]
    ColumnLists lists;
    std::vector<std::uint32_t> starts;  // [panel][column of its list, and one more]: relative to the first unit
    AlignedVector<std::uint16_t> targets;
    AlignedVector<unsigned char> values;

    std::int64_t bytes() const override;
    std::int64_t slots() const override { return n_units * block_rows; }
};
// The most neighbouring rows, up to 16, that share one pattern throughout. `by_column` is the matrix transposed.
int column_blocks(const StoredMatrix& by_column);

// How a matrix would be laid out, and what its loops are like.
struct ColumnLoops {
    std::int64_t panel_rows, n_panels;
    ColumnLists lists;
    std::vector<std::int64_t> counts;  // units of each (panel, column of its list), with padding
    std::int64_t stored, n_units;      // without and with padding
    double unforeseen;                 // chance that two columns' loops differ in length
};
ColumnLoops column_loops(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows);
// Panels of about panel_rows rows. Throws std::length_error where a panel has 2^32 units or more.
ColumnsLayout derive_columns(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows);

}  // namespace cs
