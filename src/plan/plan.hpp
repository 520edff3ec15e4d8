// SPDX-License-Identifier: BSD-3-Clause
// Which micro-kernel and layout multiply a matrix, and the layouts a matrix holds.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "api.hpp"
#include "layouts/layout.hpp"
#include "base/parallel.hpp"
#include "kernels/registry.hpp"

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
    // Patterns that give every row the same share of each window: tiles of ascending width on one layout.
    std::vector<Registered<RoutedRow>> routed_tiles;
    const RoutedLayout* routed = nullptr;
    // Square blocks, one column.
    Registered<BlocksRow> blocks_row{nullptr, 0};
    const BlocksLayout* blocks = nullptr;
    // Rows that share their columns by the strip, one column.
    Registered<StripsRow> strips_row{nullptr, 0};
    const StripsLayout* strips = nullptr;
    std::string name, reason;
};

struct ColumnsChoice {
    Registered<ColumnsRow> row;
    const MoveRow* move;
    const ColumnsLayout* layout;
    bool far;  // too large for L2
    std::string name, reason;
};

// What a product with sparse activations costs on either way, in cycles: winners_plan.cpp.
struct WinnersModel;

// What is known of a pattern beyond its size: found on first need, O(entries).
struct Structure {
    RoutedPattern routed;  // up to the widest window of any ISA level
    int shared_rows = 1;   // 8, 4, 2 or 1 neighbouring rows have one pattern throughout
    bool square_blocks = false;
    bool strips = false;
    bool fits_bf16 = false;
    std::int64_t columns_read = 0;  // by row groups: all, or those that own an entry
};

struct Layouts {
    // few_columns: less than a cache line of floats; some_columns: up to two lines; whole_line: contiguous rows of one,
    // which a tile may read in place; batch: more, x and y with contiguous rows; wide_batch: likewise, so wide that
    // reading x in place pays for longer; packed_batch: more, with rows that are not contiguous; ordered: any, with one
    // order of summation for all.
    enum Kind { one_column, few_columns, some_columns, whole_line, packed_batch, batch, wide_batch, ordered, n_kinds };
    ForkSafeMutex mutex;                               // guards the building of all below
    std::atomic<const Choice*> choices[2][n_kinds]{};  // [side][kind]
    std::vector<std::unique_ptr<const Choice>> owned;
    std::unique_ptr<const Structure> structure[2];
    std::unique_ptr<const BlocksLayout> blocks[2];
    std::unique_ptr<const StripsLayout> strips[2];
    std::vector<std::unique_ptr<const RowGroupsLayout>> row_groups[2];  // by rows that share their columns
    std::unique_ptr<const ColumnsLayout> columns[2];
    // Of products with sparse activations.
    std::atomic<const WinnersModel*> winners_models[2]{};
    std::atomic<const ColumnsChoice*> columns_choices[2]{};
    std::vector<std::shared_ptr<const void>> owned_for_winners;
    // One for each ISA level that was asked for and wants its own.
    std::vector<std::unique_ptr<const WindowsLayout>> windows[2];
    std::vector<std::unique_ptr<const RoutedLayout>> routed[2];
};

inline constexpr std::int64_t line_columns = 16;
Layouts::Kind kind_of(const PlanRequest& request);

}  // namespace cs
