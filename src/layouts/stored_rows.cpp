// SPDX-License-Identifier: BSD-3-Clause
// The stored rows, for matrices so sparse that packing x would cost as much as the product. There is nothing to derive.
#include "kernels/stored_rows.hpp"

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

std::optional<double> cost(Subject& subject, const Request& request) {
    if (!subject.operand.is_stored() || row_for(subject).row == nullptr) return {};
    const double nnz = subject.operand.nnz();
    if (request.batch == Batch::one_column)
        return nnz * costs().stored_entry + static_cast<double>(subject.operand.outer()) * costs().stored_row;
    if (!has_contiguous_rows(request.batch)) return {};
    // Bringing a row of x into a tile costs as much as a few entries.
    const double few = request.batch == Batch::wide_batch ? costs().stored_few_wide : costs().stored_few;
    if (nnz >= few * static_cast<double>(subject.known(columns_read))) return {};
    return nnz / std::min<double>(typical_columns(request.batch), subject.lanes()) * costs().stored_vector;
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
