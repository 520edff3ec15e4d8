// SPDX-License-Identifier: BSD-3-Clause
// Steps that the host language computes.
#include "net/steps.hpp"

namespace cs {
namespace {

class HostStep final : public Step {
   public:
    HostStep(HostCall call, void* context, std::vector<int> values)
        : call_(call), context_(context), values_(std::move(values)) {}

    void run(const Frame& frame) const override {
        std::vector<unsigned char*> at;
        at.reserve(values_.size());
        for (const int value : values_) at.push_back(frame.at(value));
        if (call_(context_, at.data()) != 0) throw HostFailure();
    }
    double work() const override { return 0; }

   private:
    const HostCall call_;
    void* const context_;
    const std::vector<int> values_;
};

}  // namespace

StepPointer host_step(HostCall call, void* context, std::vector<int> values) {
    return std::make_unique<const HostStep>(call, context, std::move(values));
}

}  // namespace cs
