// SPDX-License-Identifier: BSD-3-Clause
// Routed layers, for one column and batches of patterns that give every row the same share of each window.
#include "layouts/routed.hpp"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "base/caches.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

// Columns of x and y are contiguous for the micro-kernels: where they are not, panels of columns are transposed.
template <class P>
class RoutedChoice final : public TilesChoice<P, RoutedRow, RoutedLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = TilesChoice<P, RoutedRow, RoutedLayout>;
    using Base::layout, Base::tiles;

   public:
    using Base::Base;

   private:
    // How a product is cut into tasks, and what each worker needs.
    struct Cut {
        bool copy_x, copy_y;
        std::int64_t panel_cols, n_panels, n_groups, shares, x_step, y_step;

        std::int64_t tasks() const { return n_panels * shares; }
        std::int64_t x_elements() const { return copy_x ? x_step * panel_cols : 0; }
        std::int64_t y_elements() const { return copy_y ? y_step * panel_cols : 0; }
        std::int64_t of_worker() const {
            return x_elements() * std::int64_t{sizeof(X)} + y_elements() * std::int64_t{sizeof(Y)};
        }
    };

    const RoutedRow& row() const { return *tiles().front().row; }

    Cut cut(const Source<X>& source, const Sink<Y>& sink, int threads) const {
        constexpr std::int64_t widest_panel = 16;  // a cache line of floats
        const DenseView& y = sink.view();
        Cut c;
        // A window's registers are loaded whole: x needs so many columns.
        c.copy_x = !source.has_contiguous_columns() || source.rows() < row().window;
        c.copy_y = y.row_stride != 1 && y.rows > 1;
        c.panel_cols = c.copy_x || c.copy_y || threads > 1 ? std::min(widest_panel, y.cols) : y.cols;
        c.n_groups = (layout().n_units + group_units - 1) / group_units;
        c.n_panels = (y.cols + c.panel_cols - 1) / c.panel_cols;
        c.shares = threads == 1 || c.n_panels >= 2 * threads ? 1 : std::min<std::int64_t>(c.n_groups, 2 * threads);
        // One line more than a column needs: columns whose distance is a power of two would share cache sets.
        auto line_step = [](std::int64_t n, std::size_t size) { return round_to_lines(n + 16, size); };
        c.x_step = c.copy_x ? line_step(std::max<std::int64_t>(source.rows(), row().window), sizeof(X))
                            : source.view()->col_stride;
        c.y_step = c.copy_y ? line_step(y.rows, sizeof(Y)) : y.col_stride;
        return c;
    }

    std::int64_t bytes(const Source<X>& source, const Sink<Y>& sink, int threads) const override {
        const Cut c = cut(source, sink, threads);
        return std::min<std::int64_t>(threads, c.tasks()) * c.of_worker();
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const Cut c = cut(source, sink, threads);
        auto task = [&](std::int64_t number, int worker) {
            const Range cols{number / c.shares * c.panel_cols,
                             std::min(c.panel_cols, sink.cols() - number / c.shares * c.panel_cols)};
            const std::int64_t share = number % c.shares;
            multiply_units(source, sink, c, cols, {c.n_groups * share / c.shares, c.n_groups * (share + 1) / c.shares},
                           memory + worker * c.of_worker());
        };
        parallel_for(c.tasks(), threads, task);
    }

    struct Groups {
        std::int64_t first, last;
    };

    void multiply_units(const Source<X>& source, const Sink<Y>& sink, const Cut& c, Range cols, Groups groups,
                        unsigned char* memory) const {
        const RoutedLayout& held = layout();
        const std::int64_t unit_rows = std::int64_t{row().lanes} * row().block_rows;
        const std::int64_t first_unit = groups.first * group_units;
        const std::int64_t n_units = std::min(groups.last * group_units, held.n_units) - first_unit;
        const Range rows{first_unit * unit_rows, std::min(n_units * unit_rows, sink.rows() - first_unit * unit_rows)};
        X* const x_columns = reinterpret_cast<X*>(memory);
        Y* const y_columns = reinterpret_cast<Y*>(memory + c.x_elements() * std::int64_t{sizeof(X)});
        if (c.copy_x) pack(source, cols, c.x_step, x_columns);

        const std::int64_t super = superlayer(row().window), n_super = (held.n_layers + super - 1) / super;
        RoutedArgs args;
        args.bases = held.bases.data();
        args.n_layers = held.n_layers;
        args.ids = held.ids.data() + first_unit * n_super * row().lanes;
        args.values =
            held.values.data() + first_unit * held.n_layers * unit_rows / (row().weights == Weights::bf16 ? 2 : 1);
        args.n_units = n_units;
        args.n_rows = rows.count;
        args.x_stride = c.x_step;
        args.y_stride = c.y_step;
        args.finish = sink.in_loop(takes(), rows.first);
        args.padded = held.padded;
        for (std::int64_t col = 0; col < cols.count;) {
            const RoutedRow& tile = tile_for(cols.count - col);
            args.x = c.copy_x ? x_columns + col * c.x_step : element<X>(*source.view(), 0, cols.first + col);
            args.y = c.copy_y ? y_columns + col * c.y_step : element<Y>(sink.view(), rows.first, cols.first + col);
            tile.function(args);
            col += tile.tile_cols;
        }
        if (c.copy_y) sink.take_columns(y_columns, c.y_step, rows, cols);
        sink.finish_rest(takes(), rows, cols);
    }

    void pack(const Source<X>& source, Range cols, std::int64_t step, X* to) const {
        for (std::int64_t j = 0; j < cols.count && source.rows() < row().window; ++j)
            std::fill_n(to + j * step + source.rows(), row().window - source.rows(), X{});
        source.pack_columns(cols, step, to);
    }

    // What every tile takes.
    Activations takes() const {
        Activations all = every_activation;
        for (const auto& registered : tiles()) all.bits &= registered.row->takes.bits;
        return all;
    }

    // The widest tile that n columns fill.
    const RoutedRow& tile_for(std::int64_t n) const {
        const RoutedRow* tile = tiles().front().row;
        for (const auto& registered : tiles())
            if (registered.row->tile_cols <= n) tile = registered.row;
        return *tile;
    }
};

using Supported = TypeList<Product<float, float, float>>;

bool narrow_weights_lose_nothing(Subject& subject) { return fits_bf16(subject.operand.by_output()); }

bool is_far(const Subject& subject) {
    return subject.operand.nnz() * sizeof(float) > static_cast<double>(cache_sizes().l2);
}

}  // namespace

RoutedPattern routed_pattern(Subject& subject) {
    int widest = 0;
    for (const auto& registered : rows_of(&Table::routed, supported_levels()))
        widest = std::max(widest, registered.row->window);
    return find_routed_pattern(subject.operand.by_output(), widest);
}

const RoutedRow* best_routed_row(Subject& subject) {
    const auto all = rows_of(&Table::routed, subject.levels);
    const RoutedRow* best = nullptr;
    int lanes = 0;
    for (const auto& registered : all)
        if (registered.row->types == subject.types) lanes = std::max(lanes, registered.row->lanes);
    if (lanes == 0 || subject.known(routed_pattern).layers.empty()) return best;
    const bool narrow = is_far(subject) && subject.known_of_values(narrow_weights_lose_nothing);
    auto rank = [](const RoutedRow& row) {
        return std::make_tuple(row.weights == Weights::bf16, -row.window, row.block_rows);
    };
    for (const auto& registered : all) {
        const RoutedRow& row = *registered.row;
        if (row.types != subject.types || row.lanes != lanes || row.window < subject.known(routed_pattern).width ||
            row.block_rows > subject.known(rows_to_a_pattern) || (row.weights == Weights::bf16 && !narrow))
            continue;
        if (best == nullptr || rank(row) > rank(*best)) best = &row;
    }
    return best;
}

RoutedTiles routed_tiles(const Subject& subject, const RoutedRow& row, int widest) {
    RoutedTiles tiles;
    for (const auto& registered : rows_of(&Table::routed, subject.levels)) {
        const RoutedRow& other = *registered.row;
        if (other.types == row.types && other.lanes == row.lanes && other.window == row.window &&
            other.block_rows == row.block_rows && other.weights == row.weights && other.tile_cols <= widest)
            tiles.push_back(registered);
    }
    std::sort(tiles.begin(), tiles.end(),
              [](const auto& a, const auto& b) { return a.row->tile_cols < b.row->tile_cols; });
    return tiles;
}

namespace {

// Those so wide that their part of x leaves L1 pay only where weights come from beyond L2.
int widest_tile(bool far) { return far ? 8 : 4; }

// Micro-operations that a layer of a unit takes for each column, beside one for each row: to permute a window.
double permute_cost(const RoutedRow& row, int tile_cols) {
    const double registers = static_cast<double>(row.window) / row.lanes;
    return row.lanes == 4   ? 8
           : row.lanes == 8 ? (tile_cols == 1 ? 2 * registers - 1 : 3 * registers)
           : registers <= 1 ? 1
           : registers <= 2 ? 1.5
           : tile_cols == 1 ? 3
                            : 4.2;
}

// One pass of a tile over all units. Units without others beside them wait for their own sums.
double pass_cost(Subject& subject, const RoutedRow& row, int tile_cols) {
    const CostConstants& c = costs();
    const double layers = static_cast<double>(subject.known(routed_pattern).layers.size());
    const std::int64_t unit_rows = std::int64_t{row.lanes} * row.block_rows;
    const std::int64_t units = (subject.operand.outer() + unit_rows - 1) / unit_rows;
    const int together = std::clamp((row.lanes == 16 ? 16 : 8) / (row.block_rows * tile_cols), 1, group_units);
    const auto alone = static_cast<double>(together == 1 ? units : units % group_units % together);
    const double port = tile_cols == 1        ? c.routed_column
                        : row.block_rows == 1 ? c.routed_one
                        : row.block_rows == 2 ? c.routed_two
                                              : c.routed_four;
    const double step = port * (row.block_rows + permute_cost(row, tile_cols)) * tile_cols;
    const double bytes = static_cast<double>(units * unit_rows) * layers *
                         ((row.weights == Weights::bf16 ? 2 : 4) + 0.5 / row.block_rows);
    const double ports = layers * ((static_cast<double>(units) - alone) * step + alone * std::max(step, c.routed_wait));
    return std::max(ports, streaming_cost(bytes)) + static_cast<double>(units) * c.routed_unit;
}

std::optional<double> cost(Subject& subject, const Request& request) {
    if (request.batch == Batch::ordered) return {};
    const RoutedRow* const row = best_routed_row(subject);
    if (row == nullptr) return {};
    const bool far = is_far(subject);
    const int n = typical_columns(request.batch);
    int widest = 1;
    for (const auto& tile : routed_tiles(subject, *row, widest_tile(far)))
        if (tile.row->tile_cols <= n) widest = std::max(widest, tile.row->tile_cols);
    const int passes = n / widest, rest = n % widest;
    const double cycles = passes * pass_cost(subject, *row, widest) + rest * pass_cost(subject, *row, 1);
    // Columns of x and y are contiguous in a batch-major product; otherwise they are transposed.
    const double moved =
        has_contiguous_rows(request.batch)
            ? costs().routed_row * static_cast<double>(subject.operand.inner() + subject.operand.outer())
            : 0;
    return (costs().call + cycles) / n + costs().routed_each + moved;
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);

constexpr LayoutKind kind{"routed", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    const RoutedRow& best = *best_routed_row(subject);
    auto layout = subject.layout<RoutedLayout>(
        kind, [&](const RoutedLayout& other) { return other.fits(best); },
        [&] { return derive_routed(subject.operand.by_output(), subject.known(routed_pattern), best); });
    RoutedTiles tiles = routed_tiles(subject, best, widest_tile(layout->bytes() > cache_sizes().l2));
    const RoutedPattern& pattern = subject.known(routed_pattern);
    char text[200];
    std::snprintf(text, sizeof text, "routed: %zu layers, each from windows of %lld columns, %d row%s to a pattern%s",
                  pattern.layers.size(), static_cast<long long>(pattern.width), best.block_rows,
                  best.block_rows == 1 ? "" : "s", best.weights == Weights::bf16 ? ", weights as bfloat16" : "");
    return make_choice<RoutedChoice, Supported>(subject, std::string(text), std::move(tiles), std::move(layout));
}

}  // namespace

List<LayoutKind> routed_kinds() { return {&kind, 1}; }

RowName row_name(const RoutedRow& row) {
    return {"spmm",
            "routed",
            name_of(row.types),
            (row.weights == Weights::bf16 ? "bf16w_" : "") + std::to_string(row.lanes) + "of" +
                std::to_string(row.window) + "_" + by(row.block_rows, row.tile_cols),
            row.lanes * row.block_rows,
            row.tile_cols};
}

}  // namespace cs
