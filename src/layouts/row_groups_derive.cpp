// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "base/sizes.hpp"
#include "layouts/row_groups.hpp"
#include "layouts/stored.hpp"

namespace cs {
namespace {

// A row's entries in one block.
struct Segment {
    std::int64_t row, next, end;
    std::int64_t count() const { return end - next; }
};

template <class T>
class Builder {
   public:
    Builder(const StoredMatrix& matrix, RowGroupsLayout& layout)
        : matrix_(matrix), values_(static_cast<const T*>(matrix.values)), layout_(layout) {
        const auto nnz = as_size(matrix.nnz());
        layout.columns.resize(layout.shared_rows > 0 ? nnz / as_size(layout.shared_rows) : nnz);
        layout.values.resize(nnz * sizeof(T));
    }

    void build() {
        for (std::int64_t panel = 0; panel < layout_.n_panels; ++panel) {
            first_row_ = panel * layout_.panel_rows;
            n_rows_ = std::min(layout_.panel_rows, matrix_.rows - first_row_);
            cut_rows();
            for (std::int64_t block = 0; block < layout_.n_blocks; ++block) {
                first_col_ = block * layout_.block_cols;
                sort_segments(block);
                append_part();
            }
        }
    }

   private:
    // The segments of the panel by block, rows ascending. Time is O(entries + blocks), not rows times blocks.
    void cut_rows() {
        segments_.clear();
        block_of_.clear();
        block_ptr_.assign(as_size(layout_.n_blocks) + 1, 0);
        for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row) {
            const std::int64_t end = matrix_.row_ptr[row + 1];
            for (std::int64_t at = matrix_.row_ptr[row]; at < end;) {
                const std::int64_t block = matrix_.columns[at] / layout_.block_cols;
                const auto* const from = matrix_.columns + at;
                const std::int64_t n =
                    std::lower_bound(from, matrix_.columns + end, (block + 1) * layout_.block_cols) - from;
                segments_.push_back({row, at, at + n});
                block_of_.push_back(block);
                ++block_ptr_[as_size(block) + 1];
                at += n;
            }
        }
        std::partial_sum(block_ptr_.begin(), block_ptr_.end(), block_ptr_.begin());
        by_block_.resize(segments_.size());
        std::vector<std::int64_t> next(block_ptr_.begin(), block_ptr_.end() - 1);
        for (std::size_t i = 0; i < segments_.size(); ++i)
            by_block_[as_size(next[as_size(block_of_[i])]++)] = segments_[i];
    }

    // The segments of a block by descending count, stable: a counting sort, because counts are small. The first and the
    // last block list the rows without entries too: their sums are zeroed and stored there.
    void sort_segments(std::int64_t block) {
        const Segment* const first = by_block_.data() + block_ptr_[as_size(block)];
        const Segment* const last = by_block_.data() + block_ptr_[as_size(block) + 1];
        std::int64_t most = 0;
        for (const Segment* s = first; s != last; ++s) most = std::max(most, s->count());
        position_.assign(as_size(most + 2), 0);
        for (const Segment* s = first; s != last; ++s) ++position_[as_size(most - s->count() + 1)];
        std::partial_sum(position_.begin(), position_.end(), position_.begin());
        order_.resize(static_cast<std::size_t>(last - first));
        for (const Segment* s = first; s != last; ++s) order_[as_size(position_[as_size(most - s->count())]++)] = *s;
        if (block == 0 || block == layout_.n_blocks - 1) {
            const Segment* s = first;
            for (std::int64_t row = first_row_; row < first_row_ + n_rows_; ++row) {
                if (s != last && s->row == row)
                    ++s;
                else
                    order_.push_back({row, 0, 0});
            }
        }
    }

    void append_entry(Segment& segment) {
        const std::int64_t from = segment.next++;
        layout_.columns[layout_.shared_rows > 0 ? entry_ / as_size(layout_.shared_rows) : entry_] =
            static_cast<std::uint16_t>((matrix_.columns[from] - first_col_) * column_unit);
        std::memcpy(&layout_.values[entry_ * sizeof(T)], values_ + from, sizeof(T));
        ++entry_;
    }

    std::uint16_t in_panel(const Segment& segment) const {
        return static_cast<std::uint16_t>(segment.row - first_row_);
    }

    void append_part() {
        RowGroupsLayout::Part part{};
        part.run = static_cast<std::int64_t>(layout_.runs.size());
        part.tail = static_cast<std::int64_t>(layout_.tails.size());
        part.row = static_cast<std::int64_t>(layout_.rows.size());
        part.entry = static_cast<std::int64_t>(entry_);
        const std::size_t of_group = layout_.shared_rows > 0 ? as_size(layout_.shared_rows) : group_rows;
        for (std::size_t group = 0; group < order_.size(); group += of_group) {
            const std::size_t n = std::min<std::size_t>(of_group, order_.size() - group);
            const auto steps = n < of_group ? 0u : static_cast<std::uint32_t>(order_[group + n - 1].count());
            if (static_cast<std::int64_t>(layout_.runs.size()) == part.run || layout_.runs.back().count != steps)
                layout_.runs.push_back({0, steps});
            ++layout_.runs.back().groups;
            for (std::size_t r = 0; r < of_group; ++r) {
                const Segment& segment = order_[group + std::min(r, n - 1)];
                const bool goes_on = segment.count() > steps;
                layout_.rows.push_back(static_cast<std::uint16_t>(in_panel(segment) | (goes_on ? has_tail : 0)));
            }
            for (std::uint32_t step = 0; step < steps; ++step)
                for (std::size_t r = 0; r < of_group; ++r) append_entry(order_[group + r]);
        }
        for (Segment& segment : order_) {
            const std::int64_t left = segment.count();
            if (left == 0) continue;
            layout_.tails.push_back({in_panel(segment), static_cast<std::uint16_t>(left)});
            for (std::int64_t step = 0; step < left; ++step) append_entry(segment);
        }
        part.n_runs = static_cast<std::int64_t>(layout_.runs.size()) - part.run;
        part.n_tails = static_cast<std::int64_t>(layout_.tails.size()) - part.tail;
        layout_.parts.push_back(part);
    }

    const StoredMatrix& matrix_;
    const T* const values_;
    RowGroupsLayout& layout_;
    std::vector<Segment> segments_, by_block_, order_;
    std::vector<std::int64_t> block_of_, block_ptr_, position_;
    std::int64_t first_row_ = 0, n_rows_ = 0, first_col_ = 0;
    std::size_t entry_ = 0;
};

}  // namespace

std::int64_t RowGroupsLayout::bytes() const { return bytes_of_arrays(used, parts, runs, tails, rows, columns, values); }

RowGroupsLayout derive_row_groups(const StoredMatrix& matrix, std::int64_t panel_rows, std::int64_t block_cols,
                                  int shared_rows) {
    RowGroupsLayout layout{};
    layout.entries = matrix.nnz();
    layout.shared_rows = shared_rows;
    layout.cols = matrix.cols;
    layout.panel_rows = panel_rows;
    layout.block_cols = block_cols;
    layout.n_panels = (matrix.rows + panel_rows - 1) / panel_rows;
    layout.n_blocks =
        std::max<std::int64_t>(1, (matrix.cols + block_cols - 1) / block_cols);  // 0 columns: outputs are 0
    dispatch_weights(matrix.type, [&](auto zero) { Builder<decltype(zero)>(matrix, layout).build(); });
    return layout;
}

RowGroupsLayout refilled(const RowGroupsLayout& order, const StoredMatrix& matrix) {
    RowGroupsLayout layout = order;
    dispatch_weights(matrix.type, [&](auto zero) {
        using W = decltype(zero);
        const auto* const numbers = reinterpret_cast<const std::int32_t*>(order.values.data());
        const auto* const values = static_cast<const W*>(matrix.values);
        layout.values.resize(as_size(layout.entries) * sizeof(W));
        W* const to = reinterpret_cast<W*>(layout.values.data());
        for (std::int64_t i = 0; i < layout.entries; ++i) to[i] = values[numbers[i]];
    });
    return layout;
}

}  // namespace cs
