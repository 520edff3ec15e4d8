// SPDX-License-Identifier: BSD-3-Clause
// SparseConv: as ONNX's Conv without groups, with sparse filters; images have one or two spatial axes.
#include "conv/convolution.hpp"

#include <memory>
#include <stdexcept>
#include <string>

#include "ops/bound_call.hpp"
#include "ort/geometry.hpp"
#include "ort/kernels.hpp"
#include "ort/weights.hpp"

namespace cs::ort {
namespace {

class ConvolutionKernel final : public Kernel {
   public:
    ConvolutionKernel(const Api& api, const KernelInfo* info) : weights_(api, info), geometry_(api, info) {
        const std::int64_t cols = weights_.matrix().stored().cols, taps = geometry_.taps();
        if (cols % taps != 0)
            throw std::invalid_argument("weights of " + std::to_string(cols) + " columns for kernels of " +
                                        std::to_string(taps) + " taps");
        channels_ = cols / taps;
    }

    void run(const Api& api, KernelContext* context) const override {
        ConvOperands operands{};
        operands.x = geometry_.images(api.input(context, x_input));
        if (operands.x.channels != channels_)
            throw std::invalid_argument("x has " + std::to_string(operands.x.channels) + " channels for " +
                                        std::to_string(channels_) + " channels in the second axis");
        const auto convolution = convolutions_.of(operands.x, [&] { return made_for(operands.x); });
        operands.y = geometry_.outputs(operands.x, weights_.matrix().stored().rows, convolution->sliding());
        operands.y.data = api.output(context, geometry_.shape(operands.y));
        operands.finish = weights_.finish();
        convolve(*convolution, operands);
    }

   private:
    std::shared_ptr<const Convolution> made_for(const ImagesView& x) const {
        const Sliding sliding = geometry_.sliding(x.height, x.width);
        return cs::make_convolution(weights_.matrix(),
                                    {{Type::f32, Type::f32, Type::f32}, channels_, x.height, x.width, sliding});
    }

    const Weights weights_;
    const Geometry geometry_;
    std::int64_t channels_ = 0;
    const BySize<Convolution> convolutions_;
};

}  // namespace

std::unique_ptr<const Kernel> make_convolution(const Api& api, const KernelInfo* info) {
    return std::make_unique<ConvolutionKernel>(api, info);
}

}  // namespace cs::ort
