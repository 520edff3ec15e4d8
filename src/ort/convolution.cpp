// SPDX-License-Identifier: BSD-3-Clause
// SparseConv: as ONNX's Conv without groups, with sparse filters; images have one or two spatial axes.
#include "conv/convolution.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/bound_call.hpp"
#include "ort/kernels.hpp"
#include "ort/weights.hpp"

namespace cs::ort {
namespace {

constexpr std::size_t most_kept = 8;  // shapes of images, whose ways are kept
constexpr std::int64_t most_pixels = (std::int64_t{1} << 31) - 1;

// Of one spatial axis.
struct Axis {
    std::int64_t kernel, stride, dilation, before, after;

    std::int64_t out(std::int64_t size) const {
        const std::int64_t left = size + before + after - ((kernel - 1) * dilation + 1);
        if (left < 0)
            throw std::invalid_argument("a kernel of " + std::to_string(kernel) + " pixels, " +
                                        std::to_string(dilation) + " apart, is larger than an image of " +
                                        std::to_string(size) + " with its padding");
        return left / stride + 1;
    }
};

class ConvolutionKernel final : public Kernel {
   public:
    ConvolutionKernel(const Api& api, const KernelInfo* info) : weights_(api, info) {
        n_axes_ = static_cast<std::size_t>(api.integer(info, "axes"));
        if (n_axes_ < 1 || n_axes_ > 2) throw std::invalid_argument("attribute axes is not 1 or 2");
        const auto kernel = api.integers(info, "kernel_shape", n_axes_),
                   stride = api.integers(info, "strides", n_axes_), dilation = api.integers(info, "dilations", n_axes_),
                   pads = api.integers(info, "pads", 2 * n_axes_);
        for (std::size_t i = 0; i < n_axes_; ++i) {
            Axis& axis = axes_[i + 2 - n_axes_];
            axis = {kernel[i], stride[i], dilation[i], pads[i], pads[n_axes_ + i]};
            for (const std::int64_t n : {axis.kernel, axis.stride, axis.dilation, axis.before + 1, axis.after + 1})
                if (n < 1 || n > (1 << 20))
                    throw std::invalid_argument("kernel_shape, strides and dilations must be 1 to 2**20, pads less");
        }
        const std::int64_t taps = axes_[0].kernel * axes_[1].kernel;
        if (weights_.matrix().stored().cols % taps != 0)
            throw std::invalid_argument("weights of " + std::to_string(weights_.matrix().stored().cols) +
                                        " columns for kernels of " + std::to_string(taps) + " taps");
        channels_ = weights_.matrix().stored().cols / taps;
    }

    void run(const Api& api, KernelContext* context) const override {
        const Tensor x = api.input(context, x_input);
        if (x.shape.axes != n_axes_ + 2 || x.shape.sizes[1] != channels_)
            throw std::invalid_argument("x has " + std::to_string(x.shape.axes) + " axes for images of " +
                                        std::to_string(n_axes_ + 2) + " axes, " + std::to_string(channels_) +
                                        " channels in the second");
        const std::int64_t height = n_axes_ == 2 ? x.shape.sizes[2] : 1, width = x.shape.sizes[n_axes_ + 1];
        const auto way = way_for(height, width);
        Shape out = x.shape;
        out.sizes[1] = weights_.matrix().stored().rows;
        if (n_axes_ == 2) out.sizes[2] = way->sliding.out_rows;
        out.sizes[n_axes_ + 1] = way->sliding.out_cols;
        ConvOperands operands{};
        operands.x = images(x.data, x.shape.sizes[0], channels_, height, width);
        operands.y = images(api.output(context, out), x.shape.sizes[0], out.sizes[1], way->sliding.out_rows,
                            way->sliding.out_cols);
        operands.finish = weights_.finish();
        convolve(*way->convolution, operands);
    }

   private:
    struct Way {
        std::int64_t height, width;
        Sliding sliding;
        std::unique_ptr<const Convolution> convolution;
    };

    static ImagesView images(void* data, std::int64_t n, std::int64_t channels, std::int64_t height,
                             std::int64_t width) {
        return {data, n, channels, height, width, channels * height * width, height * width, width, 1};
    }

    // That of images of this size, made on first need.
    std::shared_ptr<const Way> way_for(std::int64_t height, std::int64_t width) const {
        const std::lock_guard<std::mutex> guard(mutex_);
        for (const auto& way : ways_)
            if (way->height == height && way->width == width) return way;
        if (height < 1 || width < 1 || height > most_pixels / width)
            throw std::invalid_argument("images of " + std::to_string(height) + " x " + std::to_string(width));
        const auto& [rows, cols] = axes_;
        auto way = std::make_shared<Way>();
        way->height = height, way->width = width;
        way->sliding = {rows.kernel,   cols.kernel, rows.stride, cols.stride,      rows.dilation,
                        cols.dilation, rows.before, cols.before, rows.out(height), cols.out(width)};
        way->convolution = cs::make_convolution(
            weights_.matrix(), {{Type::f32, Type::f32, Type::f32}, channels_, height, width, way->sliding});
        if (ways_.size() == most_kept) ways_.erase(ways_.begin());
        ways_.push_back(way);
        return way;
    }

    const Weights weights_;
    std::size_t n_axes_ = 0;
    std::array<Axis, 2> axes_{Axis{1, 1, 1, 0, 0}, Axis{1, 1, 1, 0, 0}};
    std::int64_t channels_ = 0;
    mutable std::mutex mutex_;
    mutable std::vector<std::shared_ptr<const Way>> ways_;
};

}  // namespace

std::unique_ptr<const Kernel> make_convolution(const Api& api, const KernelInfo* info) {
    return std::make_unique<ConvolutionKernel>(api, info);
}

}  // namespace cs::ort
