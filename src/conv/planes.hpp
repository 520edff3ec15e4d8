// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of stride 1 are batched products with overlapping rows: the loop of some layout on a padded copy of the
// image, in which every (channel, tap) is an offset. Columns are never built, and other strides are stride 1 in each
// phase.
//
// Output pixels are numbered as they lie in the padded plane, margins included, so that a tile need not know rows: the
// sums of margins are computed, and not stored.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "base/parallel.hpp"
#include "base/sizes.hpp"
#include "conv/bands.hpp"
#include "conv/convolution.hpp"
#include "conv/padded.hpp"
#include "conv/quad_images.hpp"
#include "kernels/fold.hpp"
#include "kernels/move.hpp"
#include "kernels/planes.hpp"
#include "tiles/requantizing_sink.hpp"

namespace cs {

// Output pixels of so many rows, margins between them included.
inline std::int64_t positions(const Padded& padded, const Sliding& s, std::int64_t rows) {
    return rows > 0 ? (rows - 1) * padded.pitch() + s.out_cols : 0;
}

// Of real numbers the largest stays the largest when a bias is added and negative numbers become zero: that is done to
// what a pool leaves. Other endings, and a bias that is not finite, come before it, to sums of margins too.
template <class Y>
bool ends_behind_pool(const Epilogue& finish, std::int64_t rows) {
    const Y* const bias = static_cast<const Y*>(finish.bias);
    return std::is_floating_point_v<Y> && up_to_relu6.have(finish.activation) &&
           (bias == nullptr || std::all_of(bias, bias + rows, [](Y value) { return std::isfinite(value); }));
}

// Loop: what multiplies. It has
// - tile_cols and most_cols: positions of a tile, and those that a call computes at most;
// - panel_rows and n_panels: whose filters a call is for;
// - sums_bytes: what sums of a band may take;
// - own_bytes: memory of each worker, on a cache line;
// - layout_bytes;
// - multiply(panel, x, positions, sums, width, own): sums[row * width + i] of the panel's rows and whole tiles of
//   positions i, of which x is the first one in the strip;
// - gives_outputs(): whether sums of 8-bit products can leave registers as outputs, a tile at a time, by
//   give_outputs(panel, x, sums, outputs), which may use a tile of sums.
template <class P, class Loop>
class PlanesConvolution final : public Convolution {
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    PlanesConvolution(const Matrix& matrix, const ConvShape& shape, std::string name, std::string reason, Loop loop,
                      const MoveRow* move, const FoldRow* fold)
        : Convolution(matrix, shape, std::move(name), std::move(reason)),
          loop_(std::move(loop)),
          move_(*move),
          fold_(*fold),
          padded_(shape, false) {}

    bool requantizes() const override { return std::is_same_v<Y, std::int32_t>; }
    bool interleaves() const override { return shape().of_quads; }
    bool takes_rows() const override { return true; }
    std::int64_t layout_bytes() const override { return loop_.layout_bytes(); }

    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        return threads * worker_bytes(operands, bands_of(operands.pool));
    }

    // Strips end between windows, and bands of whole windows take about as many tiles as others.
    bool pools(PoolWindow window) const override {
        const std::int64_t rows = padded_.rows_of(0);
        return window.rows <= rows && window.cols <= sliding().out_cols &&
               (padded_.n_strips() == 1 || rows % window.rows == 0) &&
               8 * bands_of(window).tiles <= 9 * bands_of({}).tiles;
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        const std::int64_t all = operands.pool.is_one_pixel() ? operands.y.height : sliding().out_rows;
        const std::int64_t n_strips = padded_.n_strips(all), each = padded_.strip_rows();
        const Bands bands = bands_of(operands.pool);
        auto task = [&](std::int64_t number, int worker) {
            unsigned char* const memory = workspace.memory + worker * worker_bytes(operands, bands);
            const std::int64_t first_row = number % n_strips * each, n_rows = std::min(each, all - first_row);
            const Strip strip{number / n_strips, first_row,
                              reinterpret_cast<X*>(memory + loop_.own_bytes() + sums_bytes(bands)), memory};
            auto* const sums = reinterpret_cast<Y*>(memory + loop_.own_bytes());
            copy(operands, strip, {operands.y_first + first_row, n_rows, operands.x_first});
            const std::int64_t tall = operands.pool.rows, rows = n_rows / tall * tall;
            const std::int64_t last = positions(padded_, sliding(), rows);
            if constexpr (std::is_same_v<Y, std::int32_t>)
                if (gives_outputs(operands)) return outputs(operands, strip, last, sums);
            for (std::int64_t first = 0; first < last; first += bands.step)
                for (std::int64_t panel = 0; panel < loop_.n_panels(); ++panel)
                    band(operands, strip, panel, {first, std::min(bands.step, last - first)}, bands, sums);
        };
        parallel_for(operands.x.images * n_strips, threads, task);
    }

   private:
    struct Strip {
        std::int64_t image, first_row;  // of y
        X* copy;
        unsigned char* own;  // of the loop
    };

    std::int64_t strip_bytes() const {  // the last tile reads beyond it
        return round_to_lines(padded_.elements() + loop_.most_cols(), sizeof(X)) * std::int64_t{sizeof(X)};
    }
    std::int64_t worker_bytes(const ConvOperands& operands, const Bands& bands) const {
        const std::int64_t plane = operands.interleaving ? operands.x.height * operands.x.width : 0;
        return loop_.own_bytes() + sums_bytes(bands) + strip_bytes() +
               round_to_lines(plane, sizeof(X)) * std::int64_t{sizeof(X)};
    }

    void copy(const ConvOperands& operands, const Strip& strip, Padded::Rows rows) const {
        const X fill = static_cast<X>(operands.pad);
        if constexpr (std::is_same_v<X, std::int32_t>)
            if (operands.interleaving) return interleave(operands, strip, rows, fill);
        padded_.template copy<X>(operands.x, strip.image, rows, move_, fill, strip.copy);
    }
    // A plane of quads at a time, by way of memory that L1 holds.
    void interleave(const ConvOperands& operands, const Strip& strip, Padded::Rows rows, X fill) const {
        const Interleaving& from = *operands.interleaving;
        auto* const plane =
            reinterpret_cast<std::uint32_t*>(reinterpret_cast<unsigned char*>(strip.copy) + strip_bytes());
        const Range read = padded_.rows_read(rows, operands.x.height);
        rows.x_first += read.first;
        ImagesView quads = operands.x;
        quads.data = plane;
        quads.images = quads.channels = 1;
        quads.height = read.count;
        for (std::int64_t quad = 0; quad < operands.x.channels; ++quad) {
            interleave_rows(from.bytes, strip.image, quad, read, from.flip, *from.row, plane, quads.row_stride, 1);
            padded_.copy(quads, 0, rows, move_, fill, strip.copy + padded_.offset(quad, 0));
        }
    }
    // Sums of a band, and the largest of them where they are pooled.
    std::int64_t sums_bytes(const Bands& bands) const {
        const std::int64_t each = bands.rows > 0 ? 2 * bands.width : bands.width;
        return round_to_lines(loop_.panel_rows() * each, sizeof(Y)) * std::int64_t{sizeof(Y)};
    }
    Bands bands_of(PoolWindow window) const {
        return Bands::of(padded_, sliding(), loop_.tile_cols(), window,
                         loop_.sums_bytes() / (loop_.panel_rows() * std::int64_t{sizeof(Y)}));
    }

    void band(const ConvOperands& operands, const Strip& strip, std::int64_t panel, Range cols, const Bands& bands,
              Y* sums) const {
        const std::int64_t first_row = panel * loop_.panel_rows();
        const std::int64_t n_rows = std::min(loop_.panel_rows(), operands.y.channels - first_row);
        const std::int64_t end = std::min(cols.count, bands.width);
        for (std::int64_t at = 0; at < end; at += loop_.most_cols()) {
            const std::int64_t n = std::min(loop_.most_cols(), end - at);
            if (bands.rows == 0) fetch(operands, strip, {first_row, n_rows}, {cols.first + at, n});
            loop_.multiply(panel, strip.copy + cols.first + at, n, sums + at, bands.width, strip.own);
        }
        if (bands.rows > 0)
            pool(operands, strip, {first_row, n_rows}, cols, bands, sums);
        else
            store(operands, strip, {first_row, n_rows}, cols, bands.width, sums);
    }

    void pool(const ConvOperands& operands, const Strip& strip, Range rows, Range cols, const Bands& bands,
              Y* sums) const {
        const ImagesView& y = operands.y;
        const std::int64_t pitch = padded_.pitch(), tall = operands.pool.rows, wide = operands.pool.cols;
        const std::int64_t n_lines = ((cols.count - sliding().out_cols) / pitch + 1) / tall;
        const std::int64_t first = (strip.first_row + cols.first / pitch) / tall;
        Y* const largest = sums + loop_.panel_rows() * bands.width;
        if constexpr (std::is_same_v<Y, std::int32_t>)
            if (operands.requantizing != nullptr) {
                for (std::int64_t line = 0; line < n_lines; ++line)
                    requantize_largest(operands, rows, sums + line * tall * pitch, bands.width,
                                       {strip.image, first + line}, reinterpret_cast<std::uint8_t*>(largest));
                return;
            }
        Epilogue finish = operands.finish;
        if (finish.bias != nullptr) finish.bias = static_cast<const Y*>(finish.bias) + rows.first;
        const bool ends_behind = ends_behind_pool<Y>(finish, rows.count);
        if (!ends_behind && !finish.changes_nothing())
            move_.finish({sums, sums, rows.count, std::min(cols.count, bands.width), bands.width, bands.width, finish});
        for (std::int64_t line = 0; line < n_lines; ++line) {
            const DenseView to{static_cast<Y*>(y.data) + strip.image * y.image_stride + (first + line) * y.row_stride,
                               y.channels, y.width, y.channel_stride, y.col_stride};
            const bool direct = y.col_stride == 1;
            fold_.largest({sums + line * tall * pitch, direct ? element<Y>(to, rows.first, 0) : largest, rows.count,
                           bands.width, direct ? y.channel_stride : y.width, y.width, wide, tall, pitch, wide, 1, 1.0});
            if (!direct)
                DenseSink<Y>(to, ends_behind ? operands.finish : Epilogue{}, move_)
                    .take_tile(largest, y.width, rows, {0, y.width});
        }
        if (!ends_behind || finish.changes_nothing() || y.col_stride != 1) return;
        // Lines as one, where they lie one behind the other.
        const bool flat = y.row_stride == y.width;
        Y* at = static_cast<Y*>(y.data) + strip.image * y.image_stride + rows.first * y.channel_stride +
                first * y.row_stride;
        for (std::int64_t line = 0; line < n_lines; line += flat ? n_lines : 1, at += y.row_stride)
            move_.finish(
                {at, at, rows.count, flat ? n_lines * y.width : y.width, y.channel_stride, y.channel_stride, finish});
    }

    // Of 8 bits, rows of y one behind the other.
    bool gives_outputs(const ConvOperands& operands) const {
        const ImagesView& y = operands.y;
        return operands.requantizing != nullptr && operands.pool.is_one_pixel() && y.col_stride == 1 &&
               (y.height == 1 || y.row_stride == y.width) && loop_.gives_outputs();
    }
    void outputs(const ConvOperands& operands, const Strip& strip, std::int64_t last, Y* sums) const {
        const ImagesView& y = operands.y;
        auto* const to = static_cast<std::uint8_t*>(y.data) + strip.image * y.image_stride + strip.first_row * y.width;
        RequantizeArgs how = operands.requantizing->how;
        how.to_stride = y.channel_stride;
        PlanesOutputs outputs{&how, {}};
        for (std::int64_t first = 0; first < last; first += loop_.tile_cols()) {
            keep_outputs({first, std::min(loop_.tile_cols(), last - first)}, outputs);
            const std::int64_t before = first / padded_.pitch() * y.width + std::min(first % padded_.pitch(), y.width);
            for (std::int64_t panel = 0; panel < loop_.n_panels(); ++panel) {
                how.feature = panel * loop_.panel_rows();
                how.to = to + how.feature * y.channel_stride + before;
                loop_.give_outputs(panel, strip.copy + first, sums, outputs);
            }
        }
    }
    // Which of these positions are no margins.
    void keep_outputs(Range cols, PlanesOutputs& outputs) const {
        constexpr std::int64_t each = PlanesOutputs::piece_cols;
        for (PlanesOutputs::Piece& piece : outputs.pieces) {
            const std::int64_t n = std::clamp<std::int64_t>(cols.count, 0, each), pitch = padded_.pitch();
            piece.count = 0;
            for (std::int64_t at = 0; at < n;) {
                const std::int64_t col = (cols.first + at) % pitch;
                const std::int64_t until = std::min(n, at + std::max<std::int64_t>(0, sliding().out_cols - col));
                for (std::int64_t i = at; i < until; ++i) piece.places[piece.count++] = static_cast<std::uint8_t>(i);
                at += pitch - col;
            }
            cols = {cols.first + n, cols.count - n};
        }
    }

    struct Line {
        std::int64_t image, row;
    };
    // A line of outputs of 8 bits, of the windows whose sums begin at `sums`; by way of `some` where channels lie
    // together.
    void requantize_largest(const ConvOperands& operands, Range rows, const std::int32_t* sums, std::int64_t width,
                            Line line, std::uint8_t* some) const {
        const ImagesView& y = operands.y;
        const Requantizing& requantizing = *operands.requantizing;
        const DenseView to{static_cast<std::uint8_t*>(y.data) + line.image * y.image_stride + line.row * y.row_stride,
                           y.channels, y.width, y.channel_stride, y.col_stride};
        const bool direct = y.col_stride == 1;
        RequantizeArgs how = requantizing.how;
        how.feature = rows.first, how.by_column = false;
        const std::int64_t wide = operands.pool.cols;
        requantizing.row->of_largest(
            {sums, direct ? element<std::uint8_t>(to, rows.first, 0) : some, rows.count, width,
             direct ? y.channel_stride : y.width, y.width, wide, operands.pool.rows, padded_.pitch(), wide, 1, 1.0},
            how);
        if (!direct) RequantizingSink(to, operands.finish, requantizing).take_bytes(some, y.width, rows, {0, y.width});
    }

    // Outputs of 8 bits in place of the sums, margins too; null where none are asked for.
    std::uint8_t* requantized(const ConvOperands& operands, Range rows, std::int64_t width, Y* sums) const {
        if constexpr (std::is_same_v<Y, std::int32_t>)
            if (operands.requantizing != nullptr) {
                const DenseView none{};
                return RequantizingSink(none, operands.finish, *operands.requantizing)
                    .requantize_tile(sums, width, rows);
            }
        return nullptr;
    }

    // What of the columns lies in rows of the output: runs, as matrices of the pixels of a row; how many columns come
    // before each; and how many rows begin there that are whole, of which the run is the first, or 1.
    template <class Run>
    void for_runs(const ConvOperands& operands, const Strip& strip, Range cols, const Run& run) const {
        const ImagesView& y = operands.y;
        const std::int64_t pitch = padded_.pitch(), last = cols.first + cols.count;
        const std::int64_t size = operands.requantizing != nullptr ? 1 : std::int64_t{sizeof(Y)};
        char* const image =
            static_cast<char*>(y.data) + (strip.image * y.image_stride + strip.first_row * y.row_stride) * size;
        for (std::int64_t at = cols.first; at < last;) {
            const std::int64_t row = at / pitch, col = at % pitch;
            const std::int64_t until = std::min(last, row * pitch + y.width);
            const std::int64_t whole = until - at == y.width ? (last - at + pitch - y.width) / pitch : 1;
            std::int64_t taken = 1;
            if (at < until)
                taken = run(
                    DenseView{image + row * y.row_stride * size, y.channels, y.width, y.channel_stride, y.col_stride},
                    Range{col, until - at}, at - cols.first, whole);
            at = (row + taken) * pitch;
        }
    }

    void fetch(const ConvOperands& operands, const Strip& strip, Range rows, Range cols) const {
        if (operands.requantizing != nullptr) return;
        for_runs(operands, strip, cols, [&](const DenseView& line, Range run, std::int64_t, std::int64_t) {
            fetch_outputs<Y>(line, rows, run);
            return 1;
        });
    }
    // Rows that are whole are stored filter by filter, where pixels lie together.
    void store(const ConvOperands& operands, const Strip& strip, Range rows, Range cols, std::int64_t width,
               Y* sums) const {
        std::uint8_t* const bytes = requantized(operands, rows, width, sums);
        Epilogue finish = operands.finish;
        if (finish.bias != nullptr) finish.bias = static_cast<const Y*>(finish.bias) + rows.first;
        for_runs(operands, strip, cols,
                 [&](const DenseView& line, Range run, std::int64_t before, std::int64_t whole) -> std::int64_t {
                     const std::int64_t pitch = padded_.pitch(), to_line = operands.y.row_stride;
                     if (bytes == nullptr && line.col_stride == 1) {
                         move_.finish({sums + before, element<Y>(line, rows.first, run.first), rows.count, run.count,
                                       width, line.row_stride, finish, whole, pitch, to_line});
                         return whole;
                     }
                     if (bytes != nullptr)
                         return RequantizingSink(line, operands.finish, *operands.requantizing)
                             .take_lines(bytes + before, 4 * width, rows, run, {whole, pitch, to_line});
                     else
                         DenseSink<Y>(line, operands.finish, move_).take_tile(sums + before, width, rows, run);
                     return 1;
                 });
    }

    const Loop loop_;
    const MoveRow& move_;
    const FoldRow& fold_;
    const Padded padded_;
};

}  // namespace cs
