// SPDX-License-Identifier: BSD-3-Clause
// Padded copies of an image, in which every tap of an output pixel lies at an offset that the pixel does not change.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/views.hpp"
#include "conv/convolution.hpp"
#include "kernels/move.hpp"
#include "tiles/patches.hpp"

namespace cs {

// An image with its zeros around it. Of strides above 1, the pixels that windows step over together form a *phase*: row
// i * stride_rows + a, column j * stride_cols + b of the padded image is (i, j) of phase (a, b). So neighbouring output
// pixels are neighbours in each phase, whatever the stride. Rows share their margin with the next where stride is 1.
//
// Planes: channel, phase, row, column. Pixels: phase, row, column, channel.
//
// Only a *strip* of the image is copied at a time, what a few rows of the output meet: it stays in L2, and strips are
// what threads share.
class Padded {
   public:
    // `whole`: the image is one strip, however large.
    Padded(const ConvShape& shape, bool channels_last, bool whole = false);

    // Strips of an image, or of so many rows of its outputs; and the output rows of one.
    std::int64_t n_strips(std::int64_t rows) const { return (rows + strip_rows_ - 1) / strip_rows_; }
    std::int64_t n_strips() const { return n_strips(shape_.sliding.out_rows); }
    std::int64_t first_row(std::int64_t strip) const { return strip * strip_rows_; }
    std::int64_t rows_of(std::int64_t strip) const {
        return std::min(strip_rows_, shape_.sliding.out_rows - first_row(strip));
    }
    std::int64_t strip_rows() const { return strip_rows_; }
    // Output rows that a copy is for: at most those of a strip. `images` begins at row x_first.
    struct Rows {
        std::int64_t first, count, x_first = 0;
    };
    Rows strip(std::int64_t number) const { return {first_row(number), rows_of(number)}; }
    // Rows of an image of such a height that the copy for these outputs reads.
    Range rows_read(Rows rows, std::int64_t height) const {
        const Sliding& s = shape_.sliding;
        const std::int64_t top = rows.first * s.stride_rows - s.top - rows.x_first;
        const std::int64_t last = top + (rows.count + down_.shift - 1) * s.stride_rows + down_.phases;
        const std::int64_t first = std::clamp<std::int64_t>(top, 0, height);
        return {first, std::clamp(last, first, height) - first};
    }

    // Elements from the strip's first on to what its output pixel (0, 0) meets at (channel, tap); and from one output
    // pixel to the next, and to that in the next row.
    std::int64_t offset(std::int64_t channel, std::int64_t tap) const;
    std::int64_t pixel_step() const { return channels_last_ ? channel_pitch_ : 1; }
    std::int64_t row_step() const { return pitch_ * pixel_step(); }
    // Output pixels from one row to the next, counted as pixel_step() counts them.
    std::int64_t pitch() const { return pitch_; }
    // Elements, without those that a tile reads beyond the last pixel.
    std::int64_t elements() const { return elements_; }

    // `fill`: what lies around the image, and is no channel.
    template <class T>
    void copy(const ImagesView& images, std::int64_t image, Rows rows, const MoveRow& move, T fill, T* to) const;

    // Of planes: the pixels of a whole channel, a row after the other, from `from` on. What lies around them stays as
    // it is.
    template <class T>
    void copy_pixels(const T* from, T* to) const {
        const Sliding& s = shape_.sliding;
        for (std::int64_t b = 0; b < across_.phases; ++b) {
            const Inside run = Inside::of(b - s.left, s.stride_cols, pitch_, shape_.width);
            const T* line = from + b - s.left + run.first * s.stride_cols;
            for (std::int64_t y = 0; y < shape_.height; ++y, line += shape_.width) {
                const std::int64_t a = (y + s.top) % s.stride_rows, row = (y + s.top) / s.stride_rows;
                if (a >= down_.phases || row >= rows_) continue;
                T* const at = to + (a * across_.phases + b) * phase_step_ + row * pitch_ + run.first;
                const std::int64_t n = run.last - run.first;
                if (s.stride_cols == 1 && n >= 16)
                    std::copy_n(line, n, at);
                else if (s.stride_cols == 2)  // a loop that compilers know
                    for (std::int64_t i = 0; i < n; ++i) at[i] = line[2 * i];
                else
                    for (std::int64_t i = 0; i < n; ++i) at[i] = line[i * s.stride_cols];
            }
        }
    }

   private:
    struct Used {  // phases of one axis that a tap meets, and the last step into one
        std::int64_t phases, shift;
        static Used of(std::int64_t kernel, std::int64_t stride, std::int64_t dilation);
    };
    void set_strip(std::int64_t rows);
    // Elements from one channel of a pixel to the next.
    std::int64_t channel_step() const { return channels_last_ ? 1 : down_.phases * across_.phases * phase_step_; }
    // Of a phase whose first rows, so many, are copied.
    std::int64_t copied(std::int64_t rows) const {
        return rows == rows_ ? phase_step_ : (rows * pitch_ + across_.shift) * pixel_step();
    }
    template <class T>
    void copy_planes(const ImagesView& images, const T* first, std::int64_t top, std::int64_t rows, const MoveRow& move,
                     T fill, T* to) const;
    template <class T>
    void copy_line(const ImagesView& images, const T* from, Inside run, const MoveRow& move, T fill, T* to) const;

    const ConvShape shape_;
    const bool channels_last_;
    Used down_, across_;
    std::int64_t pitch_;
    std::int64_t channel_pitch_ = 0;                                          // pixels: from one to the next
    std::int64_t strip_rows_ = 1, rows_ = 0, phase_step_ = 0, elements_ = 0;  // rows_: of a phase
};

}  // namespace cs
