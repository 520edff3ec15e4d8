// SPDX-License-Identifier: BSD-3-Clause
// Convolutions with sparse filters, of images or of winners.
#include <algorithm>
#include <optional>

#include "net/rows.hpp"
#include "net/steps.hpp"

namespace cs {
namespace {

class ConvolutionStep final : public Step, public RowsStep {
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

    const RowsStep* by_rows() const override {
        const bool planes = x_.col_stride == 1 && y_.col_stride == 1;
        return convolution_.takes_rows() && planes && !of_winners_ && !requantizing_ && pool_.is_one_pixel() ? this
                                                                                                             : nullptr;
    }
    PlanesOfSample x_planes() const override { return {x_.channels, x_.height, x_.width * bytes_of(types().x)}; }
    PlanesOfSample y_planes() const override { return {y_.channels, y_.height, y_.width * bytes_of(types().y)}; }
    Range rows_of_x(Range rows) const override { return rows_under(convolution_.sliding(), x_.height, rows); }
    std::int64_t most_rows_of_x(std::int64_t rows) const override {
        return most_rows_under(convolution_.sliding(), x_.height, rows);
    }
    void run_rows(const Frame& frame, Range rows, const BandOf& x, const BandOf& y) const override {
        const Range given = rows_of_x(rows);
        ConvOperands operands = operands_of(1);
        operands.x_first = given.first;
        operands.y_first = rows.first;
        take_rows(operands.x, x.of(frame, x_at_, x_planes()), x_planes(), given, types().x);
        take_rows(operands.y, y.of(frame, y_at_, y_planes()), y_planes(), rows, types().y);
        convolution_.run(operands, 1, frame.workspace);
    }
    std::int64_t workspace_bytes_of_rows(std::int64_t rows) const override {
        ConvOperands operands = operands_of(1);
        operands.x.height = most_rows_of_x(rows);
        operands.y.height = rows;
        return convolution_.workspace_bytes(operands, 1);
    }

   private:
    Types types() const { return convolution_.shape().types; }
    static void take_rows(ImagesView& view, const RowsAt& at, const PlanesOfSample& planes, Range rows, Type type) {
        view.data = at.row(rows.first, planes);
        view.height = rows.count;
        view.channel_stride = at.plane_bytes / bytes_of(type);
    }
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
