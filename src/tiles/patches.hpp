// SPDX-License-Identifier: BSD-3-Clause
// Patches as a source: the columns of a convolution, of which only those of a tile are ever written out.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tiles/source.hpp"

namespace cs {

// Of the positions from `first` on, `stride` apart: those in [0, size), as indices into them, of `count`.
struct Inside {
    std::int64_t first, last;

    static Inside of(std::int64_t first, std::int64_t stride, std::int64_t count, std::int64_t size) {
        const std::int64_t before = first < 0 ? (-first + stride - 1) / stride : 0;
        const std::int64_t until = first < size ? (size - first + stride - 1) / stride : 0;
        const std::int64_t last = std::min(until, count);
        return {std::min(before, last), last};
    }
};

template <class T>
class PatchesSource final : public Source<T> {
   public:
    // The patches' images and sliding must outlive the source.
    explicit PatchesSource(const PatchesView& x)
        : Source<T>(x.images->channels * x.sliding->taps(), nullptr),
          images_(*x.images),
          sliding_(*x.sliding),
          image_(static_cast<const T*>(images_.data) + x.image * images_.image_stride),
          pad_(static_cast<T>(x.pad)) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, T* to) const override {
        for (std::int64_t k = 0; k < rows.count; ++k) {
            const std::int64_t row = which != nullptr ? which[rows.first + k] : rows.first + k;
            pack_row(row, cols, to + k * width);
            std::fill(to + k * width + cols.count, to + (k + 1) * width, T{});
        }
    }

    void pack_columns(Range cols, std::int64_t step, T* to) const override {
        const Sliding& s = sliding_;
        for (std::int64_t j = 0; j < cols.count; ++j, to += step) {
            const std::int64_t pixel = cols.first + j;
            const std::int64_t top = pixel / s.out_cols * s.stride_rows - s.top;
            const std::int64_t left = pixel % s.out_cols * s.stride_cols - s.left;
            const Inside taps = Inside::of(left, s.dilation_cols, s.kernel_cols, images_.width);
            T* at = to;
            for (std::int64_t c = 0; c < images_.channels; ++c)
                for (std::int64_t a = 0; a < s.kernel_rows; ++a, at += s.kernel_cols) {
                    const std::int64_t y = top + a * s.dilation_rows;
                    std::fill_n(at, s.kernel_cols, pad_);
                    if (y < 0 || y >= images_.height) continue;
                    const T* const line = image_ + c * images_.channel_stride + y * images_.row_stride;
                    for (std::int64_t b = taps.first; b < taps.last; ++b)
                        at[b] = line[(left + b * s.dilation_cols) * images_.col_stride];
                }
        }
    }

   private:
    // One channel and tap, of the pixels `cols`: a run for each row of the output.
    void pack_row(std::int64_t row, Range cols, T* to) const {
        const Sliding& s = sliding_;
        const std::int64_t channel = row / s.taps(), tap = row % s.taps();
        const std::int64_t down = tap / s.kernel_cols * s.dilation_rows - s.top;
        const std::int64_t right = tap % s.kernel_cols * s.dilation_cols - s.left;
        const T* const plane = image_ + channel * images_.channel_stride;
        std::int64_t out_row = cols.first / s.out_cols, out_col = cols.first % s.out_cols;
        for (std::int64_t left = cols.count; left > 0; ++out_row, out_col = 0) {
            const std::int64_t n = std::min(left, s.out_cols - out_col), y = out_row * s.stride_rows + down;
            const std::int64_t x = out_col * s.stride_cols + right, step = s.stride_cols * images_.col_stride;
            Inside run{n, n};
            if (y >= 0 && y < images_.height) run = Inside::of(x, s.stride_cols, n, images_.width);
            const T* const from = plane + y * images_.row_stride + x * images_.col_stride;
            std::fill(to, to + run.first, pad_);
            if (step == 1)
                std::copy(from + run.first, from + run.last, to + run.first);
            else
                for (std::int64_t i = run.first; i < run.last; ++i) to[i] = from[i * step];
            std::fill(to + run.last, to + n, pad_);
            to += n;
            left -= n;
        }
    }

    const ImagesView& images_;
    const Sliding& sliding_;
    const T* const image_;
    const T pad_;
};

}  // namespace cs
