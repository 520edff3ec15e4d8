// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/columns.hpp"
#include "layouts/layout.hpp"

namespace cs {

struct ColumnsLayout final : Layout {
    int block_rows;
    std::int64_t rows, cols, panel_rows, n_panels, n_units;  // n_units: with padding
    bool padded = false;
    std::vector<std::int64_t> first_unit;  // [panel]
    std::vector<std::uint32_t> starts;     // [panel][column and one more]: relative to the panel's first unit
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
    std::vector<std::int64_t> counts;  // units of each (panel, column), with padding
    std::int64_t stored, n_units;      // without and with padding
    double unforeseen;                 // chance that two columns' loops differ in length
};
ColumnLoops column_loops(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows);
// Panels of about panel_rows rows. Throws std::length_error where a panel has 2^32 units or more.
ColumnsLayout derive_columns(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows);

}  // namespace cs
