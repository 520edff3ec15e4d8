// SPDX-License-Identifier: BSD-3-Clause
// The stored rows, for matrices so sparse that packing x would cost as much as the product. There is nothing to derive.
#include "kernels/stored_rows.hpp"

#include <algorithm>
#include <vector>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

template <class P>
class StoredRowsChoice final : public DenseChoice<P> {
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    StoredRowsChoice(Subject& subject, std::string reason, Registered<StoredRowsRow> row)
        : DenseChoice<P>(subject, name_of(row), std::move(reason), true),
          row_(*row.row),
          stored_(subject.operand.by_output()) {}

   private:
    std::int64_t bytes(const Source<X>& source, const Sink<Y>&, int) const override {
        return source.view() != nullptr ? 0 : column_bytes(source, 0);
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const DenseView* const view = source.view();
        const void* const x = view != nullptr ? view->data : column_of(source, 0, memory);
        const std::int64_t x_stride = view != nullptr ? view->row_stride : 1;
        const DenseView& y = sink.view();
        const Epilogue finish = sink.in_loop(row_.takes, 0);
        parallel_shares(stored_.rows, threads, [&](std::int64_t first, std::int64_t last) {
            row_.function({stored_.row_ptr, stored_.columns, stored_.values, first, last, x, y.data, y.cols, x_stride,
                           y.row_stride, finish});
            sink.finish_rest(row_.takes, {first, last - first}, {0, y.cols});
        });
    }

    const StoredRowsRow& row_;
    const StoredMatrix stored_;  // the matrix's own: only what is stored by output has this choice
};

Registered<StoredRowsRow> row_for(const Subject& subject) {
    return strongest_of(&Table::stored_rows, subject.levels, subject.types);
}

// Entries of rows behind the first twenty: sums of short rows overlap, that of a long one waits for itself.
std::int64_t entries_of_long_rows(Subject& subject) {
    constexpr std::int64_t overlap = 20;
    const StoredMatrix& matrix = subject.operand.by_output();
    std::int64_t found = 0;
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        found += std::max<std::int64_t>(0, matrix.row_ptr[row + 1] - matrix.row_ptr[row] - overlap);
    return found;
}

// The passes over a row's entries that n columns take, and the registers of all.
struct Passes {
    double count, registers;
};
Passes passes_of(int n, int lanes, int widest) {
    while (lanes > n) lanes /= 2;
    return {static_cast<double>((n + widest - 1) / widest), static_cast<double>((n + lanes - 1) / lanes)};
}

// The chance that two rows differ in length: then the end of the later one's loop is unforeseen.
double unforeseen_ends(Subject& subject) {
    const StoredMatrix& matrix = subject.operand.by_output();
    std::vector<std::int64_t> lengths(as_size(matrix.rows));
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        lengths[as_size(row)] = matrix.row_ptr[row + 1] - matrix.row_ptr[row];
    return chance_to_differ(lengths);
}

std::optional<double> cost(Subject& subject, const Request& request) {
    const StoredRowsRow* const row = row_for(subject).row;
    if (!subject.operand.is_stored() || row == nullptr) return {};
    const CostConstants& c = costs();
    const double nnz = subject.operand.nnz(), rows = static_cast<double>(subject.operand.outer());
    if (request.batch == Batch::one_column)
        return c.call + nnz * c.stored_entry +
               static_cast<double>(subject.known(entries_of_long_rows)) * c.stored_long + rows * c.stored_row;
    if (!has_contiguous_rows(request.batch)) return {};
    const int n = typical_columns(request.batch);
    const Passes passes = passes_of(n, subject.lanes(), row->tile_cols);
    // Rows of x that do not stay in L1 come from L2 for each entry.
    const double x =
        static_cast<double>(subject.known(columns_read)) * bytes_of(subject.types.x) * std::min(n, row->tile_cols);
    const bool far = 3 * x > 2 * static_cast<double>(cache_sizes().l1d);
    const double row_pass = c.stored_row_pass + subject.known(unforeseen_ends) * c.stored_unforeseen;
    return (c.call + (nnz * c.stored_pass + rows * row_pass) * passes.count +
            (nnz * (c.stored_vector + (far ? c.stored_far_vector : 0)) + rows) * passes.registers) /
           n;
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    return make_choice<StoredRowsChoice>(subject, std::string("stored rows: too few entries per column to pack x for"),
                                         row_for(subject));
}

constexpr LayoutKind kind{"stored_rows", cost, build};

}  // namespace

List<LayoutKind> stored_rows_kinds() { return {&kind, 1}; }

RowName row_name(const StoredRowsRow& row) {
    return {"spmm", "stored_rows", name_of(row.types), by(1, row.tile_cols), 1, row.tile_cols};
}

}  // namespace cs
