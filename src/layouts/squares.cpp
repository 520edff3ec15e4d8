// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "layouts/layout.hpp"
#include "pattern/pattern.hpp"
#include "base/sizes.hpp"

namespace cs {

bool is_blocked(const StoredMatrix& matrix) {
    if (matrix.rows % block_side != 0 || matrix.cols % block_side != 0 || matrix.cols > max_blocks_cols) return false;
    const Pattern<std::int32_t> pattern{matrix.rows, matrix.cols, matrix.row_ptr, matrix.columns};
    return has_block(pattern, {block_side, block_side});
}

std::int64_t BlocksLayout::bytes() const {
    return static_cast<std::int64_t>((first_rows.size() + counts.size()) * sizeof(std::uint32_t) +
                                     first_block.size() * sizeof(std::int64_t) +
                                     columns.size() * sizeof(std::uint16_t) + values.size());
}

std::int64_t BlocksLayout::slots(Type type) const { return static_cast<std::int64_t>(values.size()) / bytes_of(type); }

BlocksLayout make_blocks(const StoredMatrix& matrix) {
    BlocksLayout layout;
    const auto width = as_size(bytes_of(matrix.type));
    const std::int64_t n_rows = matrix.rows / block_side;
    auto count = [&](std::int64_t row) {
        return (matrix.row_ptr[row * block_side + 1] - matrix.row_ptr[row * block_side]) / block_side;
    };
    std::vector<std::int64_t> order(as_size(n_rows));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return count(a) > count(b); });
    const auto no_column = static_cast<std::uint16_t>(matrix.cols / block_side);
    const auto* const stored = static_cast<const unsigned char*>(matrix.values);
    for (std::int64_t first = 0; first < n_rows; first += rows_at_once) {
        const std::int64_t steps = count(order[as_size(first)]);
        layout.first_block.push_back(static_cast<std::int64_t>(layout.columns.size()));
        layout.counts.push_back(static_cast<std::uint32_t>(steps));
        const std::size_t at = layout.columns.size(), of_block = as_size(block_side * block_side) * width;
        layout.columns.resize(at + as_size(steps * rows_at_once), no_column);
        layout.values.resize(layout.columns.size() * of_block, 0);
        for (int q = 0; q < rows_at_once; ++q) {
            const std::int64_t row = first + q < n_rows ? order[as_size(first + q)] : -1;
            layout.first_rows.push_back(row < 0 ? no_row : static_cast<std::uint32_t>(row * block_side));
            const std::int64_t n = row < 0 ? 0 : count(row);
            layout.padded = layout.padded || n < steps;
            for (std::int64_t step = 0; step < n; ++step) {
                const std::size_t to = at + as_size(step * rows_at_once + q);
                const std::int64_t entry = matrix.row_ptr[row * block_side] + step * block_side;
                layout.columns[to] = static_cast<std::uint16_t>(matrix.columns[entry] / block_side);
                for (int r = 0; r < block_side; ++r)
                    std::memcpy(&layout.values[to * of_block + as_size(r * block_side) * width],
                                stored + as_size(matrix.row_ptr[row * block_side + r] + step * block_side) * width,
                                block_side * width);
            }
        }
    }
    return layout;
}

}  // namespace cs
