// SPDX-License-Identifier: BSD-3-Clause
// Sinks: where macro-kernels leave their sums, as tiles or as columns, and what the epilogue still has to do to them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/aligned.hpp"
#include "base/caches.hpp"
#include "base/epilogue.hpp"
#include "base/views.hpp"
#include "kernels/move.hpp"
#include "tiles/source.hpp"

namespace cs {

// Of outputs beyond L2 a tile meets a few lines of each row, which no prefetcher foresees: they are fetched while its
// sums are made.
template <class T>
void fetch_outputs(const DenseView& y, Range rows, Range cols) {
    constexpr std::int64_t each = sizeof(T), line = std::int64_t{cache_line} / each;
    if (y.col_stride != 1 || y.rows * y.row_stride * each < cache_sizes().l2 / 2) return;
    for (std::int64_t r = rows.first; r < rows.first + rows.count; ++r)
        for (std::int64_t c = 0; c < cols.count; c += line) __builtin_prefetch(element<T>(y, r, cols.first + c), 1);
}

// y, with one row per output feature and one column per vector.
template <class T>
class Sink {
   public:
    virtual ~Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;

    // Where loops may write, if the sink is in place.
    const DenseView& view() const { return view_; }
    bool in_place() const { return in_place_; }
    std::int64_t rows() const { return view_.rows; }
    std::int64_t cols() const { return view_.cols; }
    const Epilogue& finish() const { return finish_; }

    // What a loop does to the sums of the rows from `row` on, of all that is to be done.
    Epilogue in_loop(Activations takes, std::int64_t row) const {
        Epilogue loop = finish_;
        if (loop.bias != nullptr) loop.bias = static_cast<const T*>(loop.bias) + row;
        if (!takes.have(loop.activation)) loop.activation = Activation::none;
        return loop;
    }

    // Sums of y[rows, cols], row by row, `width` elements apart: nothing is done to them yet. They may be changed.
    virtual void take_tile(T* sums, std::int64_t width, Range rows, Range cols) const = 0;
    // Columns, `step` elements apart, that have what in_loop() says.
    virtual void take_columns(const T* columns, std::int64_t step, Range rows, Range cols) const = 0;
    // What in_loop() left out, to y[rows, cols] where it lies.
    void finish_rest(Activations takes, Range rows, Range cols) const {
        if (!takes.have(finish_.activation)) activate(rows, cols);
    }

   protected:
    // The activation alone, to y[rows, cols] where it lies.
    virtual void activate(Range rows, Range cols) const = 0;

    Sink(const DenseView& view, const Epilogue& finish, bool in_place = true)
        : view_(view), finish_(finish), in_place_(in_place) {}

   private:
    const DenseView& view_;
    const Epilogue& finish_;
    const bool in_place_;
};

template <class T>
class DenseSink final : public Sink<T> {
   public:
    // All must outlive the sink.
    DenseSink(const DenseView& y, const Epilogue& finish, const MoveRow& move)
        : Sink<T>(y, finish), y_(y), finish_(finish), move_(move) {}

    void take_tile(T* sums, std::int64_t width, Range rows, Range cols) const override {
        T* const to = element<T>(y_, rows.first, cols.first);
        const Epilogue finish = this->in_loop(every_activation, rows.first);
        if (y_.col_stride == 1) {
            move_.finish({sums, to, rows.count, cols.count, width, y_.row_stride, finish});
            return;
        }
        if (!finish.changes_nothing()) move_.finish({sums, sums, rows.count, cols.count, width, width, finish});
        if (y_.row_stride == 1)
            move_.transpose({sums, to, rows.count, cols.count, width, y_.col_stride});
        else
            for (std::int64_t i = 0; i < rows.count; ++i)
                for (std::int64_t j = 0; j < cols.count; ++j)
                    to[i * y_.row_stride + j * y_.col_stride] = sums[i * width + j];
    }

    void take_columns(const T* columns, std::int64_t step, Range rows, Range cols) const override {
        T* const to = element<T>(y_, rows.first, cols.first);
        if (y_.col_stride == 1 && cols.count > 1)
            move_.transpose({columns, to, cols.count, rows.count, step, y_.row_stride});
        else
            for (std::int64_t i = 0; i < rows.count; ++i)
                for (std::int64_t j = 0; j < cols.count; ++j)
                    to[i * y_.row_stride + j * y_.col_stride] = columns[j * step + i];
    }

   private:
    void activate(Range rows, Range cols) const override {
        const Epilogue rest{nullptr, finish_.activation, finish_.parameter};
        T* const first = element<T>(y_, rows.first, cols.first);
        // Without a bias rows and columns are alike.
        if (y_.row_stride == 1)
            move_.finish({first, first, cols.count, rows.count, y_.col_stride, y_.col_stride, rest});
        else if (y_.col_stride == 1)
            move_.finish({first, first, rows.count, cols.count, y_.row_stride, y_.row_stride, rest});
        else
            for (std::int64_t j = 0; j < cols.count; ++j) finish_scattered(first + j * y_.col_stride, rows.count, rest);
    }

    // Elements a row's stride apart, some at a time.
    void finish_scattered(T* first, std::int64_t n, const Epilogue& rest) const {
        constexpr std::int64_t at_once = 256;
        T some[at_once];
        for (; n > 0; n -= at_once, first += at_once * y_.row_stride) {
            const std::int64_t count = std::min(n, at_once);
            for (std::int64_t i = 0; i < count; ++i) some[i] = first[i * y_.row_stride];
            move_.finish({some, some, 1, count, at_once, at_once, rest});
            for (std::int64_t i = 0; i < count; ++i) first[i * y_.row_stride] = some[i];
        }
    }

    const DenseView& y_;
    const Epilogue& finish_;
    const MoveRow& move_;
};

}  // namespace cs
