// SPDX-License-Identifier: BSD-3-Clause
// Convolutions as products: every dense choice of the matrix serves them.
#include <algorithm>
#include <mutex>

#include "base/caches.hpp"
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
    // `several`: of images of one pixel, which make one column alone and several together. `last`: of the last pixel of
    // an image, if that has a plan of its own.
    ProductsConvolution(const Matrix& matrix, const ConvShape& shape, const Plan& plan, const Plan& several,
                        const Plan& last)
        : Convolution(matrix, shape, plan.name(),
                      (shape.is_pixelwise() ? "pixels are the columns of x; " : "patches, a tile at a time; ") +
                          plan.reason() + (last.choice != nullptr ? "; the last pixel: " + last.reason() : "")),
          plan_(plan),
          several_(several),
          last_(last),
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
        const bool together = last_.choice == nullptr && in_place && is_flat(y) && pixels > 0 &&
                              x.image_stride == pixels * pixel_step(x) && y.image_stride == pixels * pixel_step(y);
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
        if (!ends_alone(operands)) return plan.run(of, workspace);
        of.y.cols -= 1, of.x.cols -= 1;
        plan.run(of, workspace);
        last_.run(last_pixel(operands, job), workspace);
    }

    // Whether the last pixel of all goes alone: by itself in each image, however many there are and however they lie,
    // so that its bits are the same.
    bool ends_alone(const ConvOperands& operands) const {
        return last_.choice != nullptr && operands.y_first + operands.y.height == sliding().out_rows;
    }
    Operands last_pixel(const ConvOperands& operands, std::int64_t job) const {
        const auto of_view = [&](const ImagesView& images, Type type) {
            const std::int64_t at = job * images.image_stride + (images.height - 1) * images.row_stride +
                                    (images.width - 1) * images.col_stride;
            return DenseView{static_cast<char*>(images.data) + at * bytes_of(type), images.channels, 1,
                             images.channel_stride, images.col_stride};
        };
        Operands of{};
        of.x = of_view(operands.x, shape().types.x);
        of.y = of_view(operands.y, shape().types.y);
        of.finish = operands.finish;
        return of;
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
        std::int64_t bytes = plan.workspace_bytes(of);
        if (ends_alone(operands)) {
            of.y.cols -= 1, of.x.cols -= 1;
            bytes = std::max(plan.workspace_bytes(of), last_.workspace_bytes(last_pixel(operands, 0)));
        }
        return round_to_lines(bytes, 1);
    }

    const Plan plan_, several_, last_;
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

// Where the last pixel is one more than whole vectors, which costs as much as another one of each entry if rows have
// columns of their own: a loop for one column takes less. 7 x 7 is such an image.
bool last_goes_alone(const Matrix& matrix, const ConvShape& shape) {
    const Types& types = shape.types;
    const bool floats = types == uniform(Type::f32) || types == uniform(Type::f64);
    if (!floats || !shape.is_pixelwise() || shape.channels_last || shape.deterministic) return false;
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, types);
    const std::int64_t pixels = shape.sliding.pixels();
    if (pixels < 2 * subject.lanes() || pixels % subject.lanes() != 1 || subject.known(rows_to_a_pattern) >= 4)
        return false;
    // Cycles: of the tile, an entry and a row; of one column, an entry of x, which lies apart from the next one, and an
    // entry of a layout of its own that comes from beyond L2.
    constexpr double tile_row = 22, x_entry = 10, far_entry = 0.6, layout_bytes = 8;
    const double nnz = subject.operand.nnz(), far = layout_bytes * nnz > static_cast<double>(cache_sizes().l2) / 6;
    return dense_options(subject, Batch::one_column).front().cost + x_entry * static_cast<double>(shape.channels) +
               far * far_entry * nnz <
           nnz + tile_row * static_cast<double>(subject.operand.outer());
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    PlanRequest request = request_for(shape);
    Plan last;
    if (last_goes_alone(matrix, shape)) {
        PlanRequest alone = request;
        alone.n = 1;
        last = make_plan(matrix, alone);
        request.n -= 1;
    }
    const Plan plan = make_plan(matrix, request);
    constexpr std::int64_t some_images = 16;
    if (shape.sliding.pixels() == 1) request.n = some_images;
    return std::make_unique<const ProductsConvolution>(matrix, shape, plan, make_plan(matrix, request), last);
}

}  // namespace

const ConvWay products_way{"products", cost, build};

}  // namespace cs
