// SPDX-License-Identifier: BSD-3-Clause
#include "ort/image_layers.hpp"

#include <stdexcept>
#include <string>

#include "ort/weights.hpp"

namespace cs::ort {
namespace {

// As ONNX's Conv without groups, with sparse filters.
class SparseLayer final : public ImageLayer {
   public:
    explicit SparseLayer(const LayerInfo& info) : ImageLayer(info), weights_(info) {
        const std::int64_t cols = weights_.matrix().stored().cols, taps = geometry().taps();
        if (cols % taps != 0)
            throw std::invalid_argument("weights of " + std::to_string(cols) + " columns for kernels of " +
                                        std::to_string(taps) + " taps");
        channels_ = cols / taps;
    }

    ImagesView outputs(const ImagesView& x) const override {
        if (x.channels != channels_)
            throw std::invalid_argument("x has " + std::to_string(x.channels) + " channels for " +
                                        std::to_string(channels_) + " channels in the second axis");
        return geometry().outputs(x, weights_.matrix().stored().rows, geometry().sliding(x.height, x.width));
    }

    StepPointer step(const ImagesView& of_x, const ImagesView& of_y, int x, int y,
                     std::shared_ptr<const Convolution>& kept) const override {
        const Sliding sliding = geometry().sliding(of_x.height, of_x.width);
        kept = cs::make_convolution(weights_.matrix(),
                                    {{Type::f32, Type::f32, Type::f32}, channels_, of_x.height, of_x.width, sliding});
        return convolution_step(*kept, of_x, of_y, weights_.finish(), {}, {}, x, y);
    }

   private:
    const Weights weights_;
    std::int64_t channels_ = 0;
};

// As ONNX's Conv whose groups are channels, with dense filters. So that images between sparse convolutions need not go
// to the layout of ONNX Runtime's own and back.
class DepthwiseLayer final : public ImageLayer {
   public:
    explicit DepthwiseLayer(const LayerInfo& info) : ImageLayer(info) {
        const Tensor filters = info.constant_input(filters_input, float32_type, "filters");
        const auto* const from = static_cast<const float*>(filters.data);
        filters_.assign(from, from + filters.shape.sizes[0]);
        if (filters_.empty() || filters.shape.sizes[0] % geometry().taps() != 0)
            throw std::invalid_argument("filters of " + std::to_string(filters_.size()) + " numbers for kernels of " +
                                        std::to_string(geometry().taps()) + " taps");
        outputs_ = filters.shape.sizes[0] / geometry().taps();
        finish_ = Finish(info, own_bias_input, outputs_);
    }

    ImagesView outputs(const ImagesView& x) const override {
        if (x.channels < 1 || outputs_ % x.channels != 0)
            throw std::invalid_argument("x has " + std::to_string(x.channels) + " channels for " +
                                        std::to_string(outputs_) + " filters");
        return geometry().outputs(x, outputs_, geometry().sliding(x.height, x.width));
    }

    StepPointer step(const ImagesView& of_x, const ImagesView& of_y, int x, int y,
                     std::shared_ptr<const Convolution>&) const override {
        return depthwise_step(Type::f32, filters_.data(), of_x, of_y, geometry().sliding(of_x.height, of_x.width),
                              finish_.epilogue(), x, y);
    }

   private:
    static constexpr std::int64_t filters_input = 0, own_bias_input = 1;

    AlignedVector<float> filters_;
    std::int64_t outputs_ = 0;
    Finish finish_;
};

}  // namespace

std::unique_ptr<const ImageLayer> sparse_layer(const LayerInfo& info) { return std::make_unique<SparseLayer>(info); }
std::unique_ptr<const ImageLayer> depthwise_layer(const LayerInfo& info) {
    return std::make_unique<DepthwiseLayer>(info);
}

}  // namespace cs::ort
