// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "core/layout.hpp"

namespace cs {
namespace {

std::size_t as_size(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T>
class Builder {
   public:
    Builder(const StoredMatrix& matrix, RowGroupsLayout& layout)
        : matrix_(matrix),
          values_(static_cast<const T*>(matrix.values)),
          layout_(layout),
          next_(matrix.row_ptr, matrix.row_ptr + matrix.rows),
          end_(as_size(matrix.rows)),
          order_(as_size(std::min(layout.panel_rows, matrix.rows))) {
        const auto nnz = as_size(matrix.row_ptr[matrix.rows]);
        // The micro-kernel loads four values and columns at a time; a spare group keeps the last load inside.
        layout.columns.resize(nnz + group_rows);
        layout.values.resize((nnz + group_rows) * sizeof(T));
    }

    void build() {
        for (std::int64_t panel = 0; panel < layout_.n_panels; ++panel) {
            first_row_ = panel * layout_.panel_rows;
            n_rows_ = std::min(layout_.panel_rows, matrix_.rows - first_row_);
            for (std::int64_t block = 0; block < layout_.n_blocks; ++block) {
                first_col_ = block * layout_.block_cols;
                find_ends(first_col_ + layout_.block_cols);
                sort_rows();
                append_part();
            }
        }
    }

   private:
    std::int64_t count(std::int64_t row) const { return end_[as_size(row)] - next_[as_size(row)]; }

    void find_ends(std::int64_t last_col) {
        for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row) {
            const std::int32_t* const from = matrix_.columns + next_[as_size(row)];
            const std::int32_t* const to = matrix_.columns + matrix_.row_ptr[row + 1];
            end_[as_size(row)] = next_[as_size(row)] + (std::lower_bound(from, to, last_col) - from);
        }
    }

    // Rows of the panel by descending count, stable: a counting sort, because counts are small.
    void sort_rows() {
        std::int64_t most = 0;
        for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row) most = std::max(most, count(row));
        position_.assign(as_size(most + 2), 0);
        for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row) ++position_[as_size(most - count(row) + 1)];
        std::partial_sum(position_.begin(), position_.end(), position_.begin());
        for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row)
            order_[as_size(position_[as_size(most - count(row))]++)] = row;
    }

    void append_entry(std::int64_t row) {
        const std::int64_t from = next_[as_size(row)]++;
        layout_.columns[entry_] = static_cast<std::uint16_t>((matrix_.columns[from] - first_col_) * column_unit);
        std::memcpy(&layout_.values[entry_ * sizeof(T)], values_ + from, sizeof(T));
        ++entry_;
    }

    void append_part() {
        RowGroupsLayout::Part part{};
        part.run = static_cast<std::int64_t>(layout_.runs.size());
        part.tail = static_cast<std::int64_t>(layout_.tails.size());
        part.row = static_cast<std::int64_t>(layout_.rows.size());
        part.entry = static_cast<std::int64_t>(entry_);
        for (std::int64_t group = 0; group < n_rows_; group += group_rows) {
            const std::int64_t n = std::min<std::int64_t>(group_rows, n_rows_ - group);
            const auto steps = n < group_rows ? 0u : static_cast<std::uint32_t>(count(order_[as_size(group + n - 1)]));
            if (static_cast<std::int64_t>(layout_.runs.size()) == part.run || layout_.runs.back().count != steps)
                layout_.runs.push_back({0, steps});
            ++layout_.runs.back().groups;
            for (std::int64_t r = 0; r < group_rows; ++r)
                layout_.rows.push_back(
                    static_cast<std::uint16_t>(order_[as_size(group + std::min(r, n - 1))] - first_row_));
            for (std::uint32_t step = 0; step < steps; ++step)
                for (std::int64_t r = 0; r < group_rows; ++r) append_entry(order_[as_size(group + r)]);
        }
        for (std::int64_t i = 0; i < n_rows_; ++i) {
            const std::int64_t row = order_[as_size(i)];
            const std::int64_t left = count(row);
            if (left == 0) continue;
            layout_.tails.push_back({static_cast<std::uint16_t>(row - first_row_), static_cast<std::uint16_t>(left)});
            for (std::int64_t step = 0; step < left; ++step) append_entry(row);
        }
        part.n_runs = static_cast<std::int64_t>(layout_.runs.size()) - part.run;
        part.n_tails = static_cast<std::int64_t>(layout_.tails.size()) - part.tail;
        layout_.parts.push_back(part);
    }

    const StoredMatrix& matrix_;
    const T* const values_;
    RowGroupsLayout& layout_;
    std::vector<std::int64_t> next_, end_;  // of a row: its first entry not yet placed; its first beyond the block
    std::vector<std::int64_t> order_, position_;
    std::int64_t first_row_ = 0, n_rows_ = 0, first_col_ = 0;
    std::size_t entry_ = 0;
};

}  // namespace

StoredMatrix transpose(const StoredMatrix& stored, OwnedCsr& owned) {
    const std::int64_t nnz = stored.row_ptr[stored.rows];
    const auto width = static_cast<std::size_t>(type_bytes[static_cast<int>(stored.type)]);
    owned.row_ptr.assign(as_size(stored.cols) + 1, 0);
    owned.columns.resize(as_size(nnz));
    owned.values.resize(as_size(nnz) * width);
    for (std::int64_t i = 0; i < nnz; ++i) ++owned.row_ptr[as_size(stored.columns[i]) + 1];
    std::partial_sum(owned.row_ptr.begin(), owned.row_ptr.end(), owned.row_ptr.begin());
    std::vector<std::int64_t> next(owned.row_ptr.begin(), owned.row_ptr.end() - 1);
    const auto* const values = static_cast<const unsigned char*>(stored.values);
    for (std::int64_t row = 0; row < stored.rows; ++row)
        for (std::int64_t i = stored.row_ptr[row]; i < stored.row_ptr[row + 1]; ++i) {
            const std::int64_t to = next[as_size(stored.columns[i])]++;
            owned.columns[as_size(to)] = static_cast<std::int32_t>(row);
            std::memcpy(&owned.values[as_size(to) * width], values + as_size(i) * width, width);
        }
    return {stored.cols, stored.rows, owned.row_ptr.data(), owned.columns.data(), owned.values.data(), stored.type};
}

std::int64_t RowGroupsLayout::bytes() const {
    return static_cast<std::int64_t>(parts.size() * sizeof(Part) + runs.size() * sizeof(GroupRun) +
                                     tails.size() * sizeof(RowTail) + rows.size() * sizeof(std::uint16_t) +
                                     columns.size() * sizeof(std::uint16_t) + values.size());
}

RowGroupsLayout make_row_groups(const StoredMatrix& matrix, std::int64_t panel_rows, std::int64_t block_cols) {
    RowGroupsLayout layout{};
    layout.panel_rows = panel_rows;
    layout.block_cols = block_cols;
    layout.n_panels = (matrix.rows + panel_rows - 1) / panel_rows;
    layout.n_blocks = std::max<std::int64_t>(1, (matrix.cols + block_cols - 1) / block_cols);  // 0 columns: outputs are 0
    switch (matrix.type) {
        case Type::f32: Builder<float>(matrix, layout).build(); break;
        case Type::f64: Builder<double>(matrix, layout).build(); break;
        case Type::i64: Builder<std::int64_t>(matrix, layout).build(); break;
    }
    return layout;
}

}  // namespace cs
