// SPDX-License-Identifier: BSD-3-Clause
// Strips, for one column of a matrix whose rows come in sixteens of one pattern.
#include "kernels/strips.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/aligned.hpp"
#include "base/sizes.hpp"
#include "kernels/names.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_cols = 65536;

struct StripsLayout final : Layout {
    std::int64_t entries = 0;
    std::vector<std::uint32_t> counts;
    std::vector<std::int64_t> first_quad;  // [strip]
    std::vector<std::uint16_t> columns;
    AlignedVector<unsigned char> values;

    std::int64_t bytes() const override { return bytes_of_arrays(counts, first_quad, columns, values); }
    std::int64_t slots() const override { return entries; }
};

// Whether every entry belongs to a quad of a strip, no strip cut by the matrix's edge.
bool is_of_strips(Subject& subject) {
    const StoredMatrix& matrix = subject.operand.by_output();
    if (matrix.rows == 0 || matrix.rows % strip_rows != 0 || matrix.cols > most_cols ||
        subject.known(rows_to_a_pattern) < 4)
        return false;
    for (std::int64_t first = 0; first < matrix.rows; first += strip_rows) {
        const std::int64_t start = matrix.row_ptr[first], n = matrix.row_ptr[first + 1] - start;
        if (n % strip_cols != 0) return false;
        const std::int32_t* const columns = matrix.columns + start;
        for (std::int64_t i = 0; i < n; i += strip_cols)
            if (columns[i + strip_cols - 1] != columns[i] + strip_cols - 1) return false;
        for (std::int64_t row = first + 1; row < first + strip_rows; ++row)
            if (!std::equal(columns, columns + n, matrix.columns + matrix.row_ptr[row],
                            matrix.columns + matrix.row_ptr[row + 1]))
                return false;
    }
    return true;
}

StripsLayout derive(const StoredMatrix& matrix) {
    StripsLayout layout;
    const auto width = as_size(bytes_of(matrix.type));
    layout.entries = matrix.nnz();
    layout.values.resize(as_size(matrix.nnz()) * width);
    const auto* const stored = static_cast<const unsigned char*>(matrix.values);
    unsigned char* to = layout.values.data();
    for (std::int64_t first = 0; first < matrix.rows; first += strip_rows) {
        const std::int64_t start = matrix.row_ptr[first], n = matrix.row_ptr[first + 1] - start;
        layout.first_quad.push_back(static_cast<std::int64_t>(layout.columns.size()));
        layout.counts.push_back(static_cast<std::uint32_t>(n / strip_cols));
        for (std::int64_t i = 0; i < n; i += strip_cols)
            layout.columns.push_back(static_cast<std::uint16_t>(matrix.columns[start + i]));
        for (std::int64_t i = 0; i < n; ++i)
            for (int r = 0; r < strip_rows; ++r, to += width)
                std::memcpy(to, stored + as_size(start + r * n + i) * width, width);
    }
    return layout;
}

template <class P>
class StripsChoice final : public OneRowChoice<P, StripsRow, StripsLayout> {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = OneRowChoice<P, StripsRow, StripsLayout>;
    using Base::layout, Base::row;

   public:
    using Base::Base;

   private:
    std::int64_t bytes(const Source<X>& source, const Sink<Y>&, int) const override { return column_bytes(source, 0); }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const StripsLayout& held = layout();
        const X* const x = column_of(source, 0, memory);
        const DenseView& y = sink.view();
        parallel_shares(
            static_cast<std::int64_t>(held.counts.size()), threads, [&](std::int64_t first, std::int64_t last) {
                const std::int64_t first_row = first * strip_rows, quad = held.first_quad[as_size(first)];
                row().function({held.counts.data() + first, held.columns.data() + quad,
                                reinterpret_cast<const W*>(held.values.data()) + quad * strip_rows * strip_cols,
                                last - first, x, element<Y>(y, first_row, 0), y.row_stride,
                                sink.in_loop(row().takes, first_row)});
                sink.finish_rest(row().takes, {first_row, (last - first) * strip_rows}, {0, 1});
            });
    }
};

using Supported = TypeList<Product<float, float, float>, Product<double, double, double>>;

std::optional<double> cost(Subject& subject, const Request& request) {
    if (request.batch != Batch::one_column || only_row<Supported>(&Table::strips, subject).row == nullptr ||
        !subject.known(is_of_strips))
        return {};
    return cost_of_vectors(subject, costs().strips_vector, 0.01);
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);
constexpr LayoutKind kind{"strips", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    auto layout = subject.layout<StripsLayout>(kind, [&] { return derive(subject.operand.by_output()); });
    return make_choice<StripsChoice, Supported>(subject,
                                                std::string("strips: 16 rows to a pattern, its columns four at a time"),
                                                only_row<Supported>(&Table::strips, subject), std::move(layout));
}

}  // namespace

List<LayoutKind> strips_kinds() { return {&kind, 1}; }

RowName row_name(const StripsRow& row) {
    return {"spmv", "strips", name_of(row.types), by(strip_rows, strip_cols), strip_rows, 1};
}

}  // namespace cs
