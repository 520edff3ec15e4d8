// SPDX-License-Identifier: BSD-3-Clause
// DepthwiseConv: as ONNX's Conv whose groups are channels, with dense filters; images have one or two spatial axes. So
// that images between sparse convolutions need not go to the layout of ONNX Runtime's own and back.
#include <memory>
#include <stdexcept>
#include <string>

#include "base/parallel.hpp"
#include "net/steps.hpp"
#include "ops/bound_call.hpp"
#include "ort/geometry.hpp"
#include "ort/kernels.hpp"
#include "ort/weights.hpp"

namespace cs::ort {
namespace {

constexpr std::size_t filters_input = 1, own_bias_input = 2;

class DepthwiseKernel final : public Kernel {
   public:
    DepthwiseKernel(const Api& api, const KernelInfo* info) : geometry_(api, info) {
        const Tensor filters = api.constant_input(info, filters_input, float32_type, "filters");
        const auto* const from = static_cast<const float*>(filters.data);
        filters_.assign(from, from + filters.shape.sizes[0]);
        if (filters_.empty() || filters.shape.sizes[0] % geometry_.taps() != 0)
            throw std::invalid_argument("filters of " + std::to_string(filters_.size()) + " numbers for kernels of " +
                                        std::to_string(geometry_.taps()) + " taps");
        outputs_ = filters.shape.sizes[0] / geometry_.taps();
        finish_ = Finish(api, info, own_bias_input, outputs_);
    }

    void run(const Api& api, KernelContext* context) const override {
        const ImagesView x = geometry_.images(api.input(context, x_input));
        if (x.channels < 1 || outputs_ % x.channels != 0)
            throw std::invalid_argument("x has " + std::to_string(x.channels) + " channels for " +
                                        std::to_string(outputs_) + " filters");
        const Sliding sliding = geometry_.sliding(x.height, x.width);
        const ImagesView y = geometry_.outputs(x, outputs_, sliding);
        const auto step = steps_.of(x, [&] {
            return std::shared_ptr<const Step>(
                depthwise_step(Type::f32, filters_.data(), x, y, sliding, finish_.epilogue(), 0, 1));
        });
        unsigned char* const arrays[] = {static_cast<unsigned char*>(x.data),
                                         static_cast<unsigned char*>(api.output(context, geometry_.shape(y)))};
        if (x.images == 0) return;
        constexpr std::int64_t size = sizeof(float);
        const Place places[] = {{Memory::outside, 0, x.image_stride * size},
                                {Memory::outside, 1, y.image_stride * size}};
        const int threads = effective_threads();
        const Workspace workspace = workspace_of_thread().at_least(step->workspace_bytes(x.images, threads));
        step->run({places, arrays, nullptr, nullptr, {0, x.images}, threads, workspace});
    }

   private:
    const Geometry geometry_;
    AlignedVector<float> filters_;
    std::int64_t outputs_ = 0;
    Finish finish_;
    const BySize<Step> steps_;
};

}  // namespace

std::unique_ptr<const Kernel> make_depthwise(const Api& api, const KernelInfo* info) {
    return std::make_unique<DepthwiseKernel>(api, info);
}

}  // namespace cs::ort
