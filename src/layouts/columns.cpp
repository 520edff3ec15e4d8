// SPDX-License-Identifier: BSD-3-Clause
// Columns, for winners: those of the matrix that winners meet are added up. Each output belongs to one task.
#include "layouts/columns.hpp"

#include <algorithm>
#include <cstdio>

#include "base/caches.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

// Vectors whose outputs are interleaved in y are computed so many at a time and transposed.
constexpr std::int64_t vectors_at_once = 16;

// take(where in a, where in b) for every number that both have; both ascend.
template <class Take>
void for_each_common(const std::int32_t* a, const std::int32_t* a_end, const std::int32_t* b, const std::int32_t* b_end,
                     Take take) {
    for (; a != a_end && b != b_end; ++a) {
        b = std::lower_bound(b, b_end, *a);
        if (b != b_end && *b == *a) take(a, b);
    }
}

template <class P>
class ColumnsChoice final : public Choice {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    ColumnsChoice(Subject& subject, std::string reason, Registered<ColumnsRow> row,
                  std::shared_ptr<const ColumnsLayout> layout)
        : Choice(subject, name_of(row), std::move(reason)),
          row_(*row.row),
          move_(*strongest_of(&Table::move, subject.levels, type_of<Y>).row),
          layout_(std::move(layout)),
          far_(layout_->bytes() > cache_sizes().l2) {}

    std::int64_t workspace_bytes(const Operands& operands) const override {
        const int threads = threads_for(operands);
        return std::max(bytes(cut(operands, 1), 1), bytes(cut(operands, threads), threads));
    }

    void run(const Operands& operands, Workspace workspace) const override {
        int threads = threads_for(operands);
        if (threads > 1 && bytes(cut(operands, threads), threads) > workspace.bytes) threads = 1;
        multiply(operands, cut(operands, threads), threads, workspace.memory);
    }

    void run(const Operands& operands, KeptWorkspace& kept) const override {
        const int threads = threads_for(operands);
        const Cut c = cut(operands, threads);
        multiply(operands, c, threads, kept.at_least(bytes(c, threads)).memory);
    }

   private:
    struct Cut {
        bool interleaved;
        std::int64_t n_chunks, sums_step, of_sums, of_worker;  // elements
        std::int64_t tasks(const ColumnsLayout& layout) const { return n_chunks * layout.n_panels; }
    };

    std::int64_t bytes(const Cut& c, int threads) const {
        return std::min<std::int64_t>(threads, c.tasks(*layout_)) * c.of_worker * std::int64_t{sizeof(Y)};
    }

    void multiply(const Operands& operands, const Cut& c, int threads, unsigned char* memory) const {
        const DenseSink<Y> sink(operands.y, operands.finish, move_);
        auto task = [&](std::int64_t number, int worker) {
            Y* const sums = reinterpret_cast<Y*>(memory) + worker * c.of_worker;
            multiply_chunk(*operands.winners, sink, c, number / c.n_chunks, number % c.n_chunks, sums);
        };
        parallel_for(c.tasks(*layout_), threads, task);
    }

    int threads_for(const Operands& operands) const {
        const WinnersView& x = *operands.winners;
        const double units =
            static_cast<double>(layout_->n_units) / static_cast<double>(std::max<std::int64_t>(1, layout_->cols));
        return choose_threads(cost_by_winner * static_cast<double>(x.starts[x.vectors] - x.starts[0]) * units *
                                  layout_->block_rows +
                              static_cast<double>(x.vectors) * static_cast<double>(operands.y.rows));
    }

    Cut cut(const Operands& operands, int threads) const {
        const ColumnsLayout& layout = *layout_;
        const std::int64_t n = operands.winners->vectors;
        const DenseView& y = operands.y;
        Cut c;
        c.interleaved = y.row_stride != 1 && y.rows > 1;
        // Panels come first: the columns of one stay in the cache for all vectors of a task.
        c.n_chunks = threads == 1 || layout.n_panels >= 4 * threads
                         ? 1
                         : std::min((n + vectors_at_once - 1) / vectors_at_once, std::int64_t{4} * threads);
        if (threads > 1 && c.n_chunks * layout.n_panels < threads) c.n_chunks = std::min<std::int64_t>(n, threads);
        // One line more than the sums need: sums at distances of a power of two would share cache sets.
        const std::int64_t most_rows = std::min(layout.panel_rows, y.rows);
        c.sums_step = round_to_lines(most_rows + 2 * layout.block_rows + 16, sizeof(Y));
        c.of_sums = c.sums_step * (c.interleaved ? std::min(vectors_at_once, n) : 1);
        c.of_worker = c.of_sums + (layout.lists.are_listed() ? elements_of_met(*operands.winners) : 0);
        return c;
    }

    // Room for the winners of a vector that meet a panel's columns.
    static std::int64_t elements_of_met(const WinnersView& x) {
        std::int64_t most = 0;
        for (std::int64_t v = 0; v < x.vectors; ++v) most = std::max(most, x.starts[v + 1] - x.starts[v]);
        return round_to_lines(most * std::int64_t{sizeof(X) + sizeof(std::int32_t)}, 1) / std::int64_t{sizeof(Y)};
    }

    void multiply_chunk(const WinnersView& x, const Sink<Y>& sink, const Cut& c, std::int64_t panel, std::int64_t chunk,
                        Y* sums) const {
        const ColumnsLayout& layout = *layout_;
        const std::int64_t first = x.vectors * chunk / c.n_chunks, last = x.vectors * (chunk + 1) / c.n_chunks;
        const Range rows{panel * layout.panel_rows,
                         std::min(layout.panel_rows, sink.rows() - panel * layout.panel_rows)};
        const std::int64_t first_unit = layout.first_unit[static_cast<std::size_t>(panel)];
        ColumnsArgs args;
        const Range of_panel = layout.lists.of_panel(panel);
        args.starts = layout.starts.data() + of_panel.first + panel;
        args.targets = layout.targets.data() + first_unit;
        args.values = layout.values.data() + static_cast<std::size_t>(first_unit * layout.block_rows) * sizeof(W);
        args.n_rows = rows.count;
        args.finish = sink.in_loop(row_.takes, rows.first);
        args.prefetch = far_;
        if (!c.interleaved) {
            for (std::int64_t v = first; v < last; ++v) {
                Y* const to = element<Y>(sink.view(), rows.first, v);
                // Sums that are whole cache lines of y need no place of their own.
                const bool in_place = !layout.padded && rows.count % layout.block_rows == 0 &&
                                      reinterpret_cast<std::uintptr_t>(to) % cache_line == 0;
                add_columns(args, x, v, of_panel, sums + c.of_sums, in_place ? to : sums, to);
                sink.finish_rest(row_.takes, rows, {v, 1});
            }
            return;
        }
        for (std::int64_t v = first; v < last; v += vectors_at_once) {
            const Range cols{v, std::min(vectors_at_once, last - v)};
            for (std::int64_t i = 0; i < cols.count; ++i)
                add_columns(args, x, v + i, of_panel, sums + c.of_sums, sums + i * c.sums_step, sums + i * c.sums_step);
            sink.take_columns(sums, c.sums_step, rows, cols);
            sink.finish_rest(row_.takes, rows, cols);
        }
    }

    // Those of the panel that vector v meets.
    void add_columns(ColumnsArgs& args, const WinnersView& x, std::int64_t v, Range of_panel, void* met, Y* sums,
                     Y* to) const {
        const std::int64_t start = x.starts[v];
        args.winners = x.indices + start;
        args.activations = static_cast<const X*>(x.values) + start;
        args.n_winners = x.starts[v + 1] - start;
        if (layout_->lists.are_listed())
            meet(args, layout_->lists.columns.data() + of_panel.first, of_panel.count, met);
        args.sums = sums;
        args.y = to;
        row_.function(args);
    }

    // Leaves those winners that a listed column waits for, by their numbers in the list.
    static void meet(ColumnsArgs& args, const std::int32_t* listed, std::int64_t n_listed, void* memory) {
        const auto* const given = static_cast<const X*>(args.activations);
        X* const activations = static_cast<X*>(memory);
        auto* const numbers = reinterpret_cast<std::int32_t*>(activations + args.n_winners);
        const std::int32_t *const winners = args.winners, *const winners_end = winners + args.n_winners;
        std::int64_t found = 0;
        auto take = [&](const std::int32_t* winner, const std::int32_t* column) {
            activations[found] = given[winner - winners];
            numbers[found++] = static_cast<std::int32_t>(column - listed);
        };
        // Each of the shorter is looked up in the longer.
        if (args.n_winners < n_listed)
            for_each_common(winners, winners_end, listed, listed + n_listed, take);
        else
            for_each_common(listed, listed + n_listed, winners, winners_end,
                            [&](const std::int32_t* column, const std::int32_t* winner) { take(winner, column); });
        args.winners = numbers;
        args.activations = activations;
        args.n_winners = found;
    }

    const ColumnsRow& row_;
    const MoveRow& move_;
    const std::shared_ptr<const ColumnsLayout> layout_;
    const bool far_;
};

int blocks_of(Subject& subject) { return column_blocks(subject.operand.by_input()); }

// The sums of a panel stay in L1, threads have one each, and a column owns a few units of it.
std::int64_t panel_rows(Subject& subject, int block_rows) {
    const Operand& operand = subject.operand;
    const double density =
        operand.nnz() / std::max(1.0, static_cast<double>(operand.inner()) * static_cast<double>(operand.outer()));
    const std::int64_t in_l1 = cache_sizes().l1d / 2 / bytes_of(subject.types.y);
    const std::int64_t share = operand.outer() / effective_threads() + 1;
    constexpr double least_units = 8;
    const double least = least_units * block_rows / std::max(density, 1e-9);
    return std::max(std::min(in_l1, share), static_cast<std::int64_t>(std::min(least, 1e9)));
}

// Of a winner, on average over the columns.
struct WinnerLoops {
    double panels, units, unforeseen;
};

WinnerLoops loops_of(Subject& subject) {
    const int block_rows = subject.known(blocks_of);
    const ColumnLoops loops = column_loops(subject.operand.by_input(), block_rows, panel_rows(subject, block_rows));
    return {static_cast<double>(loops.n_panels),
            static_cast<double>(loops.n_units) / std::max(1.0, static_cast<double>(subject.operand.inner())),
            loops.unforeseen};
}

// Beside each block of values lies a target of two bytes.
std::optional<double> cost(Subject& subject, const Request& request) {
    const CostConstants& c = costs();
    const Operand& operand = subject.operand;
    const int block_rows = subject.known(blocks_of), block_bytes = block_rows * operand.value_bytes();
    const WinnerLoops& loops = subject.known(loops_of);
    const double bytes = loops.units * (block_bytes + 2);
    const bool far = bytes * static_cast<double>(operand.inner()) > static_cast<double>(cache_sizes().l2);
    // Of a unit: its micro-operations, and its bytes on the way through L1.
    const double unit = c.unit + c.unit_byte * block_bytes;
    const double found = loops.panels * (c.winner + loops.unforeseen * c.unforeseen + (far ? c.far_winner : 0));
    const double winner = found + std::max(loops.units * unit, far ? bytes / c.far_column_bytes : 0.0);
    const auto outputs = static_cast<double>(operand.outer());
    const double lines = outputs * bytes_of(subject.types.y) / cache_line;
    // Outputs of several vectors are interleaved in y.
    const double moved = is_of_some_columns(request.batch) ? outputs * c.sum_moved : 0;
    return c.vector + c.sums_line * lines + moved + request.winners * winner;
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);
constexpr LayoutKind kind{"columns", cost, build, LayoutKind::Serves::winners};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    const int block_rows = subject.known(blocks_of);
    auto layout = subject.layout<ColumnsLayout>(
        kind, [&] { return derive_columns(subject.operand.by_input(), block_rows, panel_rows(subject, block_rows)); });
    const auto row = strongest(&Table::columns, subject.levels, [&](const ColumnsRow& other) {
        return other.types == subject.types && other.block_rows == block_rows;
    });
    char text[200];
    std::snprintf(text, sizeof text, "columns: those that winners meet, %d row%s to a block%s", block_rows,
                  block_rows == 1 ? "" : "s", layout->padded ? ", counts made alike" : "");
    return make_choice<ColumnsChoice, Products>(subject, std::string(text), row, std::move(layout));
}

}  // namespace

List<LayoutKind> columns_kinds() { return {&kind, 1}; }

RowName row_name(const ColumnsRow& row) {
    return {"spspmm", "columns", name_of(row.types), by(row.block_rows, 1), row.block_rows, 1};
}

}  // namespace cs
