// SPDX-License-Identifier: BSD-3-Clause
// Layouts: the order of a matrix's entries in memory that a family of micro-kernels reads (microkernel.hpp says how).
// Derived once from the stored matrix, on first need.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/microkernel.hpp"
#include "base/types.hpp"

namespace cs {

// A CSR matrix that owns its arrays: the transpose from which the layouts of W' are derived.
struct OwnedCsr {
    std::vector<std::int64_t> row_ptr;
    std::vector<std::int32_t> columns;
    std::vector<unsigned char> values;
};
// Counting sort, O(nnz + rows + cols). `view` refers to `owned`.
StoredMatrix transpose(const StoredMatrix& stored, OwnedCsr& owned);

// The columns that own an entry, where these are less than half: activations that nobody reads need not be packed.
// Otherwise none.
std::vector<std::int32_t> columns_worth_keeping(const StoredMatrix& matrix);
// The matrix of these columns only. `used` lists them; `dropped` refers to `renumbered`. Returns whether it did.
bool drop_unused_columns(const StoredMatrix& matrix, std::vector<std::int32_t>& used,
                         std::vector<std::int32_t>& renumbered, StoredMatrix& dropped);

struct RowGroupsLayout {
    struct Part {  // of one (panel, block): where its pieces start
        std::int64_t run, n_runs, tail, n_tails, row, entry;
    };
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

    std::int64_t bytes() const;
};
// block_cols at most max_block_cols, panel_rows at most 65536. shared_rows: so many neighbouring rows
// have one pattern, and panels are made of whole groups.
RowGroupsLayout make_row_groups(const StoredMatrix& matrix, std::int64_t panel_rows, std::int64_t block_cols,
                                int shared_rows);

struct WindowsLayout {
    int windows;  // per tile
    std::vector<WindowGroup> groups;
    std::vector<std::uint32_t> rows;
    AlignedVector<std::uint8_t> picks;
    std::vector<std::uint16_t> bases;
    AlignedVector<unsigned char> tile_values;
    AlignedVector<std::uint16_t> columns;
    AlignedVector<unsigned char> values;
    // Rows whose sums have more parts: output `rows of the matrix + i` is a part of row extra_rows[i].
    std::vector<std::uint32_t> extra_rows;
    std::int64_t tile_entries = 0;  // entries that went into tiles

    std::int64_t bytes() const;
    std::int64_t slots(Type type) const;  // entries and padding
};
inline constexpr std::int64_t max_windows_cols = 65536;
// `windows` per tile, 0 for gather steps only.
WindowsLayout make_windows(const StoredMatrix& matrix, int windows);

// A pattern in which all rows own about the same number of entries in each window of `width` columns: layers[i] is the
// number of the window that layer i draws from. No layers: there is no such width up to `widest`.
struct RoutedPattern {
    std::int64_t width = 0;
    std::vector<std::int64_t> layers;
};
RoutedPattern find_routed_pattern(const StoredMatrix& matrix, int widest);

// The most neighbouring rows, of 8, 4, 2 and 1, that have one pattern throughout.
int shared_rows(const StoredMatrix& matrix);
// Whether rounding the values to bfloat16 would change none.
bool fits_bf16(const StoredMatrix& matrix);

struct RoutedLayout {
    int lanes, window, block_rows;
    Weights weights;
    std::int64_t n_layers, n_units, slots;
    bool padded;
    std::vector<std::uint32_t> bases;
    AlignedVector<std::uint32_t> ids, values;

    std::int64_t bytes() const;
    bool fits(const RoutedRow& row) const {
        return lanes == row.lanes && window == row.window && block_rows == row.block_rows && weights == row.weights;
    }
};
// For the micro-kernels with the lanes, window, rows of a member and weights of `row`.
RoutedLayout make_routed(const StoredMatrix& matrix, const RoutedPattern& pattern, const RoutedRow& row);

// Whether every entry belongs to a whole block of block_side rows and columns, none cut by the matrix's edge.
bool is_blocked(const StoredMatrix& matrix);

struct BlocksLayout {
    std::vector<std::uint32_t> first_rows, counts;
    std::vector<std::int64_t> first_block;  // [group]
    std::vector<std::uint16_t> columns;     // where a row of blocks is shorter than its group: behind the last column
    AlignedVector<unsigned char> values;
    bool padded = false;

    std::int64_t bytes() const;
    std::int64_t slots(Type type) const;
};
inline constexpr std::int64_t max_blocks_cols = 65535 * std::int64_t{block_side};
BlocksLayout make_blocks(const StoredMatrix& matrix);

// Whether every entry belongs to a quad of a strip, no strip cut by the matrix's edge.
bool is_of_strips(const StoredMatrix& matrix);

struct StripsLayout {
    std::vector<std::uint32_t> counts;
    std::vector<std::int64_t> first_quad;  // [strip]
    std::vector<std::uint16_t> columns;
    AlignedVector<unsigned char> values;

    std::int64_t bytes() const;
};
inline constexpr std::int64_t max_strips_cols = 65536;
StripsLayout make_strips(const StoredMatrix& matrix);

struct ColumnsLayout {
    int block_rows;
    std::int64_t rows, cols, panel_rows, n_panels, n_units;  // n_units: with padding
    bool padded = false;
    std::vector<std::int64_t> first_unit;  // [panel]
    std::vector<std::uint32_t> starts;     // [panel][column and one more]: relative to the panel's first unit
    AlignedVector<std::uint16_t> targets;
    AlignedVector<unsigned char> values;

    std::int64_t bytes() const;
};
// The most neighbouring rows, up to 16, that share one pattern throughout. `by_column` is the matrix transposed.
int column_blocks(const StoredMatrix& by_column);
// Whether no value is NaN or infinite.
bool is_finite(const StoredMatrix& matrix);
// Panels of about panel_rows rows. Throws std::length_error where a panel has 2^32 units or more.
ColumnsLayout make_columns(const StoredMatrix& by_column, int block_rows, std::int64_t panel_rows);

}  // namespace cs
