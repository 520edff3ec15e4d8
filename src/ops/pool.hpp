// SPDX-License-Identifier: BSD-3-Clause
// Pools: the largest or the mean of what lies under a sliding window.
#pragma once

#include <cstdint>
#include <vector>

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

// Neighbouring outputs along one axis whose windows meet equally many pixels.
struct PoolRun {
    std::int64_t first, count;
    std::int64_t first_tap, last_tap;  // that meet pixels of the image
    std::int64_t padded;               // taps that meet the padded image

    std::int64_t taps() const { return last_tap - first_tap; }
};

// A pool of images that are as large and lie as x and y do; no address of theirs is read.
class BoundPool {
   public:
    BoundPool(const Pool& pool, const ImagesView& x, const ImagesView& y);
    // y has the channels of x. Every window meets a pixel of the image.
    void run(const ImagesView& x, const ImagesView& y, int threads) const;
    // Operations on an image, and what costs as much as one of them.
    double work(const ImagesView& x) const;

   private:
    Pool pool_;
    bool together_;  // elements of a fold are the channels of a pixel
    std::vector<PoolRun> rows_, cols_;
};

// May throw std::bad_alloc.
void pool(const Pool& pool, const ImagesView& x, const ImagesView& y);

}  // namespace cs
