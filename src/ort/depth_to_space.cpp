// SPDX-License-Identifier: BSD-3-Clause
// DepthToSpace: as ONNX's, by whole vectors. ONNX Runtime's moves single numbers.
#include <array>
#include <stdexcept>
#include <string>

#include "base/parallel.hpp"
#include "net/steps.hpp"
#include "ort/kernels.hpp"

namespace cs::ort {
namespace {

constexpr std::int64_t most_of_a_block = 1 << 10;

class DepthToSpaceKernel final : public Kernel {
   public:
    DepthToSpaceKernel(const Api& api, const KernelInfo* info) : block_(api.integer(info, "blocksize")) {
        if (block_ < 1 || block_ > most_of_a_block)
            throw std::invalid_argument("attribute blocksize is not 1 to " + std::to_string(most_of_a_block));
        const std::string mode = api.text(info, "mode");
        if (mode != "DCR" && mode != "CRD") throw std::invalid_argument("attribute mode is neither DCR nor CRD");
        channels_outermost_ = mode == "CRD";
    }

    void run(const Api& api, KernelContext* context) const override {
        const Tensor x = api.input(context, 0);
        if (x.shape.axes != 4 || x.shape.sizes[1] % (block_ * block_) != 0)
            throw std::invalid_argument("x has " + std::to_string(x.shape.axes) +
                                        " axes, not 4, or channels that are no multiple of " +
                                        std::to_string(block_ * block_));
        const auto [images, channels, height, width] =
            std::array{x.shape.sizes[0], x.shape.sizes[1] / (block_ * block_), x.shape.sizes[2], x.shape.sizes[3]};
        const Shape shape{{images, channels, height * block_, width * block_}, 4};
        unsigned char* const arrays[] = {static_cast<unsigned char*>(x.data),
                                         static_cast<unsigned char*>(api.output(context, shape))};
        const std::int64_t pixels = height * width, size = images * channels * block_ * block_ * pixels;
        if (size == 0) return;
        const std::int64_t of_channel = channels_outermost_ ? block_ * block_ * pixels : pixels,
                           of_col = channels_outermost_ ? pixels : channels * pixels, of_row = block_ * of_col;
        const StepPointer step = permute_step(
            Type::f32, {{channels, of_channel}, {height, width}, {block_, of_row}, {width, 1}, {block_, of_col}}, 0, 1);
        const std::int64_t image_bytes = size / images * std::int64_t{sizeof(float)};
        const Place places[] = {{Memory::outside, 0, image_bytes}, {Memory::outside, 1, image_bytes}};
        step->run({places, arrays, nullptr, nullptr, {0, images}, effective_threads(), {}});
    }

   private:
    const std::int64_t block_;
    bool channels_outermost_ = false;
};

}  // namespace

std::unique_ptr<const Kernel> make_depth_to_space(const Api& api, const KernelInfo* info) {
    return std::make_unique<DepthToSpaceKernel>(api, info);
}

}  // namespace cs::ort
