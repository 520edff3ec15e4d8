// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of winners, input-stationary: each winner adds its column of filters to the outputs that meet it. The
// sums of a strip of outputs stay in L1, pixel by pixel, beginning with the bias.
#include "kernels/scatter.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "conv/comes_in.hpp"
#include "conv/winners.hpp"
#include "kernels/fold.hpp"
#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "tiles/sink.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

using Row = Registered<ScatterRow>;

// The micro-kernel with the highest blocks that the pattern has, of those of vectors that the level has.
Row row_for(Subject& subject) {
    Row best{nullptr, 0};
    for (const Row& row : rows_of(&Table::scatter, subject.levels))
        if (row.row->types == subject.types && (best.row == nullptr || row.row->block_rows >= best.row->block_rows) &&
            subject.operand.outer() % row.row->block_rows == 0 &&
            comes_in(subject.operand.by_output(), row.row->block_rows))
            best = row;
    return best;
}

// Whether every (channel, tap) owns as many filters; columns: a row for each of these.
bool is_gapless(const StoredMatrix& columns) {
    for (std::int64_t column = 0; column < columns.rows; ++column)
        if (columns.row_ptr[column + 1] - columns.row_ptr[column] != columns.row_ptr[1]) return false;
    return columns.rows > 0;
}

std::int64_t pitch_of(const StoredMatrix& filters, std::size_t size) { return round_to_lines(filters.rows, size); }

struct ScatterLayout {
    std::int64_t each = 0;  // units of every (channel, tap), where all have as many
    std::vector<std::uint32_t> starts;
    std::vector<std::int32_t> targets;
    AlignedVector<unsigned char> values;
};

template <class P>
class Scatter final : public Convolution {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    Scatter(const Matrix& matrix, const ConvShape& shape, bool of_image, std::string reason, Row row,
            const MoveRow* move, const FoldRow* fold)
        : Convolution(matrix, shape, name_of(row), std::move(reason)),
          of_image_(of_image),
          row_(*row.row),
          move_(*move),
          fold_(*fold),
          pitch_(pitch_of(matrix.stored(), sizeof(Y))) {
        const std::int64_t line = sliding().out_cols * pitch_ * std::int64_t{sizeof(Y)};
        strip_rows_ = std::clamp<std::int64_t>(cache_sizes().l1d * 3 / 4 / std::max<std::int64_t>(1, line), 1,
                                               std::max<std::int64_t>(1, sliding().out_rows));
        for (std::int64_t col = 0; col < shape.width; ++col)
            taps_of_cols_.push_back(
                taps_inside(col + sliding().left, sliding().dilation_cols, sliding().kernel_cols, sliding().out_cols));
        derive(matrix.stored());
    }

    std::int64_t layout_bytes() const override {
        return bytes_of_arrays(layout_.starts, layout_.targets, layout_.values);
    }
    std::int64_t workspace_bytes(const ConvOperands&, int threads) const override { return threads * sums_bytes(); }
    bool pools(PoolWindow window) const override {
        return window.rows <= std::min(strip_rows_, sliding().out_rows) && window.cols <= sliding().out_cols;
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        // Strips end between windows; outputs that fill none are left out.
        const std::int64_t tall = operands.pool.rows, all = sliding().out_rows / tall * tall;
        const std::int64_t each = strip_rows(all / tall, operands.y.images, threads, tall) * tall;
        const std::int64_t n_strips = all > 0 ? (all + each - 1) / each : 0;
        auto task = [&](std::int64_t number, int worker) {
            Y* const sums = reinterpret_cast<Y*>(workspace.memory + worker * sums_bytes());
            const std::int64_t image = number / n_strips, first = number % n_strips * each;
            strip(operands, image, {first, std::min(each, all - first)}, sums);
        };
        parallel_for(operands.y.images * n_strips, threads, task);
    }

   private:
    // Rows of windows: as many as there is room for. Where threads are more than images, fewer, so that all threads
    // have some, though winners between two strips go to both.
    std::int64_t strip_rows(std::int64_t windows, std::int64_t images, int threads, std::int64_t tall) const {
        const std::int64_t each = strip_rows_ / tall;
        if (images == 0 || images >= threads || windows == 0) return each;
        const std::int64_t of_image = std::min(windows, (threads + images - 1) / images);
        return std::min(each, (windows + of_image - 1) / of_image);
    }
    std::int64_t sums_bytes() const { return strip_rows_ * sliding().out_cols * pitch_ * std::int64_t{sizeof(Y)}; }

    void derive(const StoredMatrix& filters) {
        OwnedCsr owned;
        const StoredMatrix columns = transpose(filters, owned);  // a row for each (channel, tap)
        const std::int64_t taps = sliding().taps(), height = row_.block_rows;
        const W* const values = static_cast<const W*>(columns.values);
        layout_.values.resize(as_size(filters.nnz()) * sizeof(W));
        std::memcpy(layout_.values.data(), values, layout_.values.size());
        for (std::int64_t column = 0; column < columns.rows; ++column) {
            layout_.starts.push_back(static_cast<std::uint32_t>(layout_.targets.size()));
            const std::int64_t tap = column % taps, down = tap / sliding().kernel_cols * sliding().dilation_rows,
                               across = tap % sliding().kernel_cols * sliding().dilation_cols;
            for (std::int64_t at = columns.row_ptr[column]; at < columns.row_ptr[column + 1]; at += height)
                layout_.targets.push_back(
                    static_cast<std::int32_t>(columns.columns[at] - (down * sliding().out_cols + across) * pitch_));
        }
        layout_.starts.push_back(static_cast<std::uint32_t>(layout_.targets.size()));
        // A winner alone has nothing that a loop of known length could serve next.
        layout_.each = !of_image_ && is_gapless(columns) ? columns.row_ptr[1] / height : 0;
    }

    // Tap t of an axis meets output `at - t * dilation`.
    static TapsInside taps_inside(std::int64_t at, std::int64_t dilation, std::int64_t kernel, std::int64_t count) {
        auto steps = [&](std::int64_t outputs) { return dilation == 1 ? outputs : outputs / dilation; };
        const std::int64_t first = at < count ? 0 : steps(at - count) + 1;
        const std::int64_t last = at < 0 ? 0 : std::min(kernel, steps(at) + 1);
        return {static_cast<std::int32_t>(std::min(first, last)),
                static_cast<std::int32_t>(std::max<std::int64_t>(0, last - first))};
    }

    // The outputs of the rows `rows`.
    void strip(const ConvOperands& operands, std::int64_t image, Range rows, Y* sums) const {
        const Sliding& s = sliding();
        const std::int64_t filters = operands.y.channels;
        const Y* const bias = static_cast<const Y*>(operands.finish.bias);
        for (std::int64_t pixel = 0; pixel < rows.count * s.out_cols; ++pixel)
            bias != nullptr ? std::copy_n(bias, filters, sums + pixel * pitch_)
                            : std::fill_n(sums + pixel * pitch_, filters, Y{});
        of_image_ ? add_image(operands, image, rows, sums) : add_pixels(operands, image, rows, sums);
        if (operands.pool.is_one_pixel())
            store(operands, image, rows, sums);
        else
            pool(operands, image, rows, sums);
    }

    void store(const ConvOperands& operands, std::int64_t image, Range rows, Y* sums) const {
        const Sliding& s = sliding();
        const std::int64_t filters = operands.y.channels;
        const ImagesView& y = operands.y;
        const DenseView to{static_cast<Y*>(y.data) + image * y.image_stride + rows.first * y.row_stride, filters,
                           rows.count * s.out_cols, y.channel_stride, y.width > 1 ? y.col_stride : y.row_stride};
        const Epilogue finish{nullptr, operands.finish.activation, operands.finish.parameter};
        const DenseSink<Y> sink(to, finish, move_);
        const Range all{0, filters}, pixels{0, to.cols};
        if (to.row_stride == 1 && to.cols > 1)
            for (std::int64_t pixel = 0; pixel < to.cols; ++pixel)
                std::copy_n(sums + pixel * pitch_, filters, element<Y>(to, 0, pixel));
        else
            sink.take_columns(sums, pitch_, all, pixels);
        sink.finish_rest(Activations{1u}, all, pixels);
    }

    // The activation comes before the pool, as it would without it.
    void pool(const ConvOperands& operands, std::int64_t image, Range rows, Y* sums) const {
        const ImagesView& y = operands.y;
        const std::int64_t tall = operands.pool.rows, wide = operands.pool.cols, of_row = sliding().out_cols * pitch_;
        const Epilogue finish{nullptr, operands.finish.activation, operands.finish.parameter};
        if (!finish.changes_nothing())
            move_.finish({sums, sums, rows.count * sliding().out_cols, y.channels, pitch_, pitch_, finish});
        for (std::int64_t line = 0; line < rows.count / tall; ++line) {
            const DenseView to{
                static_cast<Y*>(y.data) + image * y.image_stride + (rows.first / tall + line) * y.row_stride,
                y.channels, y.width, y.channel_stride, y.col_stride};
            // Where channels lie apart, in the place of the first of the sums: who is folded twice stays the largest.
            Y* const from = sums + line * tall * of_row;
            const bool direct = y.channel_stride == 1;
            fold_.largest({from, direct ? to.data : from, y.width, wide * pitch_, direct ? y.col_stride : pitch_,
                           y.channels, 1, tall, of_row, wide, pitch_, 1.0});
            if (!direct) DenseSink<Y>(to, Epilogue{}, move_).take_columns(from, pitch_, {0, y.channels}, {0, y.width});
        }
    }

    // Winners of every pixel.
    void add_pixels(const ConvOperands& operands, std::int64_t image, Range rows, Y* sums) const {
        const Sliding& s = sliding();
        const WinnersView& x = *operands.winners;
        const std::int64_t height = shape().height, width = shape().width;
        const std::int64_t first = std::max<std::int64_t>(0, rows.first - s.top);
        const std::int64_t last =
            std::min(height, rows.first + rows.count - s.top + (s.kernel_rows - 1) * s.dilation_rows);
        for (std::int64_t i = first; i < last; ++i)
            add(x.starts + (image * height + i) * width, x.indices, static_cast<const X*>(x.values), {0, width},
                i + s.top - rows.first, rows.count, sums);
    }

    // Winners of a whole image, each in a pixel of its own.
    void add_image(const ConvOperands& operands, std::int64_t image, Range rows, Y* sums) const {
        const WinnersView& x = *operands.winners;
        const X* const values = static_cast<const X*>(x.values);
        const std::int64_t width = shape().width, pixels = shape().height * width;
        const std::int64_t only[] = {0, 1};
        for (std::int64_t at = x.starts[image]; at < x.starts[image + 1]; ++at) {
            const std::int64_t index = x.indices[at];
            const auto channel =
                static_cast<std::int32_t>(shape().channels_last ? index % shape().channels : index / pixels);
            const std::int64_t pixel = shape().channels_last ? index / shape().channels : index % pixels;
            add(only, &channel, values + at, {pixel % width, 1}, pixel / width + sliding().top - rows.first, rows.count,
                sums);
        }
    }

    // Winners of the pixels `cols` of a row, which tap row 0 takes to the row `down` of the strip.
    void add(const std::int64_t* winners, const std::int32_t* channels, const X* activations, Range cols,
             std::int64_t down, std::int64_t n_rows, Y* sums) const {
        const Sliding& s = sliding();
        const TapsInside of_rows = taps_inside(down, s.dilation_rows, s.kernel_rows, n_rows);
        if (of_rows.count == 0) return;
        row_.function({layout_.each, layout_.starts.data(), layout_.targets.data(), layout_.values.data(),
                       s.kernel_rows, s.kernel_cols, winners, channels, activations, cols.count, of_rows,
                       taps_of_cols_.data() + cols.first, sums + (down * s.out_cols + cols.first + s.left) * pitch_,
                       pitch_});
    }

    const bool of_image_;
    const ScatterRow& row_;
    const MoveRow& move_;
    const FoldRow& fold_;
    const std::int64_t pitch_;  // of a pixel's sums
    std::int64_t strip_rows_;
    ScatterLayout layout_;
    std::vector<TapsInside> taps_of_cols_;  // of a row of x
};

}  // namespace

std::optional<WinnersCost> winners_cost(const Matrix& matrix, const ConvShape& shape, bool of_image) {
    const Sliding& s = shape.sliding;
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    const Row row = row_for(subject);
    const std::int64_t pitch = pitch_of(matrix.stored(), as_size(bytes_of(shape.types.y)));
    if (row.row == nullptr || s.stride_rows != 1 || s.stride_cols != 1 || s.pixels() == 0 || shape.channels == 0 ||
        s.pixels() * pitch >= std::numeric_limits<std::int32_t>::max())
        return {};
    // A winner's units, of those whose outputs there are.
    const double inside = std::min(1.0, static_cast<double>(s.pixels()) /
                                            static_cast<double>(std::max<std::int64_t>(1, shape.height * shape.width)));
    const double units = subject.operand.nnz() / row.row->block_rows / static_cast<double>(shape.channels) * inside;
    const double each = is_gapless(subject.operand.by_input()) ? 2.3 : 3.6;
    // Of an image each winner is a call of its own, whose pixel has to be found.
    const double call = of_image ? 116 : 6;
    return WinnersCost{units * each + call, 0.6 * static_cast<double>(subject.operand.outer() * s.pixels())};
}

std::unique_ptr<const Convolution> make_scatter(const Matrix& matrix, const ConvShape& shape, bool of_image) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    const Row row = row_for(subject);
    const MoveRow* const move = strongest_of(&Table::move, subject.levels, shape.types.y).row;
    const FoldRow* const fold = strongest_of(&Table::fold, subject.levels, shape.types.y).row;
    char text[200];
    std::snprintf(text, sizeof text, "each winner adds its column of filters, %d at a time, to the outputs it meets",
                  row.row->block_rows);
    return dispatch(shape.types, [&](auto product) -> std::unique_ptr<const Convolution> {
        return std::make_unique<const Scatter<decltype(product)>>(matrix, shape, of_image, std::string(text), row, move,
                                                                  fold);
    });
}

RowName row_name(const ScatterRow& row) {
    return {"spspconv", "scatter", name_of(row.types), std::to_string(row.block_rows), row.block_rows, 1};
}

}  // namespace cs
