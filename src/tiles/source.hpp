// SPDX-License-Identifier: BSD-3-Clause
// Sources: activations as macro-kernels take them, as tiles or as columns, whatever they are: a dense array of any
// strides, or winners, whose zeros are written out. Loops read a dense array where it lies, if they can.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/views.hpp"
#include "kernels/move.hpp"

namespace cs {

struct Range {  // of the rows or columns of an operand
    std::int64_t first, count;
};

// x, with one row per feature and one column per vector.
template <class T>
class Source {
   public:
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    std::int64_t rows() const { return rows_; }
    // x as it lies in memory; null where it does not lie there as a matrix.
    const DenseView* view() const { return view_; }
    bool has_contiguous_columns() const { return view_ != nullptr && (view_->row_stride == 1 || rows_ <= 1); }

    // x[rows, cols] as rows of `width` elements, those beyond the columns zero. Of all rows, or of those that `which`
    // lists, ascending.
    virtual void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, T* to) const = 0;
    // The columns, `step` elements apart.
    virtual void pack_columns(Range cols, std::int64_t step, T* to) const = 0;

   protected:
    Source(std::int64_t rows, const DenseView* view) : rows_(rows), view_(view) {}

   private:
    const std::int64_t rows_;
    const DenseView* const view_;
};

// Some rows of a tile at a time, zeros first where not all of each row will be written: they are still in L1 when the
// numbers come. write(row, count)
template <class T, class Write>
void write_tile(T* to, std::int64_t rows, std::int64_t width, bool fully, Write write) {
    constexpr std::int64_t bytes = 8192;
    const std::int64_t at_once =
        fully ? rows : std::max<std::int64_t>(16, bytes / (width * std::int64_t{sizeof(T)}) / 16 * 16);
    for (std::int64_t row = 0; row < rows; row += at_once) {
        const std::int64_t count = std::min(at_once, rows - row);
        if (!fully) std::memset(to + row * width, 0, static_cast<std::size_t>(count * width) * sizeof(T));
        write(row, count);
    }
}

template <class T>
class DenseSource final : public Source<T> {
   public:
    // Both must outlive the source.
    DenseSource(const DenseView& x, const MoveRow& move) : Source<T>(x.rows, &x), x_(x), move_(move) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, T* to) const override {
        const T* const from = element<const T>(x_, rows.first, cols.first);
        if (which == nullptr && x_.col_stride == 1)
            return move_.widen({from, to, rows.count, cols.count, x_.row_stride, width});
        write_tile(to, rows.count, width, cols.count == width, [&](std::int64_t first, std::int64_t count) {
            T* const line = to + first * width;
            if (which == nullptr && x_.row_stride == 1)
                return move_.transpose({from + first, line, cols.count, count, x_.col_stride, width});
            for (std::int64_t k = 0; k < count; ++k) {
                const std::int64_t row = rows.first + first + k;
                for (std::int64_t j = 0; j < cols.count; ++j)
                    line[k * width + j] = *element<const T>(x_, which != nullptr ? which[row] : row, cols.first + j);
            }
        });
    }

    void pack_columns(Range cols, std::int64_t step, T* to) const override {
        const T* const from = element<const T>(x_, 0, cols.first);
        if (x_.col_stride == 1 && cols.count > 1)
            move_.transpose({from, to, x_.rows, cols.count, x_.row_stride, step});
        else
            for (std::int64_t j = 0; j < cols.count; ++j)
                for (std::int64_t k = 0; k < x_.rows; ++k)
                    to[j * step + k] = from[k * x_.row_stride + j * x_.col_stride];
    }

   private:
    const DenseView& x_;
    const MoveRow& move_;
};

// Of numbers that nobody moves as vectors: whoever takes tiles of it looks at the view first.
template <class T>
class StridedSource final : public Source<T> {
   public:
    explicit StridedSource(const DenseView& x) : Source<T>(x.rows, &x), x_(x) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, T* to) const override {
        for (std::int64_t k = 0; k < rows.count; ++k) {
            const std::int64_t row = which != nullptr ? which[rows.first + k] : rows.first + k;
            for (std::int64_t j = 0; j < width; ++j)
                to[k * width + j] = j < cols.count ? *element<const T>(x_, row, cols.first + j) : T{};
        }
    }
    void pack_columns(Range cols, std::int64_t step, T* to) const override {
        for (std::int64_t j = 0; j < cols.count; ++j)
            for (std::int64_t k = 0; k < x_.rows; ++k) to[j * step + k] = *element<const T>(x_, k, cols.first + j);
    }

   private:
    const DenseView& x_;
};

template <class T>
class WinnersSource final : public Source<T> {
   public:
    explicit WinnersSource(const WinnersView& x) : Source<T>(x.length, nullptr), x_(x) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t* which, T* to) const override {
        std::memset(to, 0, static_cast<std::size_t>(rows.count * width) * sizeof(T));
        const T* const values = static_cast<const T*>(x_.values);
        for (std::int64_t j = 0; j < cols.count; ++j) {
            const std::int32_t *winner = x_.indices + x_.starts[cols.first + j],
                               *first = winner, *const last = x_.indices + x_.starts[cols.first + j + 1];
            const T* const value = values + x_.starts[cols.first + j];
            if (which != nullptr && rows.count > 0) {
                winner = std::lower_bound(winner, last, which[rows.first]);
                for (const std::int32_t *row = which + rows.first, *const end = row + rows.count; winner != last;
                     ++winner) {
                    row = std::lower_bound(row, end, *winner);
                    if (row == end) break;
                    if (*row == *winner) to[(row - which - rows.first) * width + j] = value[winner - first];
                }
                continue;
            }
            if (rows.first > 0) winner = std::lower_bound(winner, last, rows.first);
            for (; winner != last && *winner < rows.first + rows.count; ++winner)
                to[(*winner - rows.first) * width + j] = value[winner - first];
        }
    }

    void pack_columns(Range cols, std::int64_t step, T* to) const override {
        const T* const values = static_cast<const T*>(x_.values);
        for (std::int64_t j = 0; j < cols.count; ++j) {
            T* const column = to + j * step;
            std::fill_n(column, x_.length, T{});
            for (std::int64_t at = x_.starts[cols.first + j]; at < x_.starts[cols.first + j + 1]; ++at)
                column[x_.indices[at]] = values[at];
        }
    }

   private:
    const WinnersView& x_;
};

}  // namespace cs
