// SPDX-License-Identifier: BSD-3-Clause
// A sink of sums that become outputs of 8 bits.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "kernels/requantize.hpp"
#include "tiles/sink.hpp"

namespace cs {

// What is done to the sums of each feature, and by what; sums, outputs and their extent are not looked at. Rows of
// outputs are of bytes, whatever their sign.
struct Requantizing {
    RequantizeArgs how;
    const RequantizeRow* row;
    const MoveRow* move;  // of u8
};

// y is a matrix of bytes. A bias or an activation of the epilogue is not asked for: they are in `how`.
class RequantizingSink final : public Sink<std::int32_t> {
   public:
    // All must outlive the sink.
    RequantizingSink(const DenseView& y, const Epilogue& none, const Requantizing& requantizing)
        : Sink<std::int32_t>(y, none, false), y_(y), requantizing_(requantizing) {}

    void take_tile(std::int32_t* sums, std::int64_t width, Range rows, Range cols) const override {
        take_bytes(requantize_tile(sums, width, rows), 4 * width, rows, cols);
    }

    // The outputs of whole rows of sums, in place of them: rows of bytes, 4 * width apart.
    std::uint8_t* requantize_tile(std::int32_t* sums, std::int64_t width, Range rows) const {
        auto* const bytes = reinterpret_cast<std::uint8_t*>(sums);
        requantize_rows(sums, width, rows, width, bytes, 4 * width);
        return bytes;
    }
    // y[rows, cols] from such rows.
    void take_bytes(const std::uint8_t* bytes, std::int64_t stride, Range rows, Range cols) const {
        if (y_.col_stride != 1)
            put(bytes, stride, 1, rows, cols);
        else
            move_lines(bytes, stride, rows, cols.count, {}, element<std::uint8_t>(y_, rows.first, cols.first),
                       y_.row_stride);
    }

    // Lines of columns, and the elements of one to those of the next, of the rows and of y.
    struct Lines {
        std::int64_t count = 1, from = 0, to = 0;
    };
    // As take_bytes() for each of the lines, of which the columns are the first. Rows have room behind them for what
    // they are twice. How many lines were taken.
    std::int64_t take_lines(std::uint8_t* bytes, std::int64_t stride, Range rows, Range cols, Lines lines) const {
        if (y_.col_stride == 1) {
            move_lines(bytes, stride, rows, cols.count, lines, element<std::uint8_t>(y_, rows.first, cols.first),
                       y_.row_stride);
            return lines.count;
        }
        if (lines.count > 1 && lines.to == cols.count * y_.col_stride) {
            std::uint8_t* const together = bytes + stride / 2;
            move_lines(bytes, stride, rows, cols.count, {lines.count, lines.from, cols.count}, together, stride);
            put(together, stride, 1, rows, {cols.first, lines.count * cols.count});
            return lines.count;
        }
        put(bytes, stride, 1, rows, cols);
        return 1;
    }

    void take_columns(const std::int32_t* columns, std::int64_t step, Range rows, Range cols) const override {
        if (y_.row_stride == 1) {
            requantize_columns(columns, step, rows, cols.count, element<std::uint8_t>(y_, rows.first, cols.first),
                               y_.col_stride);
            return;
        }
        constexpr std::int64_t at_once = 64;
        std::array<std::uint8_t, at_once * at_once> some;
        for (std::int64_t c = 0; c < cols.count; c += at_once)
            for (std::int64_t r = 0; r < rows.count; r += at_once) {
                const Range of_rows{rows.first + r, std::min(at_once, rows.count - r)};
                const std::int64_t n = std::min(at_once, cols.count - c);
                requantize_columns(columns + c * step + r, step, of_rows, n, some.data(), at_once);
                put(some.data(), 1, at_once, of_rows, {cols.first + c, n});
            }
    }

   private:
    void activate(Range, Range) const override {}

    void move_lines(const std::uint8_t* from, std::int64_t stride, Range rows, std::int64_t cols, Lines lines,
                    std::uint8_t* to, std::int64_t to_stride) const {
        requantizing_.move->finish(
            {from, to, rows.count, cols, stride, to_stride, {}, lines.count, lines.from, lines.to});
    }

    RequantizeArgs args_of(const std::int32_t* sums, std::int64_t stride, std::uint8_t* to,
                           std::int64_t to_stride) const {
        RequantizeArgs args = requantizing_.how;
        args.sums = sums;
        args.sum = Type::s32;
        args.to = to;
        args.sums_stride = stride;
        args.to_stride = to_stride;
        return args;
    }
    void requantize_rows(const std::int32_t* sums, std::int64_t stride, Range rows, std::int64_t cols, std::uint8_t* to,
                         std::int64_t to_stride) const {
        RequantizeArgs args = args_of(sums, stride, to, to_stride);
        args.rows = rows.count, args.cols = cols, args.feature = rows.first, args.by_column = false;
        requantizing_.row->function(args);
    }
    void requantize_columns(const std::int32_t* sums, std::int64_t stride, Range rows, std::int64_t cols,
                            std::uint8_t* to, std::int64_t to_stride) const {
        RequantizeArgs args = args_of(sums, stride, to, to_stride);
        args.rows = cols, args.cols = rows.count, args.by_column = true;
        args.bias += rows.first, args.multipliers += rows.first, args.shifts += rows.first;
        args.factors += rows.first, args.below += rows.first, args.above += rows.first;
        requantizing_.row->function(args);
    }

    // y[rows, cols] from where its element (i, j) is from[i * row_stride + j * col_stride].
    void put(const std::uint8_t* from, std::int64_t row_stride, std::int64_t col_stride, Range rows, Range cols) const {
        std::uint8_t* const to = element<std::uint8_t>(y_, rows.first, cols.first);
        if (col_stride == 1 && y_.row_stride == 1)
            requantizing_.move->transpose({from, to, rows.count, cols.count, row_stride, y_.col_stride});
        else if (row_stride == 1 && y_.col_stride == 1)
            requantizing_.move->transpose({from, to, cols.count, rows.count, col_stride, y_.row_stride});
        else
            for (std::int64_t i = 0; i < rows.count; ++i)
                for (std::int64_t j = 0; j < cols.count; ++j)
                    to[i * y_.row_stride + j * y_.col_stride] = from[i * row_stride + j * col_stride];
    }

    const DenseView& y_;
    const Requantizing& requantizing_;
};

// Returns body(sink) for y: of 8 bits where `requantizing` says how it becomes so.
template <class Y, class Body>
auto with_sink(const DenseView& y, const Epilogue& finish, const Requantizing* requantizing, const MoveRow& move,
               Body body) {
    if constexpr (std::is_same_v<Y, std::int32_t>)
        if (requantizing != nullptr) return body(RequantizingSink(y, finish, *requantizing));
    return body(DenseSink<Y>(y, finish, move));
}

}  // namespace cs
