// SPDX-License-Identifier: BSD-3-Clause
// Bands: which outputs of a strip have their sums in memory together.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/views.hpp"
#include "conv/convolution.hpp"
#include "conv/padded.hpp"

namespace cs {

// A band is some tiles of positions, wherever rows of the output end. Where outputs are pooled, it is whole windows: as
// many rows of them as take the fewest tiles for a strip.
struct Bands {
    std::int64_t step;   // positions from one band to the next
    std::int64_t width;  // positions whose sums are kept: whole tiles
    std::int64_t rows;   // of outputs that are pooled; else 0
    std::int64_t tiles;  // of a strip

    // most_positions: what there is room for; one row of windows may take more.
    static Bands of(const Padded& padded, const Sliding& s, std::int64_t tile_cols, PoolWindow window,
                    std::int64_t most_positions) {
        const std::int64_t all_rows = padded.rows_of(0), pitch = padded.pitch();
        const auto tiles = [&](std::int64_t rows) {
            return rows > 0 ? ((rows - 1) * pitch + s.out_cols + tile_cols - 1) / tile_cols : 0;
        };
        Bands best{tile_cols, tile_cols, 0, tiles(all_rows)};
        if (window.is_one_pixel()) {
            const std::int64_t most = std::max<std::int64_t>(1, most_positions / tile_cols);
            const std::int64_t n_bands = std::max<std::int64_t>(1, (best.tiles + most - 1) / most);
            best.step = best.width = (best.tiles + n_bands - 1) / n_bands * tile_cols;
            return best;
        }
        for (std::int64_t rows = window.rows; rows <= all_rows; rows += window.rows) {
            const std::int64_t width = tiles(rows) * tile_cols;
            const std::int64_t n_tiles =
                all_rows / rows * tiles(rows) + tiles(all_rows % rows / window.rows * window.rows);
            if (best.rows == 0 || (n_tiles < best.tiles && width <= most_positions))
                best = {rows * pitch, width, rows, n_tiles};
        }
        return best;
    }
};

}  // namespace cs
