// SPDX-License-Identifier: BSD-3-Clause
// Row groups, for batches: of rows with columns of their own, and of rows that share them.
#include "layouts/row_groups.hpp"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "base/caches.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/row_groups_cut.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_panel_rows = 2048;  // sums of a panel stay in L2 between blocks
constexpr std::int64_t least_panel_rows = 128;  // shorter panels sort too few rows into a run

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

// A block of x fills L1, unless a row would own so few entries in it that they do not pay for its sums' way to memory
// and back: then x streams from L2. Tiles of four cache lines a row pay sooner, because L1 holds few columns beside
// them, and rows that share their columns at once, because they need a quarter of x
// (docs/developer/performance/row_groups.md).
std::int64_t choose_block_cols(const StoredMatrix& matrix, std::int64_t tile_bytes, int shared_rows) {
    const double least_entries = shared_rows > 0 ? 96 : tile_bytes >= 256 ? 24 : 12;
    std::int64_t block = std::clamp<std::int64_t>(cache_sizes().l1d / tile_bytes, 64, max_block_cols);
    while (2 * block <= max_block_cols && 2 * block * tile_bytes <= cache_sizes().l2 &&
           static_cast<double>(block) * density(matrix) < least_entries)
        block *= 2;
    return block;
}

// Panels are what threads share when a batch has too few tiles for them. A matrix of few entries gets higher ones, so
// that the index of (panel, block) parts stays small beside its entries.
std::int64_t choose_panel_rows(const StoredMatrix& matrix, std::int64_t block_cols) {
    constexpr std::int64_t highest = 32768;
    const std::int64_t share = matrix.rows / std::max(1, effective_threads()) + 1;
    std::int64_t panel = round_up(std::clamp(share, least_panel_rows, most_panel_rows), most_shared_rows);
    const std::int64_t n_blocks = matrix.cols / block_cols + 1;
    while (panel < highest && (matrix.rows / panel) * n_blocks > matrix.nnz() / 8) panel *= 2;
    return panel;
}

// Tiles of ascending width on one layout, each of the strongest level that has it.
using Tiles = std::vector<Registered<RowGroupsRow>>;

Tiles tiles_of(const Subject& subject, int shared_rows) {
    Tiles tiles;
    for (const auto& registered : rows_of(&Table::row_groups, subject.levels)) {
        if (registered.row->types != subject.types || registered.row->shared_rows != shared_rows) continue;
        auto same = std::find_if(tiles.begin(), tiles.end(),
                                 [&](const auto& other) { return other.row->tile_cols == registered.row->tile_cols; });
        if (same != tiles.end())
            *same = registered;
        else
            tiles.push_back(registered);
    }
    std::sort(tiles.begin(), tiles.end(),
              [](const auto& a, const auto& b) { return a.row->tile_cols < b.row->tile_cols; });
    return tiles;
}

template <class P>
class RowGroupsChoice final : public TilesChoice<P, RowGroupsRow, RowGroupsLayout> {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = TilesChoice<P, RowGroupsRow, RowGroupsLayout>;
    using Base::layout, Base::tiles;

   public:
    using Base::Base;

   private:
    // How a product is cut into tasks, and what each worker needs.
    struct Cut {
        TileCut strips;
        std::int64_t tasks_per_strip, x_bytes, y_bytes;
        bool several_panels;  // per task: x is packed once for all of them

        std::int64_t tasks() const { return strips.count() * tasks_per_strip; }
        std::int64_t of_worker() const { return x_bytes + y_bytes; }
    };

    Cut cut(std::int64_t rows, std::int64_t cols, int threads) const {
        const RowGroupsLayout& held = layout();
        Cut cut{TileCut(tiles(), cols), 1, 0, 0, false};
        if (threads > 1 && cut.strips.count() < 2 * threads)
            cut.tasks_per_strip = std::min<std::int64_t>(held.n_panels, threads);
        cut.several_panels = held.n_panels > cut.tasks_per_strip;
        const std::int64_t blocks = cut.several_panels ? held.n_blocks : 1, width = cut.strips.widest();
        cut.x_bytes = round_to_lines(blocks * held.block_cols * width * std::int64_t{sizeof(X)}, 1);
        cut.y_bytes = round_to_lines(std::min(held.panel_rows, rows) * width * std::int64_t{sizeof(Y)}, 1);
        return cut;
    }

    std::int64_t bytes(const Source<X>&, const Sink<Y>& sink, int threads) const override {
        const Cut c = cut(sink.rows(), sink.cols(), threads);
        return std::min<std::int64_t>(threads, c.tasks()) * c.of_worker();
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const Cut c = cut(sink.rows(), sink.cols(), threads);
        auto task = [&](std::int64_t number, int worker) {
            const TileStrip strip = c.strips[number / c.tasks_per_strip];
            const std::int64_t share = number % c.tasks_per_strip;
            const Range cols{strip.first, std::min<std::int64_t>(strip.row->tile_cols, sink.cols() - strip.first)};
            unsigned char* const own = memory + worker * c.of_worker();
            const std::int64_t first = layout().n_panels * share / c.tasks_per_strip;
            const std::int64_t last = layout().n_panels * (share + 1) / c.tasks_per_strip;
            const Tile tile{*this,
                            source,
                            sink,
                            *strip.row,
                            cols,
                            reinterpret_cast<X*>(own),
                            reinterpret_cast<Y*>(own + c.x_bytes),
                            c.several_panels};
            for (std::int64_t panel = first; panel < last; ++panel) tile.multiply_panel(panel, panel == first);
        };
        parallel_for(c.tasks(), threads, task);
    }

    // Some columns of x against panels of the matrix.
    struct Tile {
        const RowGroupsChoice& choice;
        const Source<X>& source;
        const Sink<Y>& sink;
        const RowGroupsRow& row;
        Range cols;
        X* x_tile;
        Y* sums;
        bool several_panels;

        bool is_full() const { return cols.count == row.tile_cols; }

        // x where it lies, if that is as a packed tile would: full, aligned, without gaps.
        const X* x_in_place() const {
            const DenseView* const x = source.view();
            if (x == nullptr || !choice.layout().used.empty() || !is_full() || x->col_stride != 1 ||
                x->row_stride != row.tile_cols)
                return nullptr;
            const X* const first = element<const X>(*x, 0, cols.first);
            const std::size_t alignment = std::min(static_cast<std::size_t>(row.tile_cols) * sizeof(X), cache_line);
            return reinterpret_cast<std::uintptr_t>(first) % alignment == 0 ? first : nullptr;
        }

        void multiply_panel(std::int64_t panel, bool pack) const {
            const RowGroupsLayout& held = choice.layout();
            const std::int64_t width = row.tile_cols;
            const Range rows{panel * held.panel_rows, std::min(held.panel_rows, sink.rows() - panel * held.panel_rows)};
            // The last block's sums go straight to y where they are final there; earlier sums stay in the workspace (or
            // in y, if its rows are as close).
            const DenseView& y = sink.view();
            const bool direct = y.col_stride == 1 && (is_full() || row.stores_first) && sink.finish().changes_nothing();
            Y* const y_part = element<Y>(y, rows.first, cols.first);
            Y* const partial = direct && is_full() && y.row_stride == width ? y_part : sums;
            const X* const in_place = x_in_place();
            for (std::int64_t block = 0; block < held.n_blocks; ++block) {
                const Range columns{block * held.block_cols,
                                    std::min(held.block_cols, held.cols - block * held.block_cols)};
                const RowGroupsLayout::Part& part = held.part(panel, block);
                X* const packed = x_tile + (several_panels ? columns.first * width : 0);
                if (pack && in_place == nullptr && (several_panels || part.n_runs > 0))
                    source.pack_tile(columns, cols, width, held.used.empty() ? nullptr : held.used.data(), packed);
                const bool last = block == held.n_blocks - 1;
                auto args = held.args_of<W>(part, held.columns.data());
                args.x = in_place != nullptr ? in_place + columns.first * width : packed;
                args.from = partial;
                args.from_stride = partial == sums ? width : y.row_stride;
                args.to = last && direct ? y_part : partial;
                args.to_stride = args.to == sums ? width : y.row_stride;
                args.to_cols = args.to == sums ? width : cols.count;
                args.first = block == 0;
                args.last = last && args.to != args.from;
                row.function(args);
            }
            if (!direct) sink.take_tile(sums, width, rows, cols);
        }
    };
};

// Rows of the groups that share their columns, of those that the pattern and a micro-kernel have; 0: none. Wide batches
// take the groups with the widest tiles, others those with the most rows.
int shared_rows_for(Subject& subject, Batch batch) {
    const bool wide = typical_columns(batch) >= 64;
    const RowGroupsRow* best = nullptr;
    auto rank = [&](const RowGroupsRow& row) {
        return wide ? std::make_tuple(row.tile_cols, row.shared_rows) : std::make_tuple(row.shared_rows, row.tile_cols);
    };
    for (const auto& registered : rows_of(&Table::row_groups, subject.levels)) {
        const RowGroupsRow& row = *registered.row;
        if (row.types == subject.types && row.shared_rows > 0 && row.shared_rows <= subject.known(rows_to_a_pattern) &&
            subject.operand.outer() % row.shared_rows == 0 && (best == nullptr || rank(row) > rank(*best)))
            best = &row;
    }
    return best == nullptr ? 0 : best->shared_rows;
}

// The tiles that n columns take, their vectors, and those of a tile that is not full.
struct Cover {
    double tiles = 0, vectors = 0, ragged = 0;
    bool in_place = false;  // one tile, full
};

Cover cover_of(const Tiles& tiles, int lanes, std::int64_t n) {
    Cover cover;
    const TileCut cut(tiles, n);
    for (std::int64_t number = 0; number < cut.count(); ++number) {
        const auto [row, first] = cut[number];
        // A register may hold a narrow tile of several rows that share their columns.
        const double width = static_cast<double>(row->tile_cols) / lanes;
        const double vectors = row->shared_rows > 0 ? width : std::max(1.0, width);
        cover.tiles += 1;
        cover.vectors += vectors;
        if (n - first < row->tile_cols) cover.ragged += vectors;
        if (row->tile_cols == n) cover.in_place = true;
    }
    return cover;
}

// Per column of x: an entry meets every tile and every vector of it; and the way of x and y into tiles and out. `entry`
// and `vector` are cycles.
std::optional<double> cost(Subject& subject, Batch batch, int shared_rows, double entry, double vector) {
    if (!is_of_some_columns(batch) || is_of_bytes(subject.types)) return {};
    const CostConstants& c = costs();
    const int n = typical_columns(batch);
    const Cover cover = cover_of(tiles_of(subject, shared_rows), subject.lanes(), n);
    const double in = static_cast<double>(subject.known(columns_read)),
                 out = static_cast<double>(subject.operand.outer());
    double moved = (in + out) * n * c.row_moved;
    if (has_contiguous_rows(batch)) {
        moved = (cover.in_place ? 0 : in * cover.vectors * c.x_vector) + out * cover.vectors * c.y_vector +
                out * cover.ragged * c.y_ragged_vector;
        // From and to beyond L2.
        if ((in + out) * n * bytes_of(subject.types.x) > static_cast<double>(cache_sizes().l2))
            moved += (in + out) * cover.vectors * c.far_vector;
    }
    return (c.call + subject.operand.nnz() * (entry * cover.tiles + vector * cover.vectors) + moved) / n;
}

std::optional<double> shared_cost(Subject& subject, const Request& request) {
    const int rows = is_of_some_columns(request.batch) ? shared_rows_for(subject, request.batch) : 0;
    if (rows == 0) return {};
    return cost(subject, request.batch, rows, costs().shared_entry,
                rows > 4 ? costs().shared_eights_vector : costs().shared_fours_vector);
}

std::optional<double> plain_cost(Subject& subject, const Request& request) {
    return cost(subject, request.batch, 0, costs().groups_entry, costs().groups_vector);
}

std::unique_ptr<const Choice> build(Subject& subject, const LayoutKind& kind, int shared_rows) {
    Tiles tiles = tiles_of(subject, shared_rows);
    const int widest = tiles.back().row->tile_cols;
    auto layout = subject.layout<RowGroupsLayout>(
        kind, [&](const RowGroupsLayout& other) { return other.shared_rows == shared_rows; },
        [&] {
            StoredMatrix matrix = subject.operand.by_output();
            std::vector<std::int32_t> used, renumbered;
            drop_unused_columns(subject.operand.by_output(), used, renumbered, matrix);
            const std::int64_t block_cols = choose_block_cols(matrix, widest * bytes_of(subject.types.x), shared_rows);
            RowGroupsLayout made =
                derive_row_groups(matrix, choose_panel_rows(matrix, block_cols), block_cols, shared_rows);
            made.used = std::move(used);
            return made;
        });
    char text[200];
    std::snprintf(text, sizeof text, "row groups%s: tiles of up to %d columns, blocks of %lld columns of W",
                  shared_rows == 0  ? ""
                  : shared_rows > 4 ? ", eight rows to a pattern"
                                    : ", four rows to a pattern",
                  widest, static_cast<long long>(layout->block_cols));
    return make_choice<RowGroupsChoice>(subject, std::string(text), std::move(tiles), std::move(layout));
}

std::unique_ptr<const Choice> build_shared(Subject& subject, const Request& request);
std::unique_ptr<const Choice> build_plain(Subject& subject, const Request& request);

constexpr LayoutKind kinds[] = {
    {"shared_row_groups", shared_cost, build_shared},
    {"row_groups", plain_cost, build_plain, LayoutKind::Serves::all},
};

std::unique_ptr<const Choice> build_shared(Subject& subject, const Request& request) {
    return build(subject, kinds[0], shared_rows_for(subject, request.batch));
}
std::unique_ptr<const Choice> build_plain(Subject& subject, const Request&) { return build(subject, kinds[1], 0); }

}  // namespace

List<LayoutKind> row_groups_kinds() { return {kinds, 2}; }

RowName row_name(const RowGroupsRow& row) { return name_of_groups(row, "spmm", "row_groups", "shared_row_groups"); }

}  // namespace cs
