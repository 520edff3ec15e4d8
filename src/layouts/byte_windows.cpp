// SPDX-License-Identifier: BSD-3-Clause
// Byte windows, for 8-bit weights and any number of columns, of which up to eight share a pass over the weights.
#include "layouts/byte_windows.hpp"

#include <algorithm>
#include <cstdio>

#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

using Tiles = std::vector<Registered<ByteWindowsRow>>;

// The widest tile that n columns fill.
const ByteWindowsRow& tile_for(const Tiles& tiles, std::int64_t n) {
    const ByteWindowsRow* tile = tiles.front().row;
    for (const auto& registered : tiles)
        if (registered.row->tile_cols <= n) tile = registered.row;
    return *tile;
}

template <class P>
class ByteWindowsChoice final : public TilesChoice<P, ByteWindowsRow, ByteWindowsLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = TilesChoice<P, ByteWindowsRow, ByteWindowsLayout>;
    using Base::layout, Base::tiles;
    static constexpr bool moved = std::is_signed_v<X>;  // by 128, on the way into a copy

   public:
    using Base::Base;

   private:
    // Tasks are panels of columns times shares of units.
    struct Cut {
        bool copy_x, copy_y;
        std::int64_t panel_cols, n_panels, shares, x_step, y_step;

        std::int64_t tasks() const { return n_panels * shares; }
        std::int64_t x_bytes() const { return copy_x ? panel_cols * x_step : 0; }
        std::int64_t of_worker() const {
            return x_bytes() + (copy_y ? panel_cols * y_step * std::int64_t{sizeof(Y)} : 0);
        }
    };

    const ByteWindowsRow& row() const { return *tiles().front().row; }

    Cut cut(const Source<X>& source, const Sink<Y>& sink, int threads) const {
        constexpr std::int64_t widest_panel = 16;
        const DenseView& y = sink.view();
        Cut c;
        // A window is loaded whole: x needs so many columns. Those whose distance is a multiple of 512 bytes share sets
        // of the cache: a copy takes less than that costs.
        c.copy_x = moved || !source.has_contiguous_columns() || source.rows() < row().window ||
                   (y.cols > 1 && source.view()->col_stride % 512 == 0);
        c.copy_y = !sink.in_place() || (y.row_stride != 1 && y.rows > 1);
        c.panel_cols = c.copy_x || c.copy_y || threads > 1 ? std::min(widest_panel, y.cols) : y.cols;
        c.n_panels = (y.cols + c.panel_cols - 1) / c.panel_cols;
        // Rows that are out of order are copied all together.
        c.shares = threads == 1 || c.n_panels >= 2 * threads || (c.copy_y && !layout().rows.empty())
                       ? 1
                       : std::max<std::int64_t>(1, std::min<std::int64_t>(layout().n_units, 2 * threads));
        // One line more than a column needs: columns whose distance is a power of two would share cache sets.
        c.x_step = c.copy_x ? round_to_lines(std::max<std::int64_t>(source.rows(), row().window) + cache_line, 1)
                            : source.view()->col_stride;
        c.y_step = c.copy_y ? round_to_lines(y.rows + 16, sizeof(Y)) : y.col_stride;
        return c;
    }

    std::int64_t bytes(const Source<X>& source, const Sink<Y>& sink, int threads) const override {
        const Cut c = cut(source, sink, threads);
        return std::min<std::int64_t>(threads, c.tasks()) * c.of_worker();
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const Cut c = cut(source, sink, threads);
        auto task = [&](std::int64_t number, int worker) {
            const std::int64_t first_col = number / c.shares * c.panel_cols, share = number % c.shares;
            const Range units{layout().n_units * share / c.shares,
                              layout().n_units * (share + 1) / c.shares - layout().n_units * share / c.shares};
            multiply_units(source, sink, c, {first_col, std::min(c.panel_cols, sink.cols() - first_col)}, units,
                           memory + worker * c.of_worker());
        };
        parallel_for(c.tasks(), threads, task);
    }

    void multiply_units(const Source<X>& source, const Sink<Y>& sink, const Cut& c, Range cols, Range units,
                        unsigned char* memory) const {
        const ByteWindowsLayout& held = layout();
        const bool in_order = held.rows.empty();
        const std::int64_t first_row = in_order ? units.first * held.cut.lanes : 0;
        Y* const y_columns = reinterpret_cast<Y*>(memory + c.x_bytes());
        if (c.copy_x) pack(source, cols, c.x_step, memory);

        ByteWindowsArgs args;
        args.first_steps = held.first_steps.data() + units.first;
        args.bases = held.bases.data();
        args.steps = held.steps.data();
        args.n_units = units.count;
        args.rows = in_order ? nullptr : held.rows.data() + units.first * held.cut.lanes;
        args.n_rows = std::min(units.count * held.cut.lanes, sink.rows() - first_row);
        args.starts = moved ? held.starts.data() + units.first * held.cut.lanes : nullptr;
        args.x_stride = c.x_step;
        args.y_stride = c.y_step;
        args.finish = sink.in_loop(row().takes, first_row);
        for (std::int64_t col = 0; col < cols.count;) {
            const ByteWindowsRow& tile = tile_for(tiles(), cols.count - col);
            args.x = c.copy_x ? memory + col * c.x_step
                              : reinterpret_cast<const std::uint8_t*>(element<X>(*source.view(), 0, cols.first + col));
            args.y = c.copy_y ? y_columns + col * c.y_step : element<Y>(sink.view(), first_row, cols.first + col);
            tile.function(args);
            col += tile.tile_cols;
        }
        if (c.copy_y) sink.take_columns(y_columns, c.y_step, {first_row, in_order ? args.n_rows : sink.rows()}, cols);
    }

    void pack(const Source<X>& source, Range cols, std::int64_t step, unsigned char* to) const {
        X* const columns = reinterpret_cast<X*>(to);
        const std::int64_t beyond = std::max<std::int64_t>(0, row().window - source.rows());
        const bool contiguous = source.has_contiguous_columns();
        constexpr std::uint8_t flip = moved ? 0x80 : 0;
        if (!contiguous) source.pack_columns(cols, step, columns);
        for (std::int64_t j = 0; j < cols.count; ++j) {
            X* const column = columns + j * step;
            if (contiguous || moved)
                row().move(contiguous ? element<X>(*source.view(), 0, cols.first + j) : column, column, source.rows(),
                           flip);
            std::fill_n(column + source.rows(), beyond, X{});
        }
    }
};

std::vector<std::uint32_t> order_of(Subject& subject) { return order_of_rows(subject.operand.by_output()); }

template <int lanes, int window, bool quarters = false>
std::int64_t steps_of(Subject& subject) {
    return count_byte_steps(subject.operand.by_output(), subject.known(order_of), {lanes, window, quarters});
}

// Of a micro-kernel's lanes and window, counted once for a matrix.
std::int64_t known_steps(Subject& subject, const ByteWindowsRow& row) {
    if (row.lanes == 8) return subject.known(row.window == 32 ? steps_of<8, 32> : steps_of<8, 64>);
    if (row.quarters) return subject.known(steps_of<16, 64, true>);
    return subject.known(row.window == 32    ? steps_of<16, 32>
                         : row.window == 64  ? steps_of<16, 64>
                         : row.window == 128 ? steps_of<16, 128>
                                             : steps_of<16, 256>);
}

// Cycles of a pass over all steps: operations, or the way of the weights.
double pass_cost(Subject& subject, const ByteWindowsRow& row) {
    const auto steps = static_cast<double>(known_steps(subject, row));
    const CostConstants& c = costs();
    const double operations =
        c.byte_step + c.byte_operation * row.operations * row.tile_cols + (row.quarters ? c.byte_unpacked : 0);
    const double units = static_cast<double>(subject.operand.outer()) / row.lanes;
    const double of_unit = c.byte_unit + (subject.known(order_of).empty() ? 0 : c.byte_scattered * row.lanes);
    return std::max(steps * operations,
                    streaming_cost(steps * static_cast<double>(bytes_of_step(row.lanes, row.quarters)))) +
           units * row.tile_cols * of_unit;
}

// The micro-kernels of ascending tiles on the layout that takes the fewest cycles for one column.
Tiles best_tiles(Subject& subject) {
    const auto all = rows_of(&Table::byte_windows, subject.levels);
    const ByteWindowsRow* best = nullptr;
    double least = 0;
    for (const auto& registered : all) {
        const ByteWindowsRow& row = *registered.row;
        if (row.types != subject.types || row.tile_cols > 1) continue;
        const double cycles = pass_cost(subject, row);
        if (best == nullptr || cycles < least) best = &row, least = cycles;
    }
    Tiles tiles;
    if (best == nullptr) return tiles;
    // That of the strongest level for each width.
    for (const int cols : {1, 2, 4, 8})
        tiles.push_back(strongest(&Table::byte_windows, subject.levels, [&](const ByteWindowsRow& row) {
            return row.types == subject.types && row.lanes == best->lanes && row.window == best->window &&
                   row.quarters == best->quarters && row.tile_cols == cols;
        }));
    return tiles;
}

std::optional<double> cost(Subject& subject, const Request& request) {
    if (!is_of_bytes(subject.types)) return {};
    const Tiles tiles = best_tiles(subject);
    if (tiles.empty()) return {};
    const int n = typical_columns(request.batch);
    double cycles = costs().call;
    for (int col = 0; col < n;) {
        const ByteWindowsRow& tile = tile_for(tiles, n - col);
        cycles += pass_cost(subject, tile);
        col += tile.tile_cols;
    }
    const double elements = static_cast<double>(subject.operand.inner() + subject.operand.outer());
    // Columns of x and y are contiguous in a batch-major product; otherwise they are transposed.
    return cycles / n + (has_contiguous_rows(request.batch) ? elements * costs().byte_moved : 0);
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);
constexpr LayoutKind kind{"byte_windows", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    Tiles tiles = best_tiles(subject);
    const ByteWindowsRow& row = *tiles.front().row;
    const ByteSteps cut{row.lanes, row.window, row.quarters};
    auto layout = subject.layout<ByteWindowsLayout>(
        kind, [&](const ByteWindowsLayout& other) { return other.cut == cut; },
        [&] { return derive_byte_windows(subject.operand.by_output(), subject.known(order_of), cut); });
    char text[200];
    std::snprintf(text, sizeof text, "byte windows: quads from %swindows of %d columns, %.0f%% filled",
                  row.quarters ? "the quarters of " : "", row.window,
                  100 * subject.operand.nnz() / static_cast<double>(std::max<std::int64_t>(1, layout->slots())));
    return make_choice<ByteWindowsChoice, ByteProducts>(subject, std::string(text), std::move(tiles),
                                                        std::move(layout));
}

}  // namespace

List<LayoutKind> byte_windows_kinds() { return {&kind, 1}; }

RowName row_name(const ByteWindowsRow& row) {
    return {"spmm",
            "byte_windows",
            name_of(row.types),
            std::to_string(row.lanes) + "of" + (row.quarters ? "4x" : "") +
                std::to_string(row.quarters ? row.window / byte_quad : row.window) + "x" +
                std::to_string(row.tile_cols),
            row.lanes,
            row.tile_cols};
}

}  // namespace cs
