// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/names.hpp"
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

    const Part& part(std::int64_t panel, std::int64_t block) const {
        return parts[static_cast<std::size_t>(panel * n_blocks + block)];
    }

    // What of a part micro-kernels read; `places`: the columns, or what stands for them.
    template <class W, class Column>
    GroupsArgs<Column> args_of(const Part& part, const Column* places) const {
        GroupsArgs<Column> args{};
        args.runs = runs.data() + part.run;
        args.tails = tails.data() + part.tail;
        args.n_runs = part.n_runs;
        args.n_tails = part.n_tails;
        args.rows = rows.data() + part.row;
        args.columns = places + (shared_rows > 0 ? part.entry / shared_rows : part.entry);
        args.values = values.data() + static_cast<std::size_t>(part.entry) * sizeof(W);
        return args;
    }
};

// What micro-kernels on groups are called; `shared`: the layout whose rows share their columns.
template <class Row>
RowName name_of_groups(const Row& row, const char* op, const char* plain, const char* shared) {
    const bool shares = row.shared_rows > 0;
    const int rows = shares ? row.shared_rows : group_rows;
    return {op,
            shares ? shared : plain,
            name_of(row.types),
            shares ? std::to_string(rows) + "sx" + std::to_string(row.tile_cols) : by(rows, row.tile_cols),
            rows,
            row.tile_cols};
}

// block_cols at most max_block_cols, panel_rows at most has_tail. shared_rows: so many neighbouring rows
// have one pattern, and panels are made of whole groups.
RowGroupsLayout derive_row_groups(const StoredMatrix& matrix, std::int64_t panel_rows, std::int64_t block_cols,
                                  int shared_rows);
// With the values of a matrix; `order`: the layout of the numbers of its entries.
RowGroupsLayout refilled(const RowGroupsLayout& order, const StoredMatrix& matrix);

}  // namespace cs
