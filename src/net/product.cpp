// SPDX-License-Identifier: BSD-3-Clause
// Products with sparse weights, of dense vectors or of winners.
#include "net/steps.hpp"
#include "ops/bound_call.hpp"

namespace cs {
namespace {

class PlannedStep final : public Step {
   public:
    PlannedStep(const ProductStep& product, int x, int y, const WinnersAt* winners)
        : product_(product), x_at_(x), y_at_(y) {
        if (winners != nullptr) {
            of_winners_ = true;
            winners_ = *winners;
        }
        Operands operands = operands_of(product.samples);
        WinnersView none{};
        if (of_winners_) operands.winners = &none;
        product_.plan = product.plan.fit(operands);
    }

    void run(const Frame& frame) const override {
        Operands operands = operands_of(frame.samples.count);
        WinnersView winners{};
        if (of_winners_) {
            winners = winners_.view(frame);
            operands.winners = &winners;
        } else {
            operands.x.data = frame.at(x_at_);
        }
        operands.y.data = frame.at(y_at_);
        // How much it takes depends on the winners, and on the threads that there are by now.
        if (product_.plan.workspace_bytes(operands) <= frame.workspace.bytes)
            product_.plan.run(operands, frame.workspace);
        else
            product_.plan.run(operands, workspace_of_thread());
    }

    std::int64_t workspace_bytes(std::int64_t samples, int) const override {
        return of_winners_ ? 0 : product_.plan.workspace_bytes(operands_of(samples));
    }

    double work() const override {
        return static_cast<double>(product_.plan.choice->matrix().stored().nnz() * product_.vectors);
    }

   private:
    Operands operands_of(std::int64_t samples) const {
        const std::int64_t cols = samples * product_.vectors;
        return {{nullptr, product_.inputs, cols, 1, product_.inputs},
                nullptr,
                {nullptr, product_.outputs, cols, 1, product_.outputs},
                product_.finish};
    }

    ProductStep product_;
    const int x_at_, y_at_;
    bool of_winners_ = false;
    WinnersAt winners_{};
};

}  // namespace

StepPointer product_step(const ProductStep& product, int x, int y) {
    return std::make_unique<const PlannedStep>(product, x, y, nullptr);
}

StepPointer winners_product_step(const ProductStep& product, const WinnersAt& x, int y) {
    return std::make_unique<const PlannedStep>(product, -1, y, &x);
}

}  // namespace cs
