// SPDX-License-Identifier: BSD-3-Clause
#include "pattern/pattern.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "base/sizes.hpp"
#include "pattern/column_numbers.hpp"

namespace cs {

template <class Index>
CsrReport validate_csr(const Pattern<Index>& pattern, std::int64_t n_columns, std::int64_t n_values) {
    CsrReport report;
    auto fail = [&](CsrRule rule, std::int64_t at) {
        report.broken = rule;
        report.at = at;
        return report;
    };
    if (pattern.rows < 0 || pattern.cols < 0) return fail(CsrRule::negative_shape, 0);
    const std::int64_t* const row_ptr = pattern.row_ptr;
    if (row_ptr[0] != 0) return fail(CsrRule::first_pointer, 0);
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        if (row_ptr[row] > row_ptr[row + 1]) return fail(CsrRule::pointers_descend, row);
    const std::int64_t nnz = row_ptr[pattern.rows];
    if (nnz != n_columns || nnz != n_values) return fail(CsrRule::last_pointer, pattern.rows);

    // One pass without branches over all columns; the culprit is looked for only if there is one.
    using Unsigned = std::make_unsigned_t<Index>;
    bool out_of_range = false;
    for (std::int64_t i = 0; i < nnz; ++i)
        out_of_range |= static_cast<std::uint64_t>(static_cast<Unsigned>(pattern.columns[i])) >=
                        static_cast<std::uint64_t>(pattern.cols);
    if (out_of_range)
        for (std::int64_t i = 0; i < nnz; ++i)
            if (pattern.columns[i] < 0 || pattern.columns[i] >= pattern.cols) return fail(CsrRule::column_range, i);

    // Neighbours that do not ascend are in order where a row ends between them: counted over all entries, and over the
    // ends of rows, by loops whose length does not depend on a row.
    std::int64_t descents = 0, repeats = 0;
    for (std::int64_t i = 1; i < nnz; ++i) {
        descents += pattern.columns[i] < pattern.columns[i - 1];
        repeats += pattern.columns[i] == pattern.columns[i - 1];
    }
    for (std::int64_t row = 1; row < pattern.rows && row_ptr[row] < nnz; ++row) {
        const std::int64_t i = row_ptr[row], before = std::max<std::int64_t>(i - 1, 0);
        const bool ends_one = i > row_ptr[row - 1] && i > 0;
        descents -= static_cast<std::int64_t>(ends_one & (pattern.columns[i] < pattern.columns[before]));
        repeats -= static_cast<std::int64_t>(ends_one & (pattern.columns[i] == pattern.columns[before]));
    }
    report.sorted = descents == 0;
    report.unique = repeats == 0;
    return report;
}

template <class Index>
std::int64_t max_column_count(const Index* columns, std::int64_t nnz, std::int64_t cols) {
    const ColumnNumbers<Index> number(columns, nnz, cols);
    std::vector<std::int64_t> count(as_size(number.count()), 0);
    for (std::int64_t i = 0; i < nnz; ++i) ++count[number(columns[i])];
    return count.empty() ? 0 : *std::max_element(count.begin(), count.end());
}

namespace {

template <class Index>
bool same_rows(const Pattern<Index>& pattern, std::int64_t first, std::int64_t second) {
    const std::int64_t begin = pattern.row_ptr[first], other = pattern.row_ptr[second];
    const std::int64_t n = pattern.row_ptr[first + 1] - begin;
    return n == pattern.row_ptr[second + 1] - other &&
           std::equal(pattern.columns + begin, pattern.columns + begin + n, pattern.columns + other);
}

// Rows of each aligned group of b rows own the same columns.
template <class Index>
bool rows_in_blocks(const Pattern<Index>& pattern, int b) {
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        if (row % b != 0 && !same_rows(pattern, row - row % b, row)) return false;
    return true;
}

// Columns of each row come in aligned groups of c (fewer at the right edge).
template <class Index>
bool columns_in_blocks(const Pattern<Index>& pattern, int c) {
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1];) {
            const std::int64_t first = pattern.columns[i];
            const std::int64_t n = std::min<std::int64_t>(c, pattern.cols - first);
            if (first % c != 0 || i + n > pattern.row_ptr[row + 1] || pattern.columns[i + n - 1] != first + n - 1)
                return false;
            i += n;
        }
    return true;
}

}  // namespace

template <class Index>
bool has_block(const Pattern<Index>& pattern, Block block) {
    return rows_in_blocks(pattern, block.rows) && columns_in_blocks(pattern, block.cols);
}

template <class Index>
Block detect_block(const Pattern<Index>& pattern) {
    Block block{1, 1};
    if (pattern.nnz() == 0) return block;
    while (block.rows < 32 && 2 * block.rows <= pattern.rows && rows_in_blocks(pattern, 2 * block.rows))
        block.rows *= 2;
    while (block.cols < 4 && 2 * block.cols <= pattern.cols && columns_in_blocks(pattern, 2 * block.cols))
        block.cols *= 2;
    return block;
}

template CsrReport validate_csr(const Pattern<std::int32_t>&, std::int64_t, std::int64_t);
template std::int64_t max_column_count(const std::int32_t*, std::int64_t, std::int64_t);
template Block detect_block(const Pattern<std::int32_t>&);
template bool has_block(const Pattern<std::int32_t>&, Block);
template CsrReport validate_csr(const Pattern<std::int64_t>&, std::int64_t, std::int64_t);
template std::int64_t max_column_count(const std::int64_t*, std::int64_t, std::int64_t);
template Block detect_block(const Pattern<std::int64_t>&);
template bool has_block(const Pattern<std::int64_t>&, Block);

}  // namespace cs
