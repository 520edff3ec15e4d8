// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "base/sizes.hpp"
#include "layouts/columns.hpp"
#include "layouts/costs.hpp"
#include "layouts/stored.hpp"
#include "pattern/pattern.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_target = 65535;

// Sums of 8-bit weights have 32 bits.
std::int64_t target_of_block(Type weights, int block_rows) {
    const int block_bytes = block_rows * bytes_of(weights == Type::s8 ? Type::s32 : weights);
    return block_bytes / target_unit(block_bytes);
}

// The last block may be cut off by the matrix's edge.
std::int64_t entries_of_block(const StoredMatrix& by_column, std::int64_t at, int block_rows) {
    return std::min<std::int64_t>(block_rows, by_column.cols - by_column.columns[at]);
}

std::int64_t whole_steps(std::int64_t units) { return (units + columns_unroll - 1) / columns_unroll * columns_unroll; }

// Calls take(column, panel, units) for every column and each panel of which it owns units, columns ascending.
template <class Take>
void for_each_loop(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows, Take take) {
    for (std::int64_t column = 0; column < by_column.rows; ++column) {
        std::int64_t panel = -1, units = 0;
        for (std::int64_t at = by_column.row_ptr[column]; at < by_column.row_ptr[column + 1];
             at += entries_of_block(by_column, at, block_rows)) {
            const std::int64_t here = by_column.columns[at] / panel_rows;
            if (here != panel && units > 0) take(column, panel, std::exchange(units, 0));
            panel = here;
            ++units;
        }
        if (units > 0) take(column, panel, units);
    }
}

// Fills the lists and counts, without padding, in memory linear in the entries, rows and columns.
void count_units(const StoredMatrix& by_column, int block_rows, ColumnLoops& loops) {
    const std::int64_t n_columns = by_column.rows;
    std::vector<std::int64_t>& first = loops.lists.first;
    first.assign(as_size(loops.n_panels) + 1, 0);
    // Lists cost a search for every winner.
    const auto pairs = static_cast<double>(loops.n_panels) * static_cast<double>(n_columns);
    if (pairs <= 4 * static_cast<double>(by_column.nnz() + by_column.cols + n_columns)) {
        for (std::int64_t panel = 0; panel <= loops.n_panels; ++panel) first[as_size(panel)] = panel * n_columns;
        loops.counts.resize(as_size(first.back()));
        for_each_loop(by_column, block_rows, loops.panel_rows,
                      [&](std::int64_t column, std::int64_t panel, std::int64_t units) {
                          loops.counts[as_size(first[as_size(panel)] + column)] = units;
                      });
        return;
    }
    loops.lists.listed = true;
    for_each_loop(by_column, block_rows, loops.panel_rows,
                  [&](std::int64_t, std::int64_t panel, std::int64_t) { ++first[as_size(panel) + 1]; });
    std::partial_sum(first.begin(), first.end(), first.begin());
    loops.counts.resize(as_size(first.back()));
    loops.lists.columns.resize(as_size(first.back()));
    std::vector<std::int64_t> next(first.begin(), first.end() - 1);
    for_each_loop(by_column, block_rows, loops.panel_rows,
                  [&](std::int64_t column, std::int64_t panel, std::int64_t units) {
                      const std::size_t loop = as_size(next[as_size(panel)]++);
                      loops.lists.columns[loop] = static_cast<std::int32_t>(column);
                      loops.counts[loop] = units;
                  });
}

}  // namespace

int column_blocks(const StoredMatrix& by_column) {
    const Pattern<std::int32_t> pattern{by_column.rows, by_column.cols, by_column.row_ptr, by_column.columns};
    int rows = 1;
    while (rows < 16 && 2 * rows <= by_column.cols && has_block(pattern, {1, 2 * rows})) rows *= 2;
    return rows;
}

std::int64_t ColumnsLayout::bytes() const {
    return bytes_of_arrays(first_unit, lists.first, lists.columns, starts, targets, values);
}

ColumnLoops column_loops(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows) {
    const std::int64_t rows = by_column.cols;
    const std::int64_t block_target = target_of_block(by_column.type, block_rows);
    ColumnLoops loops{};
    // One target is that of the block that padding goes to.
    const std::int64_t panel_blocks =
        std::clamp<std::int64_t>((panel_rows + block_rows - 1) / block_rows, 1, most_target / block_target);
    loops.panel_rows = panel_blocks * block_rows;
    loops.n_panels = std::max<std::int64_t>(1, (rows + loops.panel_rows - 1) / loops.panel_rows);

    count_units(by_column, block_rows, loops);
    std::int64_t most = 0, in_steps = 0;
    for (const std::int64_t count : loops.counts) {
        loops.stored += count;
        most = std::max(most, count);
        in_steps += whole_steps(count);
    }
    // The processor foresees the end of a column's loop where all have one length, and half of it where none has a
    // rest. A rest that it does not foresee takes as long as a dozen units; alike loops take some more bytes too.
    const std::int64_t alike = most * static_cast<std::int64_t>(loops.counts.size());
    const bool all_alike = 12 * alike <= 13 * loops.stored, whole = in_steps <= 3 * loops.stored;
    for (std::int64_t& count : loops.counts) count = all_alike ? most : whole ? whole_steps(count) : count;
    loops.n_units = all_alike ? alike : whole ? in_steps : loops.stored;

    loops.unforeseen = chance_to_differ(loops.counts);
    return loops;
}

ColumnsLayout derive_columns(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows) {
    const std::int64_t n_columns = by_column.rows, rows = by_column.cols;
    const auto unit_bytes = as_size(block_rows * bytes_of(by_column.type));
    const std::int64_t block_target = target_of_block(by_column.type, block_rows);
    ColumnLoops loops = column_loops(by_column, block_rows, panel_rows);
    ColumnsLayout layout;
    layout.block_rows = block_rows;
    layout.rows = rows;
    layout.cols = n_columns;
    layout.panel_rows = loops.panel_rows;
    layout.n_panels = loops.n_panels;
    layout.n_units = loops.n_units;
    layout.padded = loops.n_units > loops.stored;
    layout.lists = std::move(loops.lists);
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
        const Range of_panel = layout.lists.of_panel(panel);
        for (std::int64_t loop = of_panel.first; loop < of_panel.first + of_panel.count; ++loop) {
            const std::int64_t column =
                layout.lists.are_listed() ? layout.lists.columns[as_size(loop)] : loop - of_panel.first;
            layout.starts.push_back(static_cast<std::uint32_t>(unit - layout.first_unit.back()));
            const std::int64_t end = unit + loops.counts[as_size(loop)];
            std::int64_t& from = next[as_size(column)];
            const std::int64_t last = by_column.row_ptr[column + 1];
            for (; from < last && by_column.columns[from] < first_row + layout.panel_rows; ++unit) {
                const std::int64_t n = entries_of_block(by_column, from, block_rows);
                std::memcpy(layout.values.data() + as_size(unit) * unit_bytes, values + as_size(from) * value_bytes,
                            as_size(n) * value_bytes);
                layout.targets[as_size(unit)] =
                    static_cast<std::uint16_t>((by_column.columns[from] - first_row) / block_rows * block_target);
                from += n;
            }
            while (unit < end) layout.targets[as_size(unit++)] = nowhere;
        }
        if (unit - layout.first_unit.back() > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("a panel of a matrix has more than 2^32 - 1 blocks");
        layout.starts.push_back(static_cast<std::uint32_t>(unit - layout.first_unit.back()));
    }
    return layout;
}

}  // namespace cs
