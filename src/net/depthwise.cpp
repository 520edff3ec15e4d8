// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of channels by dense filters of their own: planes one at a time, or pixels with all channels.
#include "kernels/depthwise.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "conv/padded.hpp"
#include "kernels/depthwise_planes.hpp"
#include "kernels/move.hpp"
#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "net/rows.hpp"
#include "net/steps.hpp"
#include "tiles/work.hpp"

namespace cs {

RowName row_name(const DepthwiseRow& row) { return {nullptr, "dense", name_of(row.type), "", 1, 1}; }
RowName row_name(const DepthwisePlanesRow& row) {
    return {nullptr, "dense", name_of(row.type), by(row.kernel, row.stride), 1, 1};
}

namespace {

constexpr std::int64_t beyond = 64;  // elements that a vector may read behind a plane

// The micro-kernel for planes as they lie; null where there is none for these filters.
const DepthwisePlanesRow* row_of_planes(Type type, const ImagesView& x, const Sliding& s) {
    if (x.col_stride != 1 || s.kernel_rows != s.kernel_cols || s.stride_rows != s.stride_cols) return nullptr;
    if (s.dilation_rows != 1 || s.dilation_cols != 1) return nullptr;
    const auto serves = [&](const DepthwisePlanesRow& row) {
        return row.type == type && row.kernel == s.kernel_rows && row.stride == s.stride_rows;
    };
    return strongest(&Table::depthwise_planes, usable_levels(), serves).row;
}

// Of planes a channel is an image of its own.
ConvShape padded_shape(Type type, const ImagesView& x, const Sliding& sliding, bool channels_last) {
    ConvShape shape{{type, type, type}, channels_last ? x.channels : 1, x.height, x.width};
    shape.sliding = sliding;
    shape.channels_last = channels_last;
    return shape;
}

template <class T>
class DepthwiseStep final : public Step, public RowsStep {
   public:
    DepthwiseStep(const void* weights, const ImagesView& x, const ImagesView& y, const Sliding& sliding,
                  const Epilogue& finish, int x_at, int y_at)
        : padded_(padded_shape(type_of<T>, x, sliding, x.col_stride != 1), x.col_stride != 1, x.col_stride == 1),
          channels_last_(x.col_stride != 1),
          weights_(static_cast<const T*>(weights)),
          bias_(static_cast<const T*>(finish.bias)),
          rest_{nullptr, finish.activation, finish.parameter},
          function_(strongest_of(&Table::depthwise, usable_levels(), type_of<T>).row->function),
          of_planes_(row_of_planes(type_of<T>, x, sliding)),
          move_(*strongest_of(&Table::move, usable_levels(), type_of<T>).row),
          x_(x),
          y_(y),
          sliding_(sliding),
          x_at_(x_at),
          y_at_(y_at) {
        for (std::int64_t tap = 0; tap < sliding.taps(); ++tap) offsets_.push_back(padded_.offset(0, tap));
        const Activation activation = finish.activation;
        if (activation == Activation::relu || activation == Activation::relu6) {
            least_ = 0;
            most_ = activation == Activation::relu6 ? 6 : most_;
            rest_.activation = Activation::none;
        }
    }

    void run(const Frame& frame) const override {
        const std::int64_t of_image = channels_last_ ? 1 : x_.channels, tasks = frame.samples.count * of_image;
        const int worth = choose_threads(work() * static_cast<double>(frame.samples.count));
        const auto threads = static_cast<int>(std::min<std::int64_t>(std::min(worth, frame.threads), tasks));
        if (run_shares_of_rows(by_rows(), frame, threads)) return;
        // A worker's margins are zero once and for all of its planes.
        const std::int64_t shares = channels_last_ ? tasks : threads;
        auto task = [&](std::int64_t share, int worker) {
            T* const memory = reinterpret_cast<T*>(frame.workspace.memory + worker * room());
            if (channels_last_) return pixels(frame, share, memory);
            if (of_planes_ != nullptr) return as_they_lie(frame, share * tasks / shares, (share + 1) * tasks / shares);
            std::fill_n(memory, padded_.elements() + beyond, T{});
            for (std::int64_t i = share * tasks / shares; i < (share + 1) * tasks / shares; ++i)
                plane(frame, i / of_image, i % of_image, memory);
        };
        parallel_for(shares, threads, task);
    }
    std::int64_t workspace_bytes(std::int64_t, int threads) const override { return threads * room(); }
    double work() const override { return static_cast<double>(y_.channels * sliding_.taps() * sliding_.pixels()); }

    const RowsStep* by_rows() const override {
        return of_planes_ != nullptr && rest_.changes_nothing() ? this : nullptr;
    }
    PlanesOfSample x_planes() const override { return {x_.channels, x_.height, x_.width * std::int64_t{sizeof(T)}}; }
    PlanesOfSample y_planes() const override { return {y_.channels, y_.height, y_.width * std::int64_t{sizeof(T)}}; }
    Range rows_of_x(Range rows) const override { return rows_under(sliding_, x_.height, rows); }
    std::int64_t most_rows_of_x(std::int64_t rows) const override { return most_rows_under(sliding_, x_.height, rows); }
    void run_rows(const Frame& frame, Range rows, const BandOf& x, const BandOf& y) const override {
        const RowsAt from = x.of(frame, x_at_, x_planes()), to = y.of(frame, y_at_, y_planes());
        const Range given = rows_of_x(rows);
        DepthwisePlanesArgs args = args_of(from.row(given.first, x_planes()), to.row(rows.first, y_planes()), 0);
        args.x_step = from.plane_bytes / std::int64_t{sizeof(T)};
        args.y_step = to.plane_bytes / std::int64_t{sizeof(T)};
        args.height = given.count;
        args.out_rows = rows.count;
        args.top = given.first - (rows.first * sliding_.stride_rows - sliding_.top);
        of_planes(args, x_.channels);
    }
    std::int64_t workspace_bytes_of_rows(std::int64_t) const override { return 0; }

   private:
    // All rows of no planes, the first of which is that of the channel.
    DepthwisePlanesArgs args_of(const void* x, void* y, std::int64_t channel) const {
        const std::int64_t output = channel * (y_.channels / x_.channels);
        return {x,
                weights_ + output * sliding_.taps(),
                bias_ == nullptr ? nullptr : bias_ + output,
                y,
                0,
                x_.channel_stride,
                y_.channel_stride,
                x_.height,
                x_.width,
                sliding_.out_rows,
                sliding_.out_cols,
                sliding_.top,
                sliding_.left,
                least_,
                most_};
    }
    // The outputs of so many channels.
    void of_planes(DepthwisePlanesArgs args, std::int64_t channels) const {
        const std::int64_t each = y_.channels / x_.channels;
        if (each == 1) {
            args.planes = channels;
            return of_planes_->function(args);
        }
        // Filters of one channel share its plane.
        const std::int64_t x_step = args.x_step;
        args.x_step = 0;
        args.planes = each;
        for (std::int64_t i = 0; i < channels; ++i) {
            of_planes_->function(args);
            args.x = static_cast<const T*>(args.x) + x_step;
            args.y = static_cast<T*>(args.y) + each * args.y_step;
            args.weights = static_cast<const T*>(args.weights) + each * sliding_.taps();
            if (args.bias != nullptr) args.bias = static_cast<const T*>(args.bias) + each;
        }
    }
    std::int64_t room() const {
        if (of_planes_ != nullptr) return 0;
        return round_to_lines((padded_.elements() + beyond) * std::int64_t{sizeof(T)}, 1);
    }

    // All outputs of channels, counted on from image to image.
    void as_they_lie(const Frame& frame, std::int64_t first, std::int64_t last) const {
        const std::int64_t each = y_.channels / x_.channels;
        const T* const x = reinterpret_cast<const T*>(frame.at(x_at_));
        T* const y = reinterpret_cast<T*>(frame.at(y_at_));
        for (std::int64_t next; first < last; first = next) {
            const std::int64_t image = first / x_.channels, channel = first % x_.channels;
            next = std::min(last, (image + 1) * x_.channels);
            T* const to = y + image * y_.image_stride + channel * each * y_.channel_stride;
            of_planes(args_of(x + image * x_.image_stride + channel * x_.channel_stride, to, channel), next - first);
            end(to, (next - first) * each * sliding_.pixels());
        }
    }
    // All outputs of one channel.
    void plane(const Frame& frame, std::int64_t image, std::int64_t channel, T* memory) const {
        const T* const x = reinterpret_cast<const T*>(frame.at(x_at_));
        padded_.copy_pixels(x + image * x_.image_stride + channel * x_.channel_stride, memory);
        const std::int64_t each = y_.channels / x_.channels, rows = sliding_.out_rows, cols = sliding_.out_cols;
        T* const first = reinterpret_cast<T*>(frame.at(y_at_)) + image * y_.image_stride;
        for (std::int64_t output = channel * each; output < (channel + 1) * each; ++output) {
            T* const y = first + output * y_.channel_stride;
            function_({memory, weights_ + output * sliding_.taps(), bias_ == nullptr ? nullptr : bias_ + output, y,
                       offsets_.data(), sliding_.taps(), 1, rows, padded_.row_step(), cols, cols, least_, most_,
                       false});
            end(y, rows * cols);
        }
    }
    void pixels(const Frame& frame, std::int64_t image, T* memory) const {
        ImagesView x = x_;
        x.data = frame.at(x_at_);
        const std::int64_t cols = sliding_.out_cols, channels = x_.channels;
        T* y = reinterpret_cast<T*>(frame.at(y_at_)) + image * y_.image_stride;
        for (std::int64_t strip = 0; strip < padded_.n_strips(); ++strip) {
            padded_.copy(x, image, padded_.strip(strip), move_, T{}, memory);
            for (std::int64_t row = 0; row < padded_.rows_of(strip); ++row, y += cols * channels) {
                function_({memory + row * padded_.row_step(), weights_, bias_, y, offsets_.data(), sliding_.taps(),
                           channels, cols, padded_.pixel_step(), channels, channels, least_, most_, true});
                end(y, cols * channels);
            }
        }
    }
    void end(T* y, std::int64_t n) const {
        if (!rest_.changes_nothing()) move_.finish({y, y, 1, n, n, n, rest_});
    }

    const Padded padded_;
    const bool channels_last_;
    const T *const weights_, *const bias_;
    Epilogue rest_;
    const DepthwiseFunction function_;
    const DepthwisePlanesRow* const of_planes_;
    const MoveRow& move_;
    const ImagesView x_, y_;
    const Sliding sliding_;
    const int x_at_, y_at_;
    double least_ = -std::numeric_limits<double>::infinity(), most_ = std::numeric_limits<double>::infinity();
    std::vector<std::int64_t> offsets_;
};

}  // namespace

StepPointer depthwise_step(Type type, const void* weights, const ImagesView& x_of_sample, const ImagesView& y_of_sample,
                           const Sliding& sliding, const Epilogue& finish, int x, int y) {
    if (type == Type::f32)
        return std::make_unique<const DepthwiseStep<float>>(weights, x_of_sample, y_of_sample, sliding, finish, x, y);
    return std::make_unique<const DepthwiseStep<double>>(weights, x_of_sample, y_of_sample, sliding, finish, x, y);
}

}  // namespace cs
