// SPDX-License-Identifier: BSD-3-Clause
// SparseMatMul: y = activation(x W' + bias) along the last axis of x.
#include <stdexcept>
#include <string>

#include "ops/bound_call.hpp"
#include "ort/kernels.hpp"
#include "ort/weights.hpp"
#include "plan/plan.hpp"

namespace cs::ort {
namespace {

class ProductKernel final : public Kernel {
   public:
    ProductKernel(const Api& api, const KernelInfo* info) : weights_(LayerInfo(api, info)) {}

    void run(const Api& api, KernelContext* context) const override {
        const Tensor x = api.input(context, 0);
        const StoredMatrix& stored = weights_.matrix().stored();
        const std::size_t last = x.shape.axes - 1;
        if (x.shape.axes == 0 || x.shape.sizes[last] != stored.cols)
            throw std::invalid_argument(
                "x has " + (x.shape.axes == 0 ? std::string("no axes") : std::to_string(x.shape.sizes[last])) +
                " for a layer of " + std::to_string(stored.cols) + " inputs");
        Shape out = x.shape;
        out.sizes[last] = stored.rows;
        std::int64_t vectors = 1;
        for (std::size_t i = 0; i < last; ++i) vectors *= out.sizes[i];
        Operands operands{};
        operands.x = {x.data, stored.cols, vectors, 1, stored.cols};
        operands.y = {api.output(context, out), stored.rows, vectors, 1, stored.rows};
        operands.finish = weights_.finish();
        PlanRequest request;
        request.types = {Type::f32, Type::f32, Type::f32};
        request.n = vectors;
        request.contiguous_rows = vectors == 1;
        Plan plan = known_plan(weights_.matrix(), request);
        if (plan.choice == nullptr) plan = make_plan(weights_.matrix(), request);
        multiply(plan, operands);
    }

   private:
    const Weights weights_;
};

}  // namespace

std::unique_ptr<const Kernel> make_product(const Api& api, const KernelInfo* info) {
    return std::make_unique<ProductKernel>(api, info);
}

}  // namespace cs::ort
