// SPDX-License-Identifier: BSD-3-Clause
// How columns of x are cut into tiles: the bits of a column are the same whichever tile it is in.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/sizes.hpp"
#include "kernels/registry.hpp"
#include "kernels/row_groups.hpp"

namespace cs {

// Columns from `first` on for one tile, which may be wider than they are.
struct TileStrip {
    const RowGroupsRow* row;
    std::int64_t first;
};

// As many of the widest tile as the columns fill, then what is cheapest for the rest: the narrowest tile that holds it,
// or the next narrower one, and what is cheapest for what it leaves.
class TileCut {
   public:
    // tiles: of ascending width.
    TileCut(const std::vector<Registered<RowGroupsRow>>& tiles, std::int64_t cols)
        : widest_(tiles.back().row), n_wide_(cols / widest_->tile_cols) {
        for (std::int64_t first = n_wide_ * widest_->tile_cols; first < cols;) {
            const RowGroupsRow* const row = next(tiles, cols - first).row;
            rest_[as_size(n_rest_++)] = {row, first};
            first += row->tile_cols;
        }
    }

    std::int64_t count() const { return n_wide_ + n_rest_; }
    TileStrip operator[](std::int64_t number) const {
        return number < n_wide_ ? TileStrip{widest_, number * widest_->tile_cols} : rest_[as_size(number - n_wide_)];
    }
    int widest() const { return (*this)[0].row->tile_cols; }  // the first is

   private:
    struct First {
        const RowGroupsRow* row;
        double cycles;  // of all columns asked for
    };

    static First next(const std::vector<Registered<RowGroupsRow>>& tiles, std::int64_t cols) {
        std::size_t i = 0;
        while (tiles[i].row->tile_cols < cols) ++i;
        const First whole{tiles[i].row, tiles[i].row->cycles};
        if (i == 0) return whole;
        const RowGroupsRow* const narrower = tiles[i - 1].row;
        const First in_two{narrower, narrower->cycles + next(tiles, cols - narrower->tile_cols).cycles};
        return in_two.cycles < whole.cycles ? in_two : whole;
    }

    const RowGroupsRow* widest_;
    std::int64_t n_wide_, n_rest_ = 0;
    std::array<TileStrip, 8> rest_{};  // of descending width
};

}  // namespace cs
