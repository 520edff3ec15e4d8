// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "layouts/layout.hpp"
#include "base/sizes.hpp"

namespace cs {

bool is_of_strips(const StoredMatrix& matrix) {
    const bool floats = matrix.type == Type::f32 || matrix.type == Type::f64;
    if (!floats || matrix.rows == 0 || matrix.rows % strip_rows != 0 || matrix.cols > max_strips_cols) return false;
    for (std::int64_t first = 0; first < matrix.rows; first += strip_rows) {
        const std::int64_t start = matrix.row_ptr[first], n = matrix.row_ptr[first + 1] - start;
        if (n % strip_cols != 0) return false;
        const std::int32_t* const columns = matrix.columns + start;
        for (std::int64_t i = 0; i < n; i += strip_cols)
            if (columns[i + strip_cols - 1] != columns[i] + strip_cols - 1) return false;
        for (std::int64_t row = first + 1; row < first + strip_rows; ++row)
            if (!std::equal(columns, columns + n, matrix.columns + matrix.row_ptr[row],
                            matrix.columns + matrix.row_ptr[row + 1]))
                return false;
    }
    return true;
}

std::int64_t StripsLayout::bytes() const {
    return static_cast<std::int64_t>(counts.size() * sizeof(std::uint32_t) + first_quad.size() * sizeof(std::int64_t) +
                                     columns.size() * sizeof(std::uint16_t) + values.size());
}

StripsLayout make_strips(const StoredMatrix& matrix) {
    StripsLayout layout;
    const auto width = as_size(bytes_of(matrix.type));
    layout.values.resize(as_size(matrix.row_ptr[matrix.rows]) * width);
    const auto* const stored = static_cast<const unsigned char*>(matrix.values);
    unsigned char* to = layout.values.data();
    for (std::int64_t first = 0; first < matrix.rows; first += strip_rows) {
        const std::int64_t start = matrix.row_ptr[first], n = matrix.row_ptr[first + 1] - start;
        layout.first_quad.push_back(static_cast<std::int64_t>(layout.columns.size()));
        layout.counts.push_back(static_cast<std::uint32_t>(n / strip_cols));
        for (std::int64_t i = 0; i < n; i += strip_cols)
            layout.columns.push_back(static_cast<std::uint16_t>(matrix.columns[start + i]));
        for (std::int64_t i = 0; i < n; ++i)
            for (int r = 0; r < strip_rows; ++r, to += width)
                std::memcpy(to, stored + as_size(start + r * n + i) * width, width);
    }
    return layout;
}

}  // namespace cs
