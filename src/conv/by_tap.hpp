// SPDX-License-Identifier: BSD-3-Clause
// Filters as convolutions on pixels read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/sizes.hpp"
#include "base/types.hpp"
#include "base/views.hpp"
#include "layouts/stored.hpp"

namespace cs {

// The filters with the channels of a tap next to each other, as pixels have them.
struct ByTap {
    OwnedCsr owned;
    StoredMatrix stored{};

    ByTap(const StoredMatrix& filters, std::int64_t taps) {
        const std::int64_t channels = filters.cols / taps;
        const auto width = as_size(bytes_of(filters.type));
        const auto* const values = static_cast<const unsigned char*>(filters.values);
        owned.row_ptr.assign(filters.row_ptr, filters.row_ptr + filters.rows + 1);
        owned.columns.reserve(as_size(filters.nnz()));
        owned.values.resize(as_size(filters.nnz()) * width);
        std::vector<std::pair<std::int32_t, std::int64_t>> row;
        unsigned char* to = owned.values.data();
        for (std::int64_t r = 0; r < filters.rows; ++r) {
            row.clear();
            for (std::int64_t at = filters.row_ptr[r]; at < filters.row_ptr[r + 1]; ++at) {
                const std::int64_t column = filters.columns[at];
                row.emplace_back(static_cast<std::int32_t>(column % taps * channels + column / taps), at);
            }
            std::sort(row.begin(), row.end());
            for (const auto& [column, at] : row) {
                owned.columns.push_back(column);
                std::copy_n(values + as_size(at) * width, width, to);
                to += width;
            }
        }
        stored = {filters.rows,         filters.cols,        owned.row_ptr.data(),
                  owned.columns.data(), owned.values.data(), filters.type};
    }
    ByTap(const ByTap&) = delete;
    ByTap& operator=(const ByTap&) = delete;
};

}  // namespace cs
