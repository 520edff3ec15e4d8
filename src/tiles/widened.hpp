// SPDX-License-Identifier: BSD-3-Clause
// bfloat16 as a source of float32: widened on the way into tiles, which takes about as long as to copy as many floats.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tiles/source.hpp"

namespace cs {

class WidenedSource final : public Source<float> {
   public:
    // x: of the upper halves of float32. Both must outlive the source.
    WidenedSource(const DenseView& x, const MoveRow& move) : Source<float>(x.rows, nullptr), x_(x), move_(move) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, float* to) const override {
        if (cols.count < width && x_.col_stride != 1)
            std::memset(to, 0, static_cast<std::size_t>(rows.count * width) * sizeof *to);
        if (x_.col_stride != 1 && which == nullptr && x_.row_stride == 1)
            return turn({cols.first, cols.count, x_.col_stride}, {rows.first, rows.count, 1}, width, to);
        for (std::int64_t k = 0; k < rows.count; ++k) {
            const std::int64_t row = which != nullptr ? which[rows.first + k] : rows.first + k;
            const auto* const from = element<const std::uint16_t>(x_, row, cols.first);
            float* const line = to + k * width;
            if (x_.col_stride == 1) {
                widen(from, cols.count, line);
                std::fill(line + cols.count, line + width, 0.0f);
            } else {
                for (std::int64_t j = 0; j < cols.count; ++j) line[j] = widened(from[j * x_.col_stride]);
            }
        }
    }

    void pack_columns(Range cols, std::int64_t step, float* to) const override {
        if (x_.row_stride != 1 && x_.col_stride == 1)
            return turn({0, x_.rows, x_.row_stride}, {cols.first, cols.count, 1}, step, to);
        for (std::int64_t j = 0; j < cols.count; ++j) {
            const auto* const from = element<const std::uint16_t>(x_, 0, cols.first + j);
            if (x_.row_stride == 1)
                widen(from, x_.rows, to + j * step);
            else
                for (std::int64_t k = 0; k < x_.rows; ++k) to[j * step + k] = widened(from[k * x_.row_stride]);
        }
    }

   private:
    static float widened(std::uint16_t number) {
        const std::uint32_t bits = static_cast<std::uint32_t>(number) << 16;
        float value;
        std::memcpy(&value, &bits, sizeof bits);
        return value;
    }
    // Sixteen at a time without a test: rows of narrow tiles are no more.
    static void widen(const std::uint16_t* from, std::int64_t n, float* to) {
        std::int64_t i = 0;
        for (; i + 16 <= n; i += 16)
            for (int lane = 0; lane < 16; ++lane) to[i + lane] = widened(from[i + lane]);
        for (; i < n; ++i) to[i] = widened(from[i]);
    }

    struct Axis {
        std::int64_t first, count, stride;
    };
    // to[n * step + l] of line l and its neighbour n, which lie together in memory: widened some at a time, and turned.
    void turn(Axis lines, Axis neighbours, std::int64_t step, float* to) const {
        constexpr std::int64_t at_once = 16, length = 64;
        float some[at_once * length];
        const auto* const x = static_cast<const std::uint16_t*>(x_.data);
        for (std::int64_t l = 0; l < lines.count; l += at_once)
            for (std::int64_t n = 0; n < neighbours.count; n += length) {
                const std::int64_t high = std::min(at_once, lines.count - l),
                                   wide = std::min(length, neighbours.count - n);
                for (std::int64_t i = 0; i < high; ++i)
                    widen(x + (lines.first + l + i) * lines.stride + neighbours.first + n, wide, some + i * length);
                move_.transpose({some, to + n * step + l, high, wide, length, step});
            }
    }

    const DenseView& x_;
    const MoveRow& move_;
};

}  // namespace cs
