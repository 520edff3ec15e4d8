// SPDX-License-Identifier: BSD-3-Clause
// The stored rows, for matrices so sparse that packing x would cost as much as the product: as they are, with nothing
// to derive; or a list of those that own an entry, where most own none.
#include "kernels/stored_rows.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/stored.hpp"

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
        const std::int64_t strip = strip_of(source.rows(), x_stride, y.cols);
        parallel_shares(stored_.rows, threads, [&](std::int64_t first, std::int64_t last) {
            for (std::int64_t col = 0, n; col < y.cols; col += n) {
                n = y.cols - col < 2 * strip ? y.cols - col : strip;
                row_.function({stored_.row_ptr, stored_.columns, stored_.values, first, last,
                               static_cast<const X*>(x) + col, element<Y>(y, 0, col), n, x_stride, y.row_stride,
                               finish});
            }
            sink.finish_rest(row_.takes, {first, last - first}, {0, y.cols});
        });
    }

    // Columns that all rows take before the next ones: whole passes over a row's entries, whose part of x fills half of
    // L1. All of them where L1 would not keep the part of one pass, of which rows of some distances share sets; and
    // where outputs are many, which are stored row by row then.
    std::int64_t strip_of(std::int64_t rows_of_x, std::int64_t x_stride, std::int64_t columns) const {
        constexpr std::int64_t sets = 64;  // of L1
        const std::int64_t pass_bytes = row_.tile_cols * std::int64_t{sizeof(X)};
        const auto lines_apart = std::gcd(x_stride * std::int64_t{sizeof(X)} / std::int64_t{cache_line}, sets);
        const auto l1 = cache_sizes().l1d * std::min(lines_apart, pass_bytes / std::int64_t{cache_line}) / lines_apart;
        const std::int64_t bytes = std::max<std::int64_t>(1, rows_of_x) * pass_bytes;
        if (bytes > l1 * 3 / 2 || stored_.rows * pass_bytes > cache_sizes().l2 / 8)
            return std::max<std::int64_t>(1, columns);
        return std::max<std::int64_t>(1, l1 / 2 / bytes) * row_.tile_cols;
    }

    const StoredRowsRow& row_;
    const StoredMatrix stored_;  // the matrix's own: only what is stored by output has this choice
};

// The rows that own an entry, and which they are.
struct ListedRows final : Layout {
    OwnedCsr owned;
    StoredMatrix matrix{};  // its arrays are `owned`, or the stored matrix's
    std::vector<std::int64_t> outputs;

    std::int64_t bytes() const override { return bytes_of_arrays(owned.row_ptr, owned.columns, owned.values, outputs); }
    std::int64_t slots() const override { return matrix.nnz(); }
};

ListedRows derive_listed(Subject& subject) {
    ListedRows layout;
    const StoredMatrix& stored = subject.matrix.stored();
    if (subject.operand.is_stored()) {
        layout.outputs = rows_worth_listing(stored);
        for (const std::int64_t row : layout.outputs) layout.owned.row_ptr.push_back(stored.row_ptr[row]);
        layout.owned.row_ptr.push_back(stored.nnz());
        layout.matrix = stored;
        layout.matrix.rows = static_cast<std::int64_t>(layout.outputs.size());
        layout.matrix.row_ptr = layout.owned.row_ptr.data();
    } else {
        std::vector<std::int32_t> used, renumbered;
        StoredMatrix dropped{};
        drop_unused_columns(stored, used, renumbered, dropped);
        layout.outputs.assign(used.begin(), used.end());
        layout.matrix = transpose(dropped, layout.owned);
    }
    return layout;
}

// Where rows of x and y are contiguous all columns at once, else one after the other.
template <class P>
class ListedRowsChoice final : public OneRowChoice<P, StoredRowsRow, ListedRows> {
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    using OneRowChoice<P, StoredRowsRow, ListedRows>::OneRowChoice;
    bool leaves_zeros() const override { return true; }

   private:
    std::int64_t bytes(const Source<X>& source, const Sink<Y>&, int) const override {
        return source.view() != nullptr ? 0 : column_bytes(source, 0);
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const DenseView *const x = source.view(), &y = sink.view();
        const std::int64_t at_once = x != nullptr && x->col_stride == 1 && y.col_stride == 1 ? y.cols : 1;
        for (std::int64_t column = 0; column < y.cols; column += at_once) {
            if (x == nullptr) source.pack_columns({column, 1}, source.rows(), reinterpret_cast<X*>(memory));
            const void* const from = x != nullptr ? static_cast<const void*>(element<X>(*x, 0, column)) : memory;
            const Range columns{column, at_once};
            parallel_shares(this->layout().matrix.rows, threads, [&](std::int64_t first, std::int64_t last) {
                multiply_rows(from, x != nullptr ? x->row_stride : 1, sink, columns, first, last);
            });
        }
    }

    // Rows [first, last) of the list, and those without entries on their way: before each, and behind the last of all.
    void multiply_rows(const void* x, std::int64_t x_stride, const Sink<Y>& sink, Range columns, std::int64_t first,
                       std::int64_t last) const {
        const ListedRows& held = this->layout();
        const std::int64_t* const outputs = held.outputs.data();
        const DenseView& y = sink.view();
        const Activations takes = this->row().takes;
        this->row().function({held.matrix.row_ptr, held.matrix.columns, held.matrix.values, first, last, x,
                              element<Y>(y, 0, columns.first), columns.count, x_stride, y.row_stride,
                              sink.in_loop(takes, 0), outputs});
        for (std::int64_t at = first; at < last; ++at) sink.finish_rest(takes, {outputs[at], 1}, columns);
        if (sink.finish().over_zeros && sink.finish().keeps_zeros()) return;
        for (std::int64_t at = first; at < last; ++at)
            finish_zeros(sink, at == 0 ? 0 : outputs[at - 1] + 1, outputs[at], columns);
        if (last == held.matrix.rows) finish_zeros(sink, outputs[last - 1] + 1, sink.rows(), columns);
    }

    // What the micro-kernel makes of rows [first, last) of y, which own no entry.
    void finish_zeros(const Sink<Y>& sink, std::int64_t first, std::int64_t last, Range columns) const {
        static constexpr std::array<std::int64_t, 257> no_entries{};
        const DenseView& y = sink.view();
        const Activations takes = this->row().takes;
        for (std::int64_t row = first; row < last; row += no_entries.size() - 1) {
            const std::int64_t count = std::min<std::int64_t>(last - row, no_entries.size() - 1);
            this->row().function({no_entries.data(), nullptr, nullptr, 0, count, nullptr,
                                  element<Y>(y, row, columns.first), columns.count, 1, y.row_stride,
                                  sink.in_loop(takes, row)});
            sink.finish_rest(takes, {row, count}, columns);
        }
    }
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

// The bits that a number takes.
std::size_t width_of(std::uint64_t number) { return number == 0 ? 0 : as_size(64 - __builtin_clzll(number)); }

// [i]: the share of entries whose column the last 2^i entries before them have met. Neighbouring rows of a band meet
// the same rows of x, which wait in L1 for them, however many x has.
using Reuse = std::array<double, 32>;
Reuse reuse_of(Subject& subject) {
    const StoredMatrix& matrix = subject.operand.by_output();
    std::vector<std::int64_t> met(as_size(matrix.cols), -1);
    Reuse found{};
    for (std::int64_t at = 0; at < matrix.nnz(); ++at) {
        std::int64_t& before = met[as_size(matrix.columns[at])];
        const auto ago = static_cast<std::uint64_t>(at - before);
        if (before >= 0) found[std::min(found.size() - 1, width_of(ago - 1))] += 1;
        before = at;
    }
    std::partial_sum(found.begin(), found.end(), found.begin());
    for (double& share : found) share /= std::max(1.0, subject.operand.nnz());
    return found;
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
    // Rows of x that do not stay in L1 come from L2 for each entry that does not find them there.
    const auto in_l1 =
        static_cast<std::uint64_t>(2 * cache_sizes().l1d / 3 / bytes_of(subject.types.x) / std::min(n, row->tile_cols));
    const bool stay = static_cast<std::uint64_t>(subject.known(columns_read)) <= in_l1;
    const double far = stay ? 0 : 1 - subject.known(reuse_of)[width_of(in_l1 | 1) - 1];
    const double row_pass = c.stored_row_pass + subject.known(unforeseen_ends) * c.stored_unforeseen;
    return (c.call + (nnz * c.stored_pass + rows * row_pass) * passes.count +
            (nnz * (c.stored_vector + far * c.stored_far_vector) + rows * c.stored_output) * passes.registers) /
           n;
}

// Rows that own an entry, where most own none; otherwise 0.
std::int64_t count_listed(Subject& subject) {
    const StoredMatrix& stored = subject.matrix.stored();
    return static_cast<std::int64_t>(subject.operand.is_stored() ? rows_worth_listing(stored).size()
                                                                 : columns_worth_keeping(stored).size());
}

std::optional<double> cost_of_listed(Subject& subject, const Request& request) {
    const auto rows = static_cast<double>(subject.known(count_listed));
    const StoredRowsRow* const row = row_for(subject).row;
    if (rows == 0 || row == nullptr || request.batch == Batch::ordered) return {};
    const CostConstants& c = costs();
    const double nnz = subject.operand.nnz(), n = typical_columns(request.batch);
    if (!has_contiguous_rows(request.batch)) return c.call / n + nnz * c.stored_entry + rows * c.stored_row;
    const Passes passes = passes_of(typical_columns(request.batch), subject.lanes(), row->tile_cols);
    const double row_pass = c.stored_row_pass + c.stored_unforeseen;
    return (c.call + (nnz * c.stored_pass + rows * row_pass) * passes.count +
            (nnz * c.stored_vector + rows * c.stored_output) * passes.registers) /
           n;
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    return make_choice<StoredRowsChoice>(subject, std::string("stored rows: too few entries per column to pack x for"),
                                         row_for(subject));
}

std::unique_ptr<const Choice> build_listed(Subject& subject, const Request&);

constexpr LayoutKind kinds[] = {{"stored_rows", cost, build}, {"listed_rows", cost_of_listed, build_listed}};

std::unique_ptr<const Choice> build_listed(Subject& subject, const Request&) {
    return make_choice<ListedRowsChoice>(subject, std::string("listed rows: most rows own no entry"), row_for(subject),
                                         subject.layout<ListedRows>(kinds[1], [&] { return derive_listed(subject); }));
}

}  // namespace

List<LayoutKind> stored_rows_kinds() { return {kinds, 2}; }

RowName row_name(const StoredRowsRow& row) {
    return {"spmm", "stored_rows", name_of(row.types), by(1, row.tile_cols), 1, row.tile_cols};
}

}  // namespace cs
