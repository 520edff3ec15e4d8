// SPDX-License-Identifier: BSD-3-Clause
#include "ops/pool.hpp"

#include <algorithm>

#include "net/steps.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

class PoolStep final : public Step {
   public:
    PoolStep(const Pool& pool, const ImagesView& x_of_sample, const ImagesView& y_of_sample, int x, int y)
        : pool_(pool, x_of_sample, y_of_sample), x_(x_of_sample), y_(y_of_sample), x_at_(x), y_at_(y) {}

    void run(const Frame& frame) const override {
        ImagesView x = x_, y = y_;
        x.data = frame.at(x_at_);
        y.data = frame.at(y_at_);
        x.images = y.images = frame.samples.count;
        const double all = work() * static_cast<double>(frame.samples.count);
        pool_.run(x, y, frame.threads == 1 ? 1 : std::min(frame.threads, choose_threads(all)));
    }

    double work() const override { return pool_.work(x_); }

   private:
    const BoundPool pool_;
    const ImagesView x_, y_;
    const int x_at_, y_at_;
};

}  // namespace

StepPointer pool_step(const Pool& pool, const ImagesView& x_of_sample, const ImagesView& y_of_sample, int x, int y) {
    return std::make_unique<const PoolStep>(pool, x_of_sample, y_of_sample, x, y);
}

}  // namespace cs
