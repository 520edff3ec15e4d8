// SPDX-License-Identifier: BSD-3-Clause
#include "ort/geometry.hpp"

#include <stdexcept>
#include <string>

namespace cs::ort {
namespace {

constexpr std::int64_t most_pixels = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t most_entries = std::int64_t{1} << 40;  // of an image: so that bytes of some are numbers

ImagesView planes(void* data, std::int64_t n, std::int64_t channels, std::int64_t height, std::int64_t width) {
    return {data, n, channels, height, width, channels * height * width, height * width, width, 1};
}

}  // namespace

std::int64_t Geometry::Axis::out(std::int64_t size) const {
    const std::int64_t left = size + before + after - ((kernel - 1) * dilation + 1);
    if (left < 0)
        throw std::invalid_argument("a kernel of " + std::to_string(kernel) + " pixels, " + std::to_string(dilation) +
                                    " apart, is larger than an image of " + std::to_string(size) + " with its padding");
    return left / stride + 1;
}

Geometry::Geometry(const LayerInfo& info) : n_axes_(static_cast<std::size_t>(info.integer("axes"))) {
    if (n_axes_ < 1 || n_axes_ > 2) throw std::invalid_argument("attribute axes is not 1 or 2");
    const auto kernel = info.integers("kernel_shape", n_axes_), stride = info.integers("strides", n_axes_),
               dilation = info.integers("dilations", n_axes_), pads = info.integers("pads", 2 * n_axes_);
    for (std::size_t i = 0; i < n_axes_; ++i) {
        Axis& axis = axes_[i + 2 - n_axes_];
        axis = {kernel[i], stride[i], dilation[i], pads[i], pads[n_axes_ + i]};
        for (const std::int64_t n : {axis.kernel, axis.stride, axis.dilation, axis.before + 1, axis.after + 1})
            if (n < 1 || n > (1 << 20))
                throw std::invalid_argument("kernel_shape, strides and dilations must be 1 to 2**20, pads less");
    }
}

Sliding Geometry::sliding(std::int64_t height, std::int64_t width) const {
    const auto& [rows, cols] = axes_;
    return {rows.kernel,   cols.kernel, rows.stride, cols.stride,      rows.dilation,
            cols.dilation, rows.before, cols.before, rows.out(height), cols.out(width)};
}

ImagesView Geometry::images(const Tensor& x) const {
    if (x.shape.axes != n_axes_ + 2)
        throw std::invalid_argument("x has " + std::to_string(x.shape.axes) + " axes for images of " +
                                    std::to_string(n_axes_ + 2));
    const std::int64_t height = n_axes_ == 2 ? x.shape.sizes[2] : 1, width = x.shape.sizes[n_axes_ + 1];
    if (height < 1 || width < 1 || height > most_pixels / width)
        throw std::invalid_argument("images of " + std::to_string(height) + " x " + std::to_string(width));
    return planes(x.data, x.shape.sizes[0], x.shape.sizes[1], height, width);
}

ImagesView Geometry::outputs(const ImagesView& x, std::int64_t channels, const Sliding& sliding) const {
    const std::int64_t height = sliding.out_rows, width = sliding.out_cols;
    if (height > most_pixels / width || channels > most_entries / (height * width))
        throw std::invalid_argument("outputs of " + std::to_string(channels) + " x " + std::to_string(height) + " x " +
                                    std::to_string(width));
    return planes(nullptr, x.images, channels, height, width);
}

Shape Geometry::shape(const ImagesView& y) const {
    Shape shape{{y.images, y.channels}, n_axes_ + 2};
    if (n_axes_ == 2) shape.sizes[2] = y.height;
    shape.sizes[n_axes_ + 1] = y.width;
    return shape;
}

}  // namespace cs::ort
