// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/views.hpp"

namespace cs {

// Whether the rows come in `height`s of one pattern; the last ones may be fewer.
inline bool comes_in(const StoredMatrix& matrix, std::int64_t height) {
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
        const std::int64_t first = row / height * height;
        if (!std::equal(matrix.columns + matrix.row_ptr[row], matrix.columns + matrix.row_ptr[row + 1],
                        matrix.columns + matrix.row_ptr[first], matrix.columns + matrix.row_ptr[first + 1]))
            return false;
    }
    return true;
}

}  // namespace cs
