// SPDX-License-Identifier: BSD-3-Clause
// Pools: the largest or the mean of what lies under a sliding window.
#pragma once

#include <cstdint>

#include "base/types.hpp"
#include "base/views.hpp"

namespace cs {

enum class PoolKind : std::uint8_t {
    largest,      // NaN where there is one
    mean_inside,  // of the pixels of the image
    mean          // of those and of the padding that the window reaches, up to `padded` rows and columns
};

struct Pool {
    PoolKind kind;
    Type type;
    Sliding sliding;
    // Rows and columns of the padded image: what a window reaches beyond them counts for no mean.
    std::int64_t padded_rows, padded_cols;
};

// y has the channels of x. Every window meets a pixel of the image. May throw std::bad_alloc.
void pool(const Pool& pool, const ImagesView& x, const ImagesView& y);

}  // namespace cs
