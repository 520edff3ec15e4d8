// SPDX-License-Identifier: BSD-3-Clause
// Outputs whose windows meet equally many pixels are folded together: a rectangle of each plane, but for its edges.
// Where channels lie together, the elements of a fold are the channels of a pixel.
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

// One axis of a pool.
struct PoolAxis {
    std::int64_t out, stride, dilation, kernel, before, size, padded_size;

    // Taps of output i that lie inside of the image, and how many lie inside of the padded one.
    PoolRun at(std::int64_t i) const {
        const std::int64_t first = i * stride - before;
        const Inside inside = Inside::of(first, dilation, kernel, size);
        const Inside padded = Inside::of(first + before, dilation, kernel, padded_size);
        return {i, 1, inside.first, inside.last, padded.last - padded.first};
    }

    std::vector<PoolRun> runs(bool together) const {
        std::vector<PoolRun> runs;
        for (std::int64_t i = 0; i < out; ++i) {
            const PoolRun run = at(i);
            if (together && !runs.empty() && runs.back().first_tap == run.first_tap &&
                runs.back().last_tap == run.last_tap && runs.back().padded == run.padded)
                ++runs.back().count;
            else
                runs.push_back(run);
        }
        return runs;
    }
};

PoolAxis rows_of(const Pool& pool, const ImagesView& x) {
    const Sliding& s = pool.sliding;
    return {s.out_rows, s.stride_rows, s.dilation_rows, s.kernel_rows, s.top, x.height, pool.padded_rows};
}

PoolAxis cols_of(const Pool& pool, const ImagesView& x) {
    const Sliding& s = pool.sliding;
    return {s.out_cols, s.stride_cols, s.dilation_cols, s.kernel_cols, s.left, x.width, pool.padded_cols};
}

template <class T>
class Pooling {
   public:
    Pooling(const Pool& pool, const std::vector<PoolRun>& rows, const std::vector<PoolRun>& cols, bool together,
            const ImagesView& x, const ImagesView& y)
        : pool_(pool),
          s_(pool.sliding),
          x_(x),
          y_(y),
          rows_(rows),
          cols_(cols),
          fold_(pool.kind == PoolKind::largest ? strongest_of(&Table::fold, usable_levels(), type_of<T>).row->largest
                                               : strongest_of(&Table::fold, usable_levels(), type_of<T>).row->mean),
          together_(together) {}

    void run(int threads) const {
        // Shares of rows: of whole planes, or of the rows of one.
        const std::int64_t planes = together_ ? x_.images : x_.images * x_.channels;
        parallel_shares(planes * s_.out_rows, threads, [&](std::int64_t first, std::int64_t last) {
            while (first < last) {
                const std::int64_t plane = first / s_.out_rows, row = first % s_.out_rows;
                const std::int64_t count = std::min(last - first, s_.out_rows - row);
                of_plane(plane, row, row + count);
                first += count;
            }
        });
    }

   private:
    double divisor(const PoolRun& rows, const PoolRun& cols) const {
        return static_cast<double>(pool_.kind == PoolKind::mean ? rows.padded * cols.padded
                                                                : rows.taps() * cols.taps());
    }

    // Output rows [first, last).
    void of_plane(std::int64_t plane, std::int64_t first, std::int64_t last) const {
        const std::int64_t image = together_ ? plane : plane / x_.channels;
        const std::int64_t channel = together_ ? 0 : plane % x_.channels;
        const T* const from = static_cast<const T*>(x_.data) + image * x_.image_stride + channel * x_.channel_stride;
        T* const to = static_cast<T*>(y_.data) + image * y_.image_stride + channel * y_.channel_stride;
        for (const PoolRun& rows : rows_) {
            const std::int64_t begin = std::max(first, rows.first), end = std::min(last, rows.first + rows.count);
            if (begin >= end) continue;
            const std::int64_t row = begin * s_.stride_rows - s_.top + rows.first_tap * s_.dilation_rows;
            for (const PoolRun& cols : cols_) {
                const std::int64_t col = cols.first * s_.stride_cols - s_.left + cols.first_tap * s_.dilation_cols;
                fold_({from + row * x_.row_stride + col * x_.col_stride,
                       to + begin * y_.row_stride + cols.first * y_.col_stride, end - begin,
                       s_.stride_rows * x_.row_stride, y_.row_stride, together_ ? x_.channels : cols.count,
                       together_ ? 1 : s_.stride_cols * x_.col_stride, rows.taps(), s_.dilation_rows * x_.row_stride,
                       cols.taps(), s_.dilation_cols * x_.col_stride, divisor(rows, cols)});
            }
        }
    }

    const Pool& pool_;
    const Sliding& s_;
    const ImagesView &x_, &y_;
    const std::vector<PoolRun>&rows_, &cols_;
    const FoldFunction fold_;
    const bool together_;
};

}  // namespace

BoundPool::BoundPool(const Pool& pool, const ImagesView& x, const ImagesView& y)
    : pool_(pool),
      together_(x.channel_stride == 1 && y.channel_stride == 1 && x.channels > 1),
      rows_(rows_of(pool, x).runs(true)),
      cols_(cols_of(pool, x).runs(!together_ && y.col_stride == 1)) {}

void BoundPool::run(const ImagesView& x, const ImagesView& y, int threads) const {
    if (y.images == 0 || y.channels == 0 || y.height == 0 || y.width == 0) return;
    dispatch(pool_.type,
             [&](auto zero) { Pooling<decltype(zero)>(pool_, rows_, cols_, together_, x, y).run(threads); });
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
