// SPDX-License-Identifier: BSD-3-Clause
#include <cstddef>
#include <limits>
#include <stdexcept>

#include "base/sizes.hpp"
#include "pattern/column_numbers.hpp"
#include "pattern/pack.hpp"

namespace cs {

template <class Index>
void pack_split(const Pattern<Index>& pattern, Sets& sets, std::int32_t* set, std::int32_t* kernel_id) {
    if (pattern.rows > std::numeric_limits<std::int32_t>::max())
        throw std::length_error("pack_split: 2^31 rows or more");
    const ColumnNumbers<Index> number(pattern.columns, pattern.nnz(), pattern.cols);
    struct Members {
        std::int32_t count, last_row;
    };
    std::vector<Members> members;                                  // of a set
    std::vector<std::int32_t> filled(as_size(number.count()), 0);  // entries so far, of a column
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i) {
            const std::int32_t s = filled[number(pattern.columns[i])]++;
            if (as_size(s) == members.size()) members.push_back({0, -1});
            Members& of_set = members[as_size(s)];
            if (of_set.last_row != row) of_set = {of_set.count + 1, static_cast<std::int32_t>(row)};
            set[i] = s;
            kernel_id[i] = of_set.count - 1;
        }
    sets.set_ptr.assign(members.size() + 1, 0);
    for (std::size_t s = 0; s < members.size(); ++s) sets.set_ptr[s + 1] = sets.set_ptr[s] + members[s].count;
    sets.row_order.resize(as_size(sets.set_ptr.back()));
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i)
            sets.row_order[as_size(sets.set_ptr[as_size(set[i])] + kernel_id[i])] = row;
}

template void pack_split(const Pattern<std::int32_t>&, Sets&, std::int32_t*, std::int32_t*);
template void pack_split(const Pattern<std::int64_t>&, Sets&, std::int32_t*, std::int32_t*);

}  // namespace cs
