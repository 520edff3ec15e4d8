// SPDX-License-Identifier: BSD-3-Clause
// What convolutions on padded pixels have in common: a copy of the image with channels last, cut into tiles of
// neighbouring output pixels; outputs of a pixel lie together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/sizes.hpp"
#include "conv/padded.hpp"
#include "kernels/names.hpp"
#include "tiles/requantizing_sink.hpp"
#include "tiles/work.hpp"

namespace cs {

// Offsets into a padded image are 32-bit, with room for what the last tile reads beyond it.
inline bool has_short_offsets(const Padded& padded) {
    return padded.elements() < std::numeric_limits<std::uint32_t>::max() / 2;
}

// Cycles of the way of x into padded strips and of y out of tiles; `turned`: channels lie the other way round there.
inline double cost_of_moving(const Padded& padded, const Subject& subject, const ConvShape& shape, bool turned) {
    const double moved = static_cast<double>(padded.elements() * padded.n_strips()) +
                         static_cast<double>(subject.operand.outer() * shape.sliding.pixels());
    return (turned ? 0.95 : 0.4) * moved;
}

// Row: a micro-kernel of tile_cols output pixels, which takes the activations that `takes` says.
template <class T, class Row>
class PixelsConvolution : public Convolution {
   public:
    using Tiles = std::vector<Registered<Row>>;  // of ascending width, the first of one pixel

    bool requantizes() const final { return std::is_same_v<T, std::int32_t>; }
    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const final {
        return threads * (strip_bytes() + columns_bytes(operands));
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const final {
        const std::int64_t n_strips = padded_.n_strips();
        auto task = [&](std::int64_t number, int worker) {
            unsigned char* const own = workspace.memory + worker * (strip_bytes() + columns_bytes(operands));
            const std::int64_t image = number / n_strips, strip = number % n_strips, first = padded_.first_row(strip);
            T* const copy = reinterpret_cast<T*>(own);
            padded_.template copy<T>(operands.x, image, padded_.strip(strip), move_, static_cast<T>(operands.pad),
                                     copy);
            for (std::int64_t row = 0; row < padded_.rows_of(strip); ++row)
                line(operands, image, first + row, copy + row * padded_.row_step(),
                     reinterpret_cast<T*>(own + strip_bytes()));
        };
        parallel_for(operands.x.images * n_strips, threads, task);
    }

   protected:
    // beyond: elements that a tile reads behind the strip's last.
    PixelsConvolution(const Matrix& matrix, const ConvShape& shape, std::string reason, Tiles tiles,
                      std::int64_t beyond, const MoveRow* move)
        : Convolution(matrix, shape, name_of(tiles.back()), std::move(reason)),
          padded_(shape, true),
          tiles_(std::move(tiles)),
          beyond_(beyond),
          move_(*move) {
        cut_row();
    }

    // y[channel + pixel * y_stride] of the tile's pixels, for all channels, with what `finish` says. x: where the first
    // pixel's patch begins in the padded image.
    virtual void multiply(const Row& tile, const T* x, T* y, std::int64_t y_stride, std::int64_t channels,
                          const Epilogue& finish) const = 0;

    const Padded& padded() const { return padded_; }

   private:
    std::int64_t strip_bytes() const {
        return round_to_lines(padded_.elements() + beyond_, sizeof(T)) * std::int64_t{sizeof(T)};
    }
    // Where channels of y are not next to each other, or outputs of 8 bits, sums take a way through memory.
    static bool is_direct(const ConvOperands& operands) {
        return operands.requantizing == nullptr && (operands.y.channel_stride == 1 || operands.y.channels == 1);
    }
    static std::int64_t step_of_columns(const ConvOperands& operands) {
        return round_to_lines(operands.y.channels + 16, sizeof(T));
    }
    std::int64_t columns_bytes(const ConvOperands& operands) const {
        // Those of outputs of 8 bits wait for the row's last.
        const std::int64_t columns = operands.requantizing != nullptr ? operands.y.width : tiles_.back().row->tile_cols;
        return is_direct(operands) ? 0 : step_of_columns(operands) * columns * std::int64_t{sizeof(T)};
    }

    // The tiles of an output row: as few and as wide as serve it.
    void cut_row() {
        constexpr double of_tile = 1.5;  // pixels that cost as much as beginning a tile
        const auto n = as_size(sliding().out_cols);
        std::vector<double> least(n + 1, std::numeric_limits<double>::infinity());
        std::vector<const Row*> last(n + 1, nullptr);
        least[0] = 0;
        for (std::size_t i = 1; i <= n; ++i)
            for (const auto& tile : tiles_) {
                const auto width = as_size(tile.row->tile_cols);
                if (width > i) continue;
                const double cost = least[i - width] + static_cast<double>(width) + of_tile;
                if (cost < least[i]) least[i] = cost, last[i] = tile.row;
            }
        for (std::size_t i = n; i > 0; i -= as_size(last[i]->tile_cols)) cut_.push_back(last[i]);
    }

    // One row of the output; copy: where its first pixel's patch begins.
    void line(const ConvOperands& operands, std::int64_t image, std::int64_t row, const T* copy, T* columns) const {
        const ImagesView& y = operands.y;
        const std::int64_t size = operands.requantizing != nullptr ? 1 : std::int64_t{sizeof(T)};
        const DenseView to{static_cast<char*>(y.data) + (image * y.image_stride + row * y.row_stride) * size,
                           y.channels, y.width, y.channel_stride, y.col_stride};
        with_sink<T>(to, operands.finish, operands.requantizing, move_,
                     [&](const Sink<T>& sink) { tiles_of_line(operands, sink, copy, columns); });
    }

    void tiles_of_line(const ConvOperands& operands, const Sink<T>& sink, const T* copy, T* columns) const {
        const ImagesView& y = operands.y;
        const DenseView& to = sink.view();
        const bool direct = is_direct(operands), waits = operands.requantizing != nullptr;
        const std::int64_t y_stride = direct ? y.col_stride : step_of_columns(operands);
        const Activations takes = tiles_.front().row->takes;
        const Epilogue finish = sink.in_loop(takes, 0);
        const Range rows{0, y.channels};
        std::int64_t col = 0;
        for (const Row* tile : cut_) {
            T* const own = waits ? columns + col * y_stride : columns;
            multiply(*tile, copy + col * padded_.pixel_step(), direct ? element<T>(to, 0, col) : own, y_stride,
                     y.channels, finish);
            if (!direct && !waits) sink.take_columns(columns, y_stride, rows, {col, tile->tile_cols});
            col += tile->tile_cols;
        }
        if (waits) sink.take_columns(columns, y_stride, rows, {0, y.width});
        sink.finish_rest(takes, rows, {0, y.width});
    }

    const Padded padded_;
    const Tiles tiles_;
    const std::int64_t beyond_;
    const MoveRow& move_;
    std::vector<const Row*> cut_;
};

}  // namespace cs
