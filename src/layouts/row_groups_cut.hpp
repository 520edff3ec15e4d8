// SPDX-License-Identifier: BSD-3-Clause
// How a product on row groups is cut: columns of x into tiles, the matrix into panels and blocks. The bits of a column
// are the same whichever tile it is in.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "base/sizes.hpp"
#include "kernels/registry.hpp"
#include "kernels/row_groups.hpp"
#include "layouts/costs.hpp"
#include "layouts/matrix.hpp"

namespace cs {

// An entry of each row of a group, on this CPU. Where permutes are slow, values come by broadcasts, and there loads and
// FMAs hardly go in one: what the cost model takes for them counts. x of a tile that blocks are not made for comes from
// beyond L1.
inline double cycles_of(const RowGroupsRow& row) {
    const CostConstants& c = costs();
    if (row.shared_rows > 0 || is_of_bytes(row.types) || c.groups_spread == 0) return row.cycles;
    if (row.come == Values::spread) return row.cycles + group_rows * c.groups_spread;
    const double bytes = row.tile_cols * bytes_of(row.types.x);
    const double vectors = std::max(1.0, bytes / static_cast<double>(cache_line));
    return group_rows *
           (c.groups_entry + vectors * (c.groups_vector + (bytes > c.groups_tile_bytes ? c.groups_far_vector : 0)));
}

// Columns from `first` on for one tile, which may be wider than they are.
struct TileStrip {
    const RowGroupsRow* row;
    std::int64_t first;
};

// As many of the tile that is cheapest for a column as the columns fill, then what is cheapest for the rest, or for the
// rest and one such tile if a wider one holds both: the narrowest tile that holds it, or the next narrower one and what
// is cheapest for what it leaves.
class TileCut {
   public:
    // tiles: of ascending width.
    TileCut(const std::vector<Registered<RowGroupsRow>>& tiles, std::int64_t cols) : cheapest_(tiles.back().row) {
        const std::int64_t widest = cheapest_->tile_cols;
        for (const auto& tile : tiles)
            if (cycles_of(*tile.row) / tile.row->tile_cols < cycles_of(*cheapest_) / cheapest_->tile_cols)
                cheapest_ = tile.row;
        const std::int64_t width = cheapest_->tile_cols, left = cols % width;
        n_cheapest_ = cols / width;
        if (n_cheapest_ > 0 && left > 0 && width + left <= widest) --n_cheapest_;
        if (n_cheapest_ > 0) widest_ = cheapest_->tile_cols;
        for (std::int64_t first = n_cheapest_ * width; first < cols;) {
            const RowGroupsRow* const row = next(tiles, cols - first).row;
            rest_[as_size(n_rest_++)] = {row, first};
            widest_ = std::max(widest_, row->tile_cols);
            first += row->tile_cols;
        }
    }

    std::int64_t count() const { return n_cheapest_ + n_rest_; }
    TileStrip operator[](std::int64_t number) const {
        return number < n_cheapest_ ? TileStrip{cheapest_, number * cheapest_->tile_cols}
                                    : rest_[as_size(number - n_cheapest_)];
    }
    int widest() const { return widest_; }

   private:
    struct First {
        const RowGroupsRow* row;
        double cycles;  // of all columns asked for
    };

    static First next(const std::vector<Registered<RowGroupsRow>>& tiles, std::int64_t cols) {
        constexpr double worth_two = 0.95;  // rows of x and y are met twice
        std::size_t i = 0;
        while (tiles[i].row->tile_cols < cols) ++i;
        const First whole{tiles[i].row, cycles_of(*tiles[i].row)};
        if (i == 0) return whole;
        const RowGroupsRow* const narrower = tiles[i - 1].row;
        const First in_two{narrower, cycles_of(*narrower) + next(tiles, cols - narrower->tile_cols).cycles};
        return in_two.cycles < worth_two * whole.cycles ? in_two : whole;
    }

    const RowGroupsRow* cheapest_;
    std::int64_t n_cheapest_, n_rest_ = 0;
    int widest_ = 0;
    std::array<TileStrip, 8> rest_{};
};

// As few blocks as L1 holds, all of one size, unless a row would own so few entries in one that they do not pay for its
// sums' way to memory and back: then x streams from L2. Tiles of four cache lines a row pay sooner, because L1 holds
// few columns beside them, and rows that share their columns at once, because they need a quarter of x
// (docs/developer/performance/row_groups.md).
std::int64_t choose_block_cols(std::int64_t cols, double density, std::int64_t tile_bytes, int shared_rows);

// Panels are what threads share when a batch has too few tiles for them. A matrix of few entries gets higher ones, so
// that the index of (panel, block) parts stays small beside its entries.
std::int64_t choose_panel_rows(const StoredMatrix& matrix, std::int64_t block_cols);

// Tiles of ascending width on one layout, each of the strongest level that has it; there by the faster of two loops.
using Tiles = std::vector<Registered<RowGroupsRow>>;
Tiles tiles_of(const Subject& subject, int shared_rows);
// A row of the tile that blocks of x are made for.
std::int64_t blocked_bytes(const Tiles& tiles);

// Rows of the groups that share their columns, of those that a micro-kernel and the pattern have, whose rows come in
// `of_pattern`s; 0: none. Wide batches take the groups with the widest tiles, others those with the most rows.
int shared_rows_for(const Subject& subject, Batch batch, int of_pattern);

// The tiles that n columns take, their vectors, and those of a tile that is not full.
struct Cover {
    double tiles = 0, vectors = 0, ragged = 0;
    int widest = 0;         // columns
    bool in_place = false;  // one tile, full: x is read where it lies, if W owns an entry in each of its columns
};
Cover cover_of(const Tiles& tiles, int lanes, std::int64_t n);

}  // namespace cs
