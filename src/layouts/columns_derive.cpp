// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/sizes.hpp"
#include "layouts/columns.hpp"
#include "layouts/stored.hpp"
#include "pattern/pattern.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_target = 65535;

std::int64_t whole_steps(std::int64_t units) { return (units + columns_unroll - 1) / columns_unroll * columns_unroll; }

}  // namespace

int column_blocks(const StoredMatrix& by_column) {
    const Pattern<std::int32_t> pattern{by_column.rows, by_column.cols, by_column.row_ptr, by_column.columns};
    int rows = 1;
    while (rows < 16 && 2 * rows <= by_column.cols && has_block(pattern, {1, 2 * rows})) rows *= 2;
    return rows;
}

std::int64_t ColumnsLayout::bytes() const { return bytes_of_arrays(first_unit, starts, targets, values); }

ColumnsLayout derive_columns(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows) {
    const std::int64_t n_columns = by_column.rows, rows = by_column.cols;
    const auto unit_bytes = as_size(block_rows * bytes_of(by_column.type));
    ColumnsLayout layout;
    layout.block_rows = block_rows;
    layout.rows = rows;
    layout.cols = n_columns;
    const std::int64_t scale = target_unit(static_cast<int>(unit_bytes));
    const std::int64_t block_target = static_cast<std::int64_t>(unit_bytes) / scale;
    // One target is that of the block that padding goes to.
    const std::int64_t panel_blocks =
        std::clamp<std::int64_t>((panel_rows + block_rows - 1) / block_rows, 1, most_target / block_target);
    layout.panel_rows = panel_blocks * block_rows;
    layout.n_panels = std::max<std::int64_t>(1, (rows + layout.panel_rows - 1) / layout.panel_rows);

    // The last block may be cut off by the matrix's edge.
    auto entries_of = [&](std::int64_t at) { return std::min<std::int64_t>(block_rows, rows - by_column.columns[at]); };

    // Units of each (panel, column), first those that are stored.
    std::vector<std::int64_t> counts(as_size(layout.n_panels * n_columns));
    std::int64_t stored = 0, most = 0, in_steps = 0;
    for (std::int64_t column = 0; column < n_columns; ++column)
        for (std::int64_t at = by_column.row_ptr[column]; at < by_column.row_ptr[column + 1]; at += entries_of(at))
            ++counts[as_size(by_column.columns[at] / layout.panel_rows * n_columns + column)];
    for (const std::int64_t count : counts) {
        stored += count;
        most = std::max(most, count);
        in_steps += whole_steps(count);
    }
    // The processor foresees the end of a column's loop where all have one length, and half of it where none has a
    // rest; that is worth a few units more.
    auto is_cheap = [stored](std::int64_t units) { return 12 * units <= 13 * stored; };
    const std::int64_t alike = most * layout.n_panels * n_columns;
    auto padded = [&](std::int64_t count) {
        return is_cheap(alike) ? most : in_steps < 3 * stored ? whole_steps(count) : count;
    };
    layout.n_units = is_cheap(alike) ? alike : in_steps < 3 * stored ? in_steps : stored;
    layout.padded = layout.n_units > stored;
    layout.targets.resize(as_size(layout.n_units), 0);
    layout.values.resize(as_size(layout.n_units) * unit_bytes, 0);

    const auto* const values = static_cast<const unsigned char*>(by_column.values);
    const std::size_t value_bytes = unit_bytes / as_size(block_rows);
    std::vector<std::int64_t> next(by_column.row_ptr, by_column.row_ptr + n_columns);  // of each column: not yet taken
    std::int64_t unit = 0;
    for (std::int64_t panel = 0; panel < layout.n_panels; ++panel) {
        layout.first_unit.push_back(unit);
        const std::int64_t first_row = panel * layout.panel_rows;
        const std::int64_t n_rows = std::min(layout.panel_rows, rows - first_row);
        const auto nowhere = static_cast<std::uint16_t>((n_rows + block_rows - 1) / block_rows * block_target);
        for (std::int64_t column = 0; column < n_columns; ++column) {
            layout.starts.push_back(static_cast<std::uint32_t>(unit - layout.first_unit.back()));
            const std::int64_t count = counts[as_size(panel * n_columns + column)];
            std::int64_t& from = next[as_size(column)];
            for (std::int64_t i = 0; i < count; ++i, ++unit) {
                const std::int64_t n = entries_of(from);
                std::memcpy(layout.values.data() + as_size(unit) * unit_bytes, values + as_size(from) * value_bytes,
                            as_size(n) * value_bytes);
                layout.targets[as_size(unit)] =
                    static_cast<std::uint16_t>((by_column.columns[from] - first_row) / block_rows * block_target);
                from += n;
            }
            for (std::int64_t i = count; i < padded(count); ++i) layout.targets[as_size(unit++)] = nowhere;
        }
        if (unit - layout.first_unit.back() > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("a panel of a matrix has more than 2^32 - 1 blocks");
        layout.starts.push_back(static_cast<std::uint32_t>(unit - layout.first_unit.back()));
    }
    return layout;
}

}  // namespace cs
