// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/row_groups_cut.hpp"

#include <algorithm>
#include <tuple>

#include "base/caches.hpp"
#include "base/parallel.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_panel_rows = 2048;  // sums of a panel stay in L2 between blocks
constexpr std::int64_t least_panel_rows = 128;  // shorter panels sort too few rows into a run

// Rows that share their columns read a row of x for all of them, wherever it lies.
std::int64_t most_bytes_of(const RowGroupsRow& row) {
    return row.shared_rows > 0 || is_of_bytes(row.types) ? 256 : static_cast<std::int64_t>(costs().groups_tile_bytes);
}

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

std::int64_t choose_block_cols(std::int64_t cols, double density, std::int64_t tile_bytes, int shared_rows) {
    const double least_entries = shared_rows > 0 ? 96 : tile_bytes >= 256 ? 24 : 16;
    std::int64_t most = std::clamp<std::int64_t>(cache_sizes().l1d / tile_bytes, 64, max_block_cols);
    const auto even = [&] {
        const std::int64_t n_blocks = std::max<std::int64_t>(1, (cols + most - 1) / most);
        return (cols + n_blocks - 1) / n_blocks;
    };
    while (most < cols && 2 * most <= max_block_cols && 2 * most * tile_bytes <= cache_sizes().l2 &&
           static_cast<double>(even()) * density < least_entries)
        most *= 2;
    return std::max<std::int64_t>(1, even());
}

std::int64_t choose_panel_rows(const StoredMatrix& matrix, std::int64_t block_cols) {
    constexpr std::int64_t highest = has_tail;
    const std::int64_t share = matrix.rows / std::max(1, effective_threads()) + 1;
    std::int64_t panel = round_up(std::clamp(share, least_panel_rows, most_panel_rows), most_shared_rows);
    const std::int64_t n_blocks = matrix.cols / block_cols + 1;
    while (panel < highest && (matrix.rows / panel) * n_blocks > matrix.nnz() / 8) panel *= 2;
    return panel;
}

Tiles tiles_of(const Subject& subject, int shared_rows) {
    Tiles tiles;
    for (const auto& registered : rows_of(&Table::row_groups, subject.levels)) {
        const RowGroupsRow& row = *registered.row;
        if (row.types != subject.types || row.shared_rows != shared_rows) continue;
        // Where permutes are slow, so are the tiles that have no other way.
        if (row.come == Values::spread && row.tile_cols * bytes_of(row.types.x) > most_bytes_of(row)) continue;
        auto same = std::find_if(tiles.begin(), tiles.end(),
                                 [&](const auto& other) { return other.row->tile_cols == row.tile_cols; });
        if (same == tiles.end())
            tiles.push_back(registered);
        else if (registered.isa > same->isa || cycles_of(row) < cycles_of(*same->row))
            *same = registered;
    }
    std::sort(tiles.begin(), tiles.end(),
              [](const auto& a, const auto& b) { return a.row->tile_cols < b.row->tile_cols; });
    // Of weaker levels a narrow tile may take longer than a wide one.
    const auto slower = [&](const Registered<RowGroupsRow>& tile) {
        return std::any_of(tiles.begin(), tiles.end(), [&](const auto& other) {
            return other.row->tile_cols > tile.row->tile_cols && cycles_of(*other.row) < cycles_of(*tile.row);
        });
    };
    Tiles kept;
    std::copy_if(tiles.begin(), tiles.end(), std::back_inserter(kept), [&](const auto& tile) { return !slower(tile); });
    return kept;
}

std::int64_t blocked_bytes(const Tiles& tiles) {
    const RowGroupsRow& widest = *tiles.back().row;
    return std::min(std::int64_t{widest.tile_cols} * bytes_of(widest.types.x), most_bytes_of(widest));
}

int shared_rows_for(const Subject& subject, Batch batch, int of_pattern) {
    const bool wide = typical_columns(batch) >= 64;
    const RowGroupsRow* best = nullptr;
    auto rank = [&](const RowGroupsRow& row) {
        return wide ? std::make_tuple(row.tile_cols, row.shared_rows) : std::make_tuple(row.shared_rows, row.tile_cols);
    };
    for (const auto& registered : rows_of(&Table::row_groups, subject.levels)) {
        const RowGroupsRow& row = *registered.row;
        if (row.types == subject.types && row.shared_rows > 0 && row.shared_rows <= of_pattern &&
            subject.operand.outer() % row.shared_rows == 0 && (best == nullptr || rank(row) > rank(*best)))
            best = &row;
    }
    return best == nullptr ? 0 : best->shared_rows;
}

Cover cover_of(const Tiles& tiles, int lanes, std::int64_t n) {
    Cover cover;
    const TileCut cut(tiles, n);
    cover.widest = cut.widest();
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

}  // namespace cs
