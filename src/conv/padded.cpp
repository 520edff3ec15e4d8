// SPDX-License-Identifier: BSD-3-Clause
#include "conv/padded.hpp"

#include <algorithm>

#include "base/caches.hpp"
#include "base/parallel.hpp"
#include "base/types.hpp"
#include "tiles/patches.hpp"

namespace cs {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

// Steps of a power of two, or of an even number of cache lines, put everything in a part of the cache sets.
std::int64_t apart_in_cache(std::int64_t elements, std::int64_t each, std::int64_t bytes) {
    elements = round_up(elements, 16);
    return elements * each % bytes == 0 ? elements + 16 : elements;
}

}  // namespace

Padded::Used Padded::Used::of(std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
    Used used{1, 0};
    for (std::int64_t tap = 0; tap < kernel; ++tap) {
        used.phases = std::max(used.phases, tap * dilation % stride + 1);
        used.shift = std::max(used.shift, tap * dilation / stride);
    }
    return used;
}

Padded::Padded(const ConvShape& shape, bool channels_last, bool whole)
    : shape_(shape),
      channels_last_(channels_last),
      down_(Used::of(shape.sliding.kernel_rows, shape.sliding.stride_rows, shape.sliding.dilation_rows)),
      across_(Used::of(shape.sliding.kernel_cols, shape.sliding.stride_cols, shape.sliding.dilation_cols)),
      pitch_(shape.sliding.out_cols + across_.shift) {
    const Sliding& s = shape.sliding;
    if (s.stride_cols == 1) {
        const std::int64_t right = std::max<std::int64_t>(0, pitch_ - s.left - shape.width);
        pitch_ -= std::min({s.left, right, across_.shift});  // no less than there are output pixels
    }
    if (channels_last) channel_pitch_ = apart_in_cache(shape.channels, bytes_of(shape.types.x), 512);

    // As many strips as keep one in a part of L2, and give all threads some; of about equal height.
    const std::int64_t each = bytes_of(shape.types.x), out_rows = std::max<std::int64_t>(1, s.out_rows);
    if (whole) {
        set_strip(out_rows);
        return;
    }
    set_strip(1);
    const std::int64_t of_halo = elements_ * each;
    set_strip(out_rows);
    // Of phases less: the image that they are split from is larger.
    const bool split = down_.phases * across_.phases > 1;
    const std::int64_t budget = cache_sizes().l2 / (split ? 4 : 3), of_rows = elements_ * each - of_halo;
    std::int64_t strips = of_halo >= budget / 2 ? 1 : 1 + of_rows / (budget - of_halo);
    const std::int64_t threads = effective_threads();
    if (threads > 1) strips = (strips + threads - 1) / threads * threads;
    strips = std::clamp<std::int64_t>(strips, 1, out_rows);
    set_strip((out_rows + strips - 1) / strips);
}

// Everything that depends on the height of a strip.
void Padded::set_strip(std::int64_t rows) {
    const std::int64_t phases = down_.phases * across_.phases;
    strip_rows_ = rows;
    rows_ = rows + down_.shift;
    if (channels_last_) {
        phase_step_ = (rows_ * pitch_ + across_.shift) * channel_pitch_;
        elements_ = phases * phase_step_;
    } else {
        phase_step_ = apart_in_cache(rows_ * pitch_ + across_.shift, bytes_of(shape_.types.x), 128);
        elements_ = shape_.channels * phases * phase_step_;
    }
}

std::int64_t Padded::offset(std::int64_t channel, std::int64_t tap) const {
    const Sliding& s = shape_.sliding;
    const std::int64_t down = tap / s.kernel_cols * s.dilation_rows, across = tap % s.kernel_cols * s.dilation_cols;
    const std::int64_t phase = down % s.stride_rows * across_.phases + across % s.stride_cols;
    const std::int64_t at = (down / s.stride_rows * pitch_ + across / s.stride_cols) * pixel_step();
    return channels_last_ ? phase * phase_step_ + at + channel
                          : (channel * down_.phases * across_.phases + phase) * phase_step_ + at;
}

template <class T>
void Padded::copy(const ImagesView& images, std::int64_t image, Rows rows, const MoveRow& move, T fill, T* to) const {
    const Sliding& s = shape_.sliding;
    const T* const first = static_cast<const T*>(images.data) + image * images.image_stride;
    const std::int64_t top = rows.first * s.stride_rows - s.top - rows.x_first, n_rows = rows.count + down_.shift;
    if (!channels_last_ && (images.channel_stride != 1 || images.channels == 1))
        return copy_planes(images, first, top, n_rows, move, fill, to);
    for (std::int64_t a = 0; a < down_.phases; ++a)
        for (std::int64_t b = 0; b < across_.phases; ++b, to += phase_step_) {
            const std::int64_t left = b - s.left;
            const Inside pixels = Inside::of(left, s.stride_cols, pitch_, images.width);
            for (std::int64_t row = 0; row < n_rows; ++row) {
                const std::int64_t y = row * s.stride_rows + a + top;
                const T* const from = first + y * images.row_stride + left * images.col_stride;
                copy_line(images, from, y >= 0 && y < images.height ? pixels : Inside{pitch_, pitch_}, move, fill,
                          to + row * row_step());
            }
            // Behind the last row: its right margin.
            const std::int64_t end = n_rows * row_step();
            for (std::int64_t c = 0; c < (channels_last_ ? 1 : images.channels); ++c)
                std::fill(to + c * channel_step() + end, to + c * channel_step() + copied(n_rows), fill);
        }
}

// Planes of planes: all rows of a channel at a time.
template <class T>
void Padded::copy_planes(const ImagesView& images, const T* first, std::int64_t top, std::int64_t n_rows,
                         const MoveRow& move, T fill, T* to) const {
    const Sliding& s = shape_.sliding;
    const std::int64_t down = images.row_stride, across = images.col_stride, n_phases = down_.phases * across_.phases;
    const bool in_pairs = across == 1 && s.stride_cols == 2 && across_.phases == 2;  // both of a row at once
    // Some channels at a time, which stay in L1 for all phases.
    const std::int64_t most = n_phases == 1 ? images.channels : 8;
    for (std::int64_t c = 0; c < images.channels; c += most) {
        const std::int64_t n = std::min(most, images.channels - c);
        const auto args_of = [&](std::int64_t phase) -> PadArgs {
            const std::int64_t a = phase / across_.phases + top, b = phase % across_.phases - s.left;
            const Inside rows = Inside::of(a, s.stride_rows, n_rows, images.height);
            const Inside cols = Inside::of(b, s.stride_cols, pitch_, images.width);
            const bool none = rows.first == rows.last || cols.first == cols.last;
            const T* const from = first + c * images.channel_stride + (rows.first * s.stride_rows + a) * down +
                                  (cols.first * s.stride_cols + b) * across;
            return {none ? first : from,
                    to + c * channel_step() + phase * phase_step_,
                    &fill,
                    n,
                    images.channel_stride,
                    channel_step(),
                    none ? 0 : rows.last - rows.first,
                    cols.last - cols.first,
                    s.stride_rows * down,
                    s.stride_cols * across,
                    none ? copied(n_rows) : rows.first * pitch_ + cols.first,
                    pitch_,
                    copied(n_rows)};
        };
        for (std::int64_t phase = 0; phase < n_phases; phase += in_pairs ? 2 : 1) {
            const PadArgs args = args_of(phase);
            if (!in_pairs) {
                move.pad(args);
                continue;
            }
            const PadArgs others = args_of(phase + 1);
            const std::int64_t apart = static_cast<const T*>(others.from) - static_cast<const T*>(args.from);
            if (args.rows > 0 && args.rows == others.rows && apart == 1)
                move.pad_pair(args, others);
            else if (args.rows > 0 && args.rows == others.rows && apart == -1)
                move.pad_pair(others, args);
            else
                move.pad(args), move.pad(others);
        }
    }
}

// A row of all channels: the pixels of `run` from `from` on, a stride apart, `fill` around them.
template <class T>
void Padded::copy_line(const ImagesView& images, const T* from, Inside run, const MoveRow& move, T fill, T* to) const {
    const std::int64_t channels = images.channels, across = images.channel_stride, n = run.last - run.first;
    const std::int64_t step = shape_.sliding.stride_cols * images.col_stride, pixel = pixel_step();
    for (std::int64_t c = 0; c < (channels_last_ ? 1 : channels); ++c) {
        T* const line = to + c * channel_step();
        std::fill(line, line + run.first * pixel, fill);
        std::fill(line + run.last * pixel, line + pitch_ * pixel, fill);
    }
    from += run.first * step;
    to += run.first * pixel;
    if (n == 0) return;
    // One side has channels together, the other pixels: a transpose.
    if (!channels_last_) {
        move.transpose({from, to, n, channels, step, channel_step()});
        return;
    }
    if (across == 1 && step == channels && pixel == channels) {
        std::copy_n(from, n * channels, to);
    } else if (across == 1) {
        move.pad({from, to, &fill, n, step, pixel, 1, channels, 0, 1, 0, 0, pixel});
    } else {
        for (std::int64_t i = 0; i < n; ++i) std::fill(to + i * pixel + channels, to + (i + 1) * pixel, fill);
        if (step == 1)
            move.transpose({from, to, channels, n, across, pixel});
        else
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t c = 0; c < channels; ++c) to[i * pixel + c] = from[i * step + c * across];
    }
}

template void Padded::copy(const ImagesView&, std::int64_t, Rows, const MoveRow&, float, float*) const;
template void Padded::copy(const ImagesView&, std::int64_t, Rows, const MoveRow&, double, double*) const;
template void Padded::copy(const ImagesView&, std::int64_t, Rows, const MoveRow&, std::int32_t, std::int32_t*) const;

}  // namespace cs
