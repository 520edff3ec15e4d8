// SPDX-License-Identifier: BSD-3-Clause
// Squares, for one column of a matrix of whole 4 x 4 blocks.
#include "kernels/squares.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "base/aligned.hpp"
#include "base/sizes.hpp"
#include "kernels/names.hpp"
#include "layouts/dense_choice.hpp"
#include "pattern/pattern.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_cols = 65535 * std::int64_t{square_side};

struct SquaresLayout final : Layout {
    std::vector<std::uint32_t> first_rows, counts;
    std::vector<std::int64_t> first_block;  // [group]
    std::vector<std::uint16_t> columns;     // where a row of blocks is shorter than its group: behind the last column
    AlignedVector<unsigned char> values;
    int value_bytes = 1;
    bool padded = false;

    std::int64_t bytes() const override { return bytes_of_arrays(first_rows, counts, first_block, columns, values); }
    std::int64_t slots() const override { return static_cast<std::int64_t>(values.size()) / value_bytes; }
};

// Whether every entry belongs to a whole block of square_side rows and columns, none cut by the matrix's edge.
bool is_of_squares(Subject& subject) {
    const StoredMatrix& matrix = subject.operand.by_output();
    if (matrix.rows % square_side != 0 || matrix.cols % square_side != 0 || matrix.cols > most_cols ||
        subject.known(rows_to_a_pattern) < square_side)
        return false;
    const Pattern<std::int32_t> pattern{matrix.rows, matrix.cols, matrix.row_ptr, matrix.columns};
    return has_block(pattern, {square_side, square_side});
}

SquaresLayout derive(const StoredMatrix& matrix) {
    SquaresLayout layout;
    layout.value_bytes = bytes_of(matrix.type);
    const auto width = as_size(layout.value_bytes);
    const std::int64_t n_rows = matrix.rows / square_side;
    auto count = [&](std::int64_t row) {
        return (matrix.row_ptr[row * square_side + 1] - matrix.row_ptr[row * square_side]) / square_side;
    };
    std::vector<std::int64_t> order(as_size(n_rows));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return count(a) > count(b); });
    const auto no_column = static_cast<std::uint16_t>(matrix.cols / square_side);
    const auto* const stored = static_cast<const unsigned char*>(matrix.values);
    for (std::int64_t first = 0; first < n_rows; first += rows_at_once) {
        const std::int64_t steps = count(order[as_size(first)]);
        layout.first_block.push_back(static_cast<std::int64_t>(layout.columns.size()));
        layout.counts.push_back(static_cast<std::uint32_t>(steps));
        const std::size_t at = layout.columns.size(), of_block = as_size(square_side * square_side) * width;
        layout.columns.resize(at + as_size(steps * rows_at_once), no_column);
        layout.values.resize(layout.columns.size() * of_block, 0);
        for (int q = 0; q < rows_at_once; ++q) {
            const std::int64_t row = first + q < n_rows ? order[as_size(first + q)] : -1;
            layout.first_rows.push_back(row < 0 ? no_row : static_cast<std::uint32_t>(row * square_side));
            const std::int64_t n = row < 0 ? 0 : count(row);
            layout.padded = layout.padded || n < steps;
            for (std::int64_t step = 0; step < n; ++step) {
                const std::size_t to = at + as_size(step * rows_at_once + q);
                const std::int64_t entry = matrix.row_ptr[row * square_side] + step * square_side;
                layout.columns[to] = static_cast<std::uint16_t>(matrix.columns[entry] / square_side);
                for (int r = 0; r < square_side; ++r)
                    std::memcpy(&layout.values[to * of_block + as_size(r * square_side) * width],
                                stored + as_size(matrix.row_ptr[row * square_side + r] + step * square_side) * width,
                                square_side * width);
            }
        }
    }
    return layout;
}

template <class P>
class SquaresChoice final : public OneRowChoice<P, SquaresRow, SquaresLayout> {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = OneRowChoice<P, SquaresRow, SquaresLayout>;
    using Base::layout, Base::row;

   public:
    using Base::Base;

   private:
    // Steps that a shorter row of blocks does not have read zeros behind x.
    std::int64_t zeros() const { return layout().padded ? square_side : 0; }

    std::int64_t bytes(const Source<X>& source, const Sink<Y>&, int) const override {
        return column_bytes(source, zeros());
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const SquaresLayout& held = layout();
        const X* const x = column_of(source, zeros(), memory);
        const Epilogue finish = sink.in_loop(row().takes, 0);
        parallel_shares(static_cast<std::int64_t>(held.counts.size()), threads,
                        [&](std::int64_t first, std::int64_t last) {
                            const auto block = as_size(held.first_block[as_size(first)]);
                            row().function({held.first_rows.data() + first * rows_at_once, held.counts.data() + first,
                                            last - first, held.columns.data() + block,
                                            held.values.data() + block * square_side * square_side * sizeof(W), x,
                                            sink.view().data, sink.view().row_stride, finish});
                        });
        sink.finish_rest(row().takes, {0, sink.rows()}, {0, 1});
    }
};

using Supported = TypeList<Product<float, float, float>>;

std::optional<double> cost(Subject& subject, const Request& request) {
    if (request.batch != Batch::one_column || only_row<Supported>(&Table::squares, subject).row == nullptr ||
        !subject.known(is_of_squares))
        return {};
    return cost_of_vectors(subject, costs().squares_vector, 0.03);
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);
constexpr LayoutKind kind{"squares", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    auto layout = subject.layout<SquaresLayout>(kind, [&] { return derive(subject.operand.by_output()); });
    return make_choice<SquaresChoice, Supported>(
        subject, std::string("squares: whole blocks of 4 x 4, a row's values of x by one load"),
        only_row<Supported>(&Table::squares, subject), std::move(layout));
}

}  // namespace

List<LayoutKind> squares_kinds() { return {&kind, 1}; }

RowName row_name(const SquaresRow& row) {
    return {"spmv", "squares", name_of(row.types), by(square_side, square_side), square_side * rows_at_once, 1};
}

}  // namespace cs
