// SPDX-License-Identifier: BSD-3-Clause
#include <cstddef>

#include "base/sizes.hpp"
#include "pattern/column_numbers.hpp"
#include "pattern/pack.hpp"

namespace cs {

template <class Index>
PackingReport validate_packing(const Pattern<Index>& pattern, const std::int64_t* set_ptr, std::int64_t n_sets,
                               const std::int64_t* row_order, std::int64_t n_order) {
    PackingReport report;
    auto fail = [&](PackingRule rule, std::int64_t at) {
        report.broken = rule;
        report.at = at;
        return report;
    };
    if (n_order != pattern.rows || set_ptr[0] != 0) return fail(PackingRule::pointers, 0);
    for (std::int64_t set = 0; set < n_sets; ++set)
        if (set_ptr[set] > set_ptr[set + 1]) return fail(PackingRule::pointers, set);
    if (set_ptr[n_sets] != n_order) return fail(PackingRule::pointers, n_sets);
    std::vector<bool> seen(as_size(pattern.rows), false);
    for (std::int64_t i = 0; i < n_order; ++i) {
        const std::int64_t row = row_order[i];
        if (row < 0 || row >= pattern.rows || seen[as_size(row)]) return fail(PackingRule::permutation, i);
        seen[as_size(row)] = true;
    }
    const ColumnNumbers<Index> number(pattern.columns, pattern.nnz(), pattern.cols);
    std::vector<std::int64_t> last_set(as_size(number.count()), -1), last_row(as_size(number.count()), -1);
    for (std::int64_t set = 0; set < n_sets; ++set)
        for (std::int64_t member = set_ptr[set]; member < set_ptr[set + 1]; ++member) {
            const std::int64_t row = row_order[member];
            for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i) {
                const std::size_t column = number(pattern.columns[i]);
                if (last_set[column] == set) {
                    report.set = set;
                    report.column = static_cast<std::int64_t>(pattern.columns[i]);
                    report.first_row = last_row[column];
                    report.second_row = row;
                    return fail(PackingRule::shared_column, i);
                }
                last_set[column] = set;
                last_row[column] = row;
            }
        }
    return report;
}

template PackingReport validate_packing(const Pattern<std::int32_t>&, const std::int64_t*, std::int64_t,
                                        const std::int64_t*, std::int64_t);
template PackingReport validate_packing(const Pattern<std::int64_t>&, const std::int64_t*, std::int64_t,
                                        const std::int64_t*, std::int64_t);

}  // namespace cs
