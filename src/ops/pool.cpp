// SPDX-License-Identifier: BSD-3-Clause
// A row of outputs at a time: those whose windows meet equally many pixels are folded together. Where channels lie
// together, the elements of a fold are the channels of a pixel.
#include "ops/pool.hpp"

#include <algorithm>
#include <vector>

#include "kernels/fold.hpp"
#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "tiles/patches.hpp"
#include "tiles/work.hpp"

namespace cs {

RowName row_name(const FoldRow& row) { return {nullptr, "dense", name_of(row.type), "", 1, 1}; }

namespace {

// Taps of one window along one axis that lie inside of the image, and how many lie inside of the padded one.
struct Taps {
    Inside inside;
    std::int64_t padded;

    static Taps of(std::int64_t first, std::int64_t dilation, std::int64_t kernel, std::int64_t size,
                   std::int64_t before, std::int64_t padded_size) {
        const Inside all = Inside::of(first + before, dilation, kernel, padded_size);
        return {Inside::of(first, dilation, kernel, size), all.last - all.first};
    }
    std::int64_t count() const { return inside.last - inside.first; }
};

template <class T>
class Pooling {
   public:
    Pooling(const Pool& pool, const std::vector<PoolRun>& runs, bool together, const ImagesView& x, const ImagesView& y)
        : pool_(pool),
          s_(pool.sliding),
          x_(x),
          y_(y),
          runs_(runs),
          fold_(pool.kind == PoolKind::largest ? strongest_of(&Table::fold, usable_levels(), type_of<T>).row->largest
                                               : strongest_of(&Table::fold, usable_levels(), type_of<T>).row->mean),
          together_(together) {}

    void run(int threads) const {
        const std::int64_t planes = together_ ? x_.images : x_.images * x_.channels;
        parallel_shares(planes * s_.out_rows, threads, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t number = first; number < last; ++number) row(number / s_.out_rows, number % s_.out_rows);
        });
    }

   private:
    double divisor(const Taps& rows, const PoolRun& run) const {
        return static_cast<double>(pool_.kind == PoolKind::mean ? rows.padded * run.padded
                                                                : rows.count() * (run.last_tap - run.first_tap));
    }

    void row(std::int64_t plane, std::int64_t row) const {
        const std::int64_t image = together_ ? plane : plane / x_.channels;
        const std::int64_t channel = together_ ? 0 : plane % x_.channels;
        const Taps rows = Taps::of(row * s_.stride_rows - s_.top, s_.dilation_rows, s_.kernel_rows, x_.height, s_.top,
                                   pool_.padded_rows);
        const T* const from = static_cast<const T*>(x_.data) + image * x_.image_stride + channel * x_.channel_stride +
                              (row * s_.stride_rows - s_.top + rows.inside.first * s_.dilation_rows) * x_.row_stride;
        T* const to =
            static_cast<T*>(y_.data) + image * y_.image_stride + channel * y_.channel_stride + row * y_.row_stride;
        for (const PoolRun& run : runs_) {
            const std::int64_t col = run.first * s_.stride_cols - s_.left + run.first_tap * s_.dilation_cols;
            fold_({from + col * x_.col_stride, to + run.first * y_.col_stride, together_ ? x_.channels : run.count,
                   together_ ? 1 : s_.stride_cols * x_.col_stride, rows.count(), s_.dilation_rows * x_.row_stride,
                   run.last_tap - run.first_tap, s_.dilation_cols * x_.col_stride, divisor(rows, run)});
        }
    }

    const Pool& pool_;
    const Sliding& s_;
    const ImagesView &x_, &y_;
    const std::vector<PoolRun>& runs_;
    const FoldFunction fold_;
    const bool together_;
};

}  // namespace

BoundPool::BoundPool(const Pool& pool, const ImagesView& x, const ImagesView& y)
    : pool_(pool), together_(x.channel_stride == 1 && y.channel_stride == 1 && x.channels > 1) {
    const Sliding& s = pool.sliding;
    for (std::int64_t j = 0; j < s.out_cols; ++j) {
        const Taps taps =
            Taps::of(j * s.stride_cols - s.left, s.dilation_cols, s.kernel_cols, x.width, s.left, pool.padded_cols);
        const PoolRun run{j, 1, taps.inside.first, taps.inside.last, taps.padded};
        if (!together_ && y.col_stride == 1 && !runs_.empty() && runs_.back().first_tap == run.first_tap &&
            runs_.back().last_tap == run.last_tap && runs_.back().padded == run.padded)
            ++runs_.back().count;
        else
            runs_.push_back(run);
    }
}

void BoundPool::run(const ImagesView& x, const ImagesView& y, int threads) const {
    if (y.images == 0 || y.channels == 0 || y.height == 0 || y.width == 0) return;
    dispatch(pool_.type, [&](auto zero) { Pooling<decltype(zero)>(pool_, runs_, together_, x, y).run(threads); });
}

double BoundPool::work(const ImagesView& x) const {
    const Sliding& s = pool_.sliding;
    return 0.25 * static_cast<double>(x.channels * s.pixels()) * static_cast<double>(s.taps());
}

void pool(const Pool& pool, const ImagesView& x, const ImagesView& y) {
    const BoundPool bound(pool, x, y);
    bound.run(x, y, choose_threads(bound.work(x) * static_cast<double>(x.images)));
}

}  // namespace cs
