// SPDX-License-Identifier: BSD-3-Clause
// The columns of a pattern numbered, for arrays with an item for each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/sizes.hpp"

namespace cs {

// Numbers the columns that occur 0, 1, ...: an array where cols is moderate, else a sorted list, so that a shape such
// as (5, 2^40) costs O(nnz log nnz) and not O(cols).
template <class Index>
class ColumnNumbers {
   public:
    ColumnNumbers(const Index* columns, std::int64_t nnz, std::int64_t cols) : count_(cols) {
        if (cols / 8 <= nnz + (1 << 20)) return;
        present_.assign(columns, columns + nnz);
        std::sort(present_.begin(), present_.end());
        present_.erase(std::unique(present_.begin(), present_.end()), present_.end());
        count_ = static_cast<std::int64_t>(present_.size());
    }
    std::int64_t count() const { return count_; }
    std::size_t operator()(Index column) const {
        if (present_.empty()) return as_size(column);
        return as_size(std::lower_bound(present_.begin(), present_.end(), column) - present_.begin());
    }

   private:
    std::int64_t count_;
    std::vector<Index> present_;
};

}  // namespace cs
