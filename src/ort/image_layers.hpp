// SPDX-License-Identifier: BSD-3-Clause
// Layers of images that nodes are made of: sparse convolutions, and those of single channels.
#pragma once

#include <memory>

#include "net/steps.hpp"
#include "ort/geometry.hpp"

namespace cs::ort {

class ImageLayer {
   public:
    explicit ImageLayer(const LayerInfo& info) : geometry_(info) {}
    virtual ~ImageLayer() = default;
    ImageLayer(const ImageLayer&) = delete;
    ImageLayer& operator=(const ImageLayer&) = delete;

    const Geometry& geometry() const { return geometry_; }
    // Of images of these sizes; without an address. May throw std::invalid_argument.
    virtual ImagesView outputs(const ImagesView& x) const = 0;
    // From value x to value y. What it is made of besides the layer goes to `kept`.
    virtual StepPointer step(const ImagesView& of_x, const ImagesView& of_y, int x, int y,
                             std::shared_ptr<const Convolution>& kept) const = 0;

   private:
    const Geometry geometry_;
};

// May throw std::invalid_argument: attributes and weights are a file's.
std::unique_ptr<const ImageLayer> sparse_layer(const LayerInfo& info);
std::unique_ptr<const ImageLayer> depthwise_layer(const LayerInfo& info);

}  // namespace cs::ort
