// SPDX-License-Identifier: BSD-3-Clause
// Where the windows of a convolution lie, as a node's attributes say; and what is made for so many images of one size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/views.hpp"
#include "ort/api.hpp"

namespace cs::ort {

class Geometry {
   public:
    // Attributes axes (1 or 2), kernel_shape, strides, dilations, pads. May throw std::invalid_argument.
    explicit Geometry(const LayerInfo& info);

    std::size_t n_axes() const { return n_axes_; }
    std::int64_t taps() const { return axes_[0].kernel * axes_[1].kernel; }
    // May throw std::invalid_argument.
    Sliding sliding(std::int64_t height, std::int64_t width) const;
    // The images that a tensor holds, (n, channels, one or two spatial axes). May throw likewise.
    ImagesView images(const Tensor& x) const;
    // Those of the outputs, which may be too large, and the shape that they have as a tensor.
    ImagesView outputs(const ImagesView& x, std::int64_t channels, const Sliding& sliding) const;
    Shape shape(const ImagesView& y) const;

   private:
    // Of one spatial axis.
    struct Axis {
        std::int64_t kernel, stride, dilation, before, after;
        std::int64_t out(std::int64_t size) const;
    };

    std::size_t n_axes_;
    std::array<Axis, 2> axes_{Axis{1, 1, 1, 0, 0}, Axis{1, 1, 1, 0, 0}};
};

// What is made for so many images of one size, on first need. Several threads may ask.
template <class Made>
class BySize {
   public:
    template <class Make>
    std::shared_ptr<const Made> of(const ImagesView& x, Make make) const {
        const std::lock_guard<std::mutex> guard(mutex_);
        const std::array<std::int64_t, 4> sizes{x.images, x.channels, x.height, x.width};
        for (const Entry& entry : entries_)
            if (entry.sizes == sizes) return entry.made;
        std::shared_ptr<const Made> made = make();
        if (entries_.size() == most_kept) entries_.erase(entries_.begin());
        entries_.push_back({sizes, made});
        return made;
    }

   private:
    static constexpr std::size_t most_kept = 8;
    struct Entry {
        std::array<std::int64_t, 4> sizes;
        std::shared_ptr<const Made> made;
    };

    mutable std::mutex mutex_;
    mutable std::vector<Entry> entries_;
};

}  // namespace cs::ort
