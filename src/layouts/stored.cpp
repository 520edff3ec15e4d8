// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/stored.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "base/sizes.hpp"
#include "pattern/pattern.hpp"

namespace cs {

StoredMatrix transpose(const StoredMatrix& stored, OwnedCsr& owned) {
    const std::int64_t nnz = stored.nnz();
    const auto width = static_cast<std::size_t>(bytes_of(stored.type));
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

std::vector<std::int32_t> columns_worth_keeping(const StoredMatrix& matrix) {
    const std::int64_t nnz = matrix.nnz();
    if (matrix.cols < 1024 || nnz > 4 * matrix.cols) return {};  // few columns can be unused, or little is to gain
    std::vector<std::int32_t> used(matrix.columns, matrix.columns + nnz);
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    if (2 * static_cast<std::int64_t>(used.size()) > matrix.cols) used.clear();
    return used;
}

bool drop_unused_columns(const StoredMatrix& matrix, std::vector<std::int32_t>& used,
                         std::vector<std::int32_t>& renumbered, StoredMatrix& dropped) {
    used = columns_worth_keeping(matrix);
    if (used.empty()) return false;
    const std::int64_t nnz = matrix.nnz();
    renumbered.resize(as_size(nnz));
    for (std::int64_t i = 0; i < nnz; ++i)
        renumbered[as_size(i)] =
            static_cast<std::int32_t>(std::lower_bound(used.begin(), used.end(), matrix.columns[i]) - used.begin());
    dropped = matrix;
    dropped.cols = static_cast<std::int64_t>(used.size());
    dropped.columns = renumbered.data();
    return true;
}

std::vector<std::int64_t> rows_worth_listing(const StoredMatrix& matrix) {
    std::vector<std::int64_t> used;
    if (matrix.rows < 1024 || matrix.nnz() > 4 * matrix.rows) return used;
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        if (matrix.row_ptr[row + 1] > matrix.row_ptr[row]) used.push_back(row);
    if (2 * static_cast<std::int64_t>(used.size()) > matrix.rows) used.clear();
    return used;
}

int shared_rows(const StoredMatrix& matrix) {
    const Pattern<std::int32_t> pattern{matrix.rows, matrix.cols, matrix.row_ptr, matrix.columns};
    for (const int rows : {8, 4, 2})
        if (matrix.rows >= rows && has_block(pattern, {rows, 1})) return rows;
    return 1;
}

double density(const StoredMatrix& matrix) {
    const double size = static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
    return size > 0 ? static_cast<double>(matrix.nnz()) / size : 0;
}

bool is_finite(const StoredMatrix& matrix) {
    if (kind_of(matrix.type) != 'f') return true;
    return dispatch_weights(matrix.type, [&](auto zero) {
        using T = decltype(zero);
        const T* const values = static_cast<const T*>(matrix.values);
        return std::is_integral_v<T> ||
               std::all_of(values, values + matrix.nnz(), [](T value) { return std::isfinite(value); });
    });
}

}  // namespace cs
