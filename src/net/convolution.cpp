// SPDX-License-Identifier: BSD-3-Clause
// Convolutions with sparse filters, of images or of winners.
#include <algorithm>
#include <optional>

#include "net/steps.hpp"

namespace cs {
namespace {

class ConvolutionStep final : public Step {
   public:
    ConvolutionStep(const Convolution& convolution, const ImagesView& x_of_sample, const ImagesView& y_of_sample,
                    const Epilogue& finish, PoolWindow pool, const OfIntegers& integers, int x, int y,
                    const WinnersAt* winners, double work)
        : convolution_(convolution),
          x_(x_of_sample),
          y_(y_of_sample),
          finish_(finish),
          pool_(pool),
          pad_(integers.pad),
          x_at_(x),
          y_at_(y),
          work_(work) {
        if (integers.requantizing != nullptr) requantizing_ = *integers.requantizing;
        if (winners != nullptr) {
            of_winners_ = true;
            winners_ = *winners;
        }
    }

    void run(const Frame& frame) const override {
        WinnersView winners{};
        ConvOperands operands = operands_of(frame.samples.count);
        operands.y.data = frame.at(y_at_);
        if (of_winners_) {
            winners = winners_.view(frame);
            operands.winners = &winners;
        } else {
            operands.x.data = frame.at(x_at_);
        }
        if (operands.has_no_outputs()) return;
        const int threads = frame.threads == 1 ? 1 : std::min(frame.threads, convolution_.threads_for(operands));
        convolution_.run(operands, threads, frame.workspace);
    }

    std::int64_t workspace_bytes(std::int64_t samples, int threads) const override {
        return convolution_.workspace_bytes(operands_of(samples), threads);
    }

    double work() const override { return work_; }

   private:
    ConvOperands operands_of(std::int64_t samples) const {
        ConvOperands operands{x_, y_, finish_};
        operands.pool = pool_;
        operands.pad = pad_;
        operands.requantizing = requantizing_ ? &*requantizing_ : nullptr;
        operands.x.images = operands.y.images = samples;
        return operands;
    }

    const Convolution& convolution_;
    const ImagesView x_, y_;
    const Epilogue finish_;
    const PoolWindow pool_;
    const std::int32_t pad_;
    std::optional<Requantizing> requantizing_;
    const int x_at_, y_at_;
    bool of_winners_ = false;
    WinnersAt winners_{};
    const double work_;
};

}  // namespace

StepPointer convolution_step(const Convolution& convolution, const ImagesView& x_of_sample,
                             const ImagesView& y_of_sample, const Epilogue& finish, PoolWindow pool,
                             const OfIntegers& integers, int x, int y) {
    return std::make_unique<const ConvolutionStep>(convolution, x_of_sample, y_of_sample, finish, pool, integers, x, y,
                                                   nullptr, convolution.work(1));
}

StepPointer winners_convolution_step(const Convolution& convolution, const ImagesView& y_of_sample,
                                     const Epilogue& finish, PoolWindow pool, const WinnersAt& x, int y) {
    const double winners = static_cast<double>(x.vectors * x.most);
    return std::make_unique<const ConvolutionStep>(convolution, ImagesView{}, y_of_sample, finish, pool, OfIntegers{},
                                                   -1, y, &x, convolution.work_of_winners(winners, 1));
}

}  // namespace cs
