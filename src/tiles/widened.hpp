// SPDX-License-Identifier: BSD-3-Clause
// bfloat16 as a source of float32: widened on the way into tiles, which takes about as long as to copy as many floats.
#pragma once

#include <cstdint>
#include <cstring>

#include "tiles/source.hpp"

namespace cs {

class WidenedSource final : public Source<float> {
   public:
    // x: of the upper halves of float32. Both must outlive the source.
    WidenedSource(const DenseView& x, const MoveRow& move) : Source<float>(x.rows, nullptr), x_(x), move_(move) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, float* to) const override {
        const auto row = [&](std::int64_t k) { return which != nullptr ? which[rows.first + k] : rows.first + k; };
        if (x_.col_stride == 1) {
            if (which == nullptr) return widen(rows.first, cols.first, rows.count, cols.count, width, to);
            for (std::int64_t k = 0; k < rows.count; ++k)
                widen(row(k), cols.first, 1, cols.count, width, to + k * width);
            return;
        }
        write_tile(to, rows.count, width, cols.count == width, [&](std::int64_t first, std::int64_t count) {
            float* const line = to + first * width;
            if (which == nullptr && x_.row_stride == 1)
                return move_.transpose_halves(
                    {at(rows.first + first, cols.first), line, cols.count, count, x_.col_stride, width});
            for (std::int64_t k = 0; k < count; ++k)
                for (std::int64_t j = 0; j < cols.count; ++j)
                    line[k * width + j] = widened(row(first + k), cols.first + j);
        });
    }

    void pack_columns(Range cols, std::int64_t step, float* to) const override {
        if (x_.row_stride != 1 && x_.col_stride == 1)
            return move_.transpose_halves({at(0, cols.first), to, x_.rows, cols.count, x_.row_stride, step});
        for (std::int64_t j = 0; j < cols.count; ++j, to += step) {
            if (x_.row_stride == 1)
                move_.widen_halves({at(0, cols.first + j), to, 1, x_.rows, 0, x_.rows});
            else
                for (std::int64_t k = 0; k < x_.rows; ++k) to[k] = widened(k, cols.first + j);
        }
    }

   private:
    const std::uint16_t* at(std::int64_t row, std::int64_t col) const {
        return element<const std::uint16_t>(x_, row, col);
    }
    float widened(std::int64_t row, std::int64_t col) const {
        const std::uint32_t bits = static_cast<std::uint32_t>(*at(row, col)) << 16;
        float value;
        std::memcpy(&value, &bits, sizeof bits);
        return value;
    }
    // Rows that lie each in one piece.
    void widen(std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols, std::int64_t width,
               float* to) const {
        move_.widen_halves({at(row, col), to, rows, cols, x_.row_stride, width});
    }

    const DenseView& x_;
    const MoveRow& move_;
};

}  // namespace cs
