// SPDX-License-Identifier: BSD-3-Clause
// Windows, for one column of any matrix.
#include "layouts/windows.hpp"

#include <algorithm>
#include <cstdio>

#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

// Windows per tile. Three cover more lanes of a sparse group than two, for a third more work; rows of few entries leave
// no tile worth taking, and a layout without tiles is built ten times faster.
int windows_of_tile(const StoredMatrix& matrix) {
    const double d = density(matrix);
    if (d < 0.015 || d * static_cast<double>(matrix.cols) < 16) return 0;
    return d < 0.07 ? 3 : 2;
}

template <class P>
class WindowsChoice final : public OneRowChoice<P, WindowsRow, WindowsLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = OneRowChoice<P, WindowsRow, WindowsLayout>;
    using Base::layout, Base::row;

   public:
    using Base::Base;

   private:
    // Of rows in several parts; otherwise the sums go straight to y.
    std::int64_t sums(const Sink<Y>& sink) const {
        const auto extra = static_cast<std::int64_t>(layout().extra_rows.size());
        return extra > 0 ? sink.rows() + extra : 0;
    }

    std::int64_t bytes(const Source<X>& source, const Sink<Y>& sink, int) const override {
        return column_bytes(source, 0) + sums(sink) * std::int64_t{sizeof(Y)};
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const WindowsLayout& held = layout();
        const X* const x = column_of(source, 0, memory);
        Y* const parts = reinterpret_cast<Y*>(memory + column_bytes(source, 0));
        const bool direct = held.extra_rows.empty();
        const Epilogue finish = direct ? sink.in_loop(row().takes, 0) : Epilogue{};
        const DenseView& y = sink.view();
        parallel_shares(
            static_cast<std::int64_t>(held.groups.size()), threads, [&](std::int64_t first, std::int64_t last) {
                row().function({held.groups.data() + first, last - first, held.rows.data() + first * window_lanes,
                                held.picks.data(), held.bases.data(), held.tile_values.data(), held.columns.data(),
                                held.values.data(), x, direct ? y.data : parts, direct ? y.row_stride : 1, finish});
            });
        const Range rows{0, sink.rows()};
        if (direct) return sink.finish_rest(row().takes, rows, {0, 1});
        Y* extra = parts + sink.rows();
        for (const std::uint32_t whole : held.extra_rows) parts[whole] = static_cast<Y>(parts[whole] + *extra++);
        sink.take_tile(parts, 1, rows, {0, 1});
    }
};

Registered<WindowsRow> row_for(const Subject& subject, int windows) {
    return strongest(&Table::windows, subject.levels, [&](const WindowsRow& row) {
        return row.types == subject.types && (row.windows == 0 || row.windows == windows);
    });
}

int windows_of_tile_of(Subject& subject) { return windows_of_tile(subject.operand.by_output()); }
bool cuts_rows(Subject& subject) { return has_rows_to_cut(subject.operand.by_output()); }

std::optional<double> cost(Subject& subject, const Request& request) {
    if (request.batch != Batch::one_column || subject.operand.inner() > max_windows_cols ||
        row_for(subject, 0).row == nullptr)
        return {};
    const CostConstants& c = costs();
    const int windows = subject.known(windows_of_tile_of);
    const double entry = windows == 0 ? c.gathered_entry : windows == 3 ? c.windows_three_entry : c.windows_entry;
    // Narrower registers take a group's eight lanes in parts.
    const double parts = std::max(1.0, static_cast<double>(window_lanes) / subject.lanes());
    const double rows = static_cast<double>(subject.operand.outer());
    return c.call + subject.operand.nnz() * entry * parts + rows * c.windows_row +
           (subject.known(cuts_rows) ? rows * c.cut_row : 0);
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);

constexpr LayoutKind kind{"windows", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    const auto row = row_for(subject, windows_of_tile(subject.operand.by_output()));
    const int windows = row.row->windows;
    auto layout = subject.layout<WindowsLayout>(
        kind, [&](const WindowsLayout& other) { return other.windows == windows; },
        [&] { return derive_windows(subject.operand.by_output(), windows); });
    char text[200];
    std::snprintf(
        text, sizeof text, "windows: %.0f%% of the entries in tiles, the rest gathered",
        subject.operand.nnz() > 0 ? 100.0 * static_cast<double>(layout->tile_entries) / subject.operand.nnz() : 0.0);
    return make_choice<WindowsChoice>(subject, std::string(text), row, std::move(layout));
}

}  // namespace

List<LayoutKind> windows_kinds() { return {&kind, 1}; }

RowName row_name(const WindowsRow& row) {
    return {"spmv",
            "windows",
            name_of(row.types),
            std::to_string(window_lanes) + (row.windows > 0 ? "w" + std::to_string(row.windows) : "g"),
            window_lanes,
            1};
}

}  // namespace cs
