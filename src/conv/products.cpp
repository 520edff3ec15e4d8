// SPDX-License-Identifier: BSD-3-Clause
// Convolutions as products: every dense choice of the matrix serves them.
#include <algorithm>

#include "conv/ways.hpp"
#include "plan/dense.hpp"
#include "plan/plan.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// Whether the pixels of an image lie a constant step apart, row after row.
bool is_flat(const ImagesView& images) {
    return images.height <= 1 || images.width <= 1 || images.row_stride == images.width * images.col_stride;
}
std::int64_t pixel_step(const ImagesView& images) { return images.width > 1 ? images.col_stride : images.row_stride; }

class ProductsConvolution final : public Convolution {
   public:
    // `several`: of images of one pixel, which make one column alone and several together.
    ProductsConvolution(const Matrix& matrix, const ConvShape& shape, const Plan& plan, const Plan& several)
        : Convolution(
              matrix, shape, plan.name(),
              (shape.is_pixelwise() ? "pixels are the columns of x; " : "patches, a tile at a time; ") + plan.reason()),
          plan_(plan),
          several_(several),
          pixelwise_(shape.is_pixelwise()) {}

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        const Jobs jobs = jobs_of(operands);
        const Plan plan = fitting(operands, jobs);
        if (jobs.count < 2 * threads) {
            for (std::int64_t job = 0; job < jobs.count; ++job) product(plan, operands, jobs, job, workspace);
            return;
        }
        const std::int64_t each = bytes_of_job(plan, operands, jobs);
        auto task = [&](std::int64_t job, int worker) {
            product(plan, operands, jobs, job, {workspace.memory + worker * each, each});
        };
        parallel_for(jobs.count, threads, task);
    }

    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        const Jobs jobs = jobs_of(operands);
        if (jobs.count == 0) return 0;
        const Plan plan = fitting(operands, jobs);
        return bytes_of_job(plan, operands, jobs) * (jobs.count < 2 * threads ? 1 : threads);
    }

    bool takes_rows() const override { return pixelwise_; }

   private:
    // A product for each image, or one for all where their pixels follow one another.
    struct Jobs {
        std::int64_t count, columns;
        bool in_place;  // x is read where it lies
    };

    Jobs jobs_of(const ConvOperands& operands) const {
        const ImagesView &x = operands.x, &y = operands.y;
        const bool in_place = pixelwise_ && is_flat(x);
        const std::int64_t pixels = y.height * y.width;
        const bool together = in_place && is_flat(y) && pixels > 0 && x.image_stride == pixels * pixel_step(x) &&
                              y.image_stride == pixels * pixel_step(y);
        if (together) return {std::min<std::int64_t>(x.images, 1), pixels * x.images, true};
        return {pixels > 0 ? x.images : 0, pixels, in_place};
    }

    // y of one job: a matrix where its pixels are flat, which they are for all that is allocated here; else a row of
    // pixels after another.
    void product(const Plan& plan, const ConvOperands& operands, const Jobs& jobs, std::int64_t job,
                 Workspace workspace) const {
        Operands of{};
        PatchesView patches{};
        fill(operands, jobs, job, of, patches);
        plan.run(of, workspace);
    }

    void fill(const ConvOperands& operands, const Jobs& jobs, std::int64_t job, Operands& of,
              PatchesView& patches) const {
        const ImagesView &x = operands.x, &y = operands.y;
        const std::int64_t size_y = bytes_of(shape().types.y), size_x = bytes_of(shape().types.x);
        of.winners = nullptr;
        of.finish = operands.finish;
        of.y = {static_cast<char*>(y.data) + job * y.image_stride * size_y, y.channels, jobs.columns, y.channel_stride,
                pixel_step(y)};
        if (jobs.in_place) {
            of.x = {static_cast<char*>(x.data) + job * x.image_stride * size_x, x.channels, jobs.columns,
                    x.channel_stride, pixel_step(x)};
        } else {
            patches = {&x, &sliding(), job, operands.pad};
            of.patches = &patches;
        }
    }

    Plan fitting(const ConvOperands& operands, const Jobs& jobs) const {
        Operands of{};
        PatchesView patches{};
        fill(operands, jobs, 0, of, patches);
        return (sliding().pixels() == 1 && jobs.columns > 1 ? several_ : plan_).fit(of);
    }

    std::int64_t bytes_of_job(const Plan& plan, const ConvOperands& operands, const Jobs& jobs) const {
        Operands of{};
        PatchesView patches{};
        fill(operands, jobs, 0, of, patches);
        return round_to_lines(plan.workspace_bytes(of), 1);
    }

    const Plan plan_, several_;
    const bool pixelwise_;
};

PlanRequest request_for(const ConvShape& shape) {
    PlanRequest request;
    request.types = shape.types;
    request.n = std::max<std::int64_t>(1, shape.sliding.pixels());
    request.deterministic = shape.deterministic;
    request.contiguous_rows = shape.is_pixelwise() && !shape.channels_last;
    return request;
}

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    const PlanRequest request = request_for(shape);
    const auto options = dense_options(subject, batch_of(request.n, request.contiguous_rows, request.deterministic));
    // Short runs, many of them: an entry of a patch takes about three cycles.
    const double patches = shape.is_pixelwise() ? 0 : 3 * static_cast<double>(shape.channels * shape.sliding.taps());
    return (options.front().cost + patches) * static_cast<double>(request.n);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    PlanRequest request = request_for(shape);
    const Plan plan = make_plan(matrix, request);
    constexpr std::int64_t some_images = 16;
    if (shape.sliding.pixels() == 1) request.n = some_images;
    return std::make_unique<const ProductsConvolution>(matrix, shape, plan, make_plan(matrix, request));
}

}  // namespace

const ConvWay products_way{"products", cost, build};

}  // namespace cs
