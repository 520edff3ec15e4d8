// SPDX-License-Identifier: BSD-3-Clause
// The macro-kernel of row groups: tiles of x against panels and blocks of the matrix.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "layouts/row_groups.hpp"
#include "layouts/row_groups_cut.hpp"
#include "tiles/sink.hpp"
#include "tiles/source.hpp"
#include "tiles/work.hpp"

namespace cs {

// W, X: what micro-kernels read, elements of the layout and of a tile. Lives for one call.
template <class W, class X, class Y>
class GroupsProduct {
   public:
    GroupsProduct(const RowGroupsLayout& layout, const Tiles& tiles) : layout_(layout), tiles_(tiles) {}

    // Of the workspace, for so many threads.
    std::int64_t bytes(const Sink<Y>& sink, int threads) const {
        const Cut c = cut(sink.rows(), sink.cols(), threads);
        return std::min<std::int64_t>(threads, c.tasks()) * c.of_worker();
    }

    // starts: what the sums of each row begin with; null: 0.
    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory,
                  const Y* starts = nullptr) const {
        const Cut c = cut(sink.rows(), sink.cols(), threads);
        auto task = [&](std::int64_t number, int worker) {
            const TileStrip strip = c.strips[number / c.tasks_per_strip];
            const std::int64_t share = number % c.tasks_per_strip;
            const Range cols{strip.first, std::min<std::int64_t>(strip.row->tile_cols, sink.cols() - strip.first)};
            unsigned char* const own = memory + worker * c.of_worker();
            const std::int64_t first = layout_.n_panels * share / c.tasks_per_strip;
            const std::int64_t last = layout_.n_panels * (share + 1) / c.tasks_per_strip;
            const Tile tile{layout_,
                            source,
                            sink,
                            *strip.row,
                            cols,
                            reinterpret_cast<X*>(own),
                            reinterpret_cast<Y*>(own + c.x_bytes),
                            c.several_panels,
                            starts};
            for (std::int64_t panel = first; panel < last; ++panel) tile.multiply_panel(panel, panel == first);
        };
        parallel_for(c.tasks(), threads, task);
    }

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
        const RowGroupsLayout& held = layout_;
        Cut cut{TileCut(tiles_, cols), 1, 0, 0, false};
        if (threads > 1 && cut.strips.count() < 2 * threads)
            cut.tasks_per_strip = std::min<std::int64_t>(held.n_panels, threads);
        cut.several_panels = held.n_panels > cut.tasks_per_strip;
        const std::int64_t blocks = cut.several_panels ? held.n_blocks : 1, width = cut.strips.widest();
        cut.x_bytes = round_to_lines(blocks * held.block_cols * width * std::int64_t{sizeof(X)}, 1);
        cut.y_bytes = round_to_lines(std::min(held.panel_rows, rows) * width * std::int64_t{sizeof(Y)}, 1);
        return cut;
    }

    // Some columns of x against panels of the matrix.
    struct Tile {
        const RowGroupsLayout& held;
        const Source<X>& source;
        const Sink<Y>& sink;
        const RowGroupsRow& row;
        Range cols;
        X* x_tile;
        Y* sums;
        bool several_panels;
        const Y* starts;

        bool is_full() const { return cols.count == row.tile_cols; }

        // x where it lies: as a packed tile would, or in rows that lie apart, if L1 holds a block of them.
        const X* x_in_place() const {
            const DenseView* const x = source.view();
            if (x == nullptr || !held.used.empty() || !is_full() || x->col_stride != 1) return nullptr;
            if (x->row_stride != row.tile_cols && !(row.reads_apart && stays_in_l1(x->row_stride))) return nullptr;
            const X* const first = element<const X>(*x, 0, cols.first);
            const std::size_t alignment = std::min(static_cast<std::size_t>(row.tile_cols) * sizeof(X), cache_line);
            return reinterpret_cast<std::uintptr_t>(first) % alignment == 0 ? first : nullptr;
        }

        // Whole lines, whose sets in L1 differ: of four, eight, ... lines half of them or more would stay empty. And on
        // no more pages than it knows beside those of the sums.
        bool stays_in_l1(std::int64_t stride) const {
            constexpr std::int64_t line = cache_line / sizeof(X), most_bytes = 56 * 4096;
            return stride > 0 && stride % line == 0 && stride / line % 4 != 0 &&
                   held.block_cols * stride * std::int64_t{sizeof(X)} <= most_bytes;
        }

        void multiply_panel(std::int64_t panel, bool pack) const {
            const std::int64_t width = row.tile_cols;
            const Range rows{panel * held.panel_rows, std::min(held.panel_rows, sink.rows() - panel * held.panel_rows)};
            // The last block's sums go straight to y where they are final there; earlier sums stay in the workspace (or
            // in y, if its rows are as close).
            const DenseView& y = sink.view();
            const bool direct = sink.in_place() && y.col_stride == 1 && (is_full() || row.stores_first) &&
                                row.takes.have(sink.finish().activation);
            Y* const y_part = direct ? element<Y>(y, rows.first, cols.first) : nullptr;
            Y* const partial = direct && is_full() && y.row_stride == width ? y_part : sums;
            if (starts != nullptr)
                for (std::int64_t r = 0; r < rows.count; ++r)
                    std::fill_n(partial + r * (partial == sums ? width : y.row_stride), width, starts[rows.first + r]);
            const X* const in_place = x_in_place();
            const std::int64_t x_stride = in_place != nullptr ? source.view()->row_stride : width;
            if (sink.in_place()) fetch_outputs<Y>(sink.view(), rows, cols);
            for (std::int64_t block = 0; block < held.n_blocks; ++block) {
                const Range columns{block * held.block_cols,
                                    std::min(held.block_cols, held.cols - block * held.block_cols)};
                const RowGroupsLayout::Part& part = held.part(panel, block);
                X* const packed = x_tile + (several_panels ? columns.first * width : 0);
                if (pack && in_place == nullptr && (several_panels || part.n_runs > 0))
                    source.pack_tile(columns, cols, width, held.used.empty() ? nullptr : held.used.data(), packed);
                const bool last = block == held.n_blocks - 1;
                auto args = held.args_of<W>(part, held.columns.data());
                args.x = in_place != nullptr ? in_place + columns.first * x_stride : packed;
                args.x_step = x_stride * std::int64_t{sizeof(X)} / column_unit;
                args.from = partial;
                args.from_stride = partial == sums ? width : y.row_stride;
                args.to = last && direct ? y_part : partial;
                args.to_stride = args.to == sums ? width : y.row_stride;
                args.to_cols = args.to == sums ? width : cols.count;
                args.first = block == 0 && starts == nullptr;
                if (last && direct) args.finish = sink.in_loop(row.takes, rows.first);
                args.last = last && (args.to != args.from || !args.finish.changes_nothing());
                row.function(args);
            }
            if (!direct) sink.take_tile(sums, width, rows, cols);
        }
    };

    const RowGroupsLayout& layout_;
    const Tiles& tiles_;
};

}  // namespace cs
