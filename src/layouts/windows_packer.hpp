// SPDX-License-Identifier: BSD-3-Clause
// Packs rows into groups of the windows layout: which entries go into tiles, which are gathered.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <vector>

#include "base/sizes.hpp"
#include "layouts/windows.hpp"

namespace cs::windows_packing {

// Cycles of a tile and of a gather step on the cores measured (docs/developer/performance/windows.md): a tile must
// cover at least so many entries of the longest lane to pay.
inline constexpr int gather_cost = 12;
constexpr int tile_cost(int windows) { return windows == 2 ? 6 : 7; }

inline constexpr int base_step = 2;  // windows start at even columns: finer gains nothing, coarser loses 3-5%
inline constexpr std::size_t horizon =
    1024;                            // candidate windows looked at per choice: packing stays linear in the entries
inline constexpr int patience = 24;  // tiles without a gain before the group is closed

// What a lane sums: the entries of a row, or a piece of a long row.
struct Piece {
    std::int64_t begin, end;
    std::uint32_t output;
    std::int64_t count() const { return end - begin; }
};

template <class T>
class Packer {
   public:
    Packer(const StoredMatrix& matrix, int windows, WindowsLayout& layout)
        : matrix_(matrix), values_(static_cast<const T*>(matrix.values)), windows_(windows), layout_(layout) {
        if (windows > 0) {
            n_bases_ = matrix.cols < window_cols ? 0 : (matrix.cols - window_cols + base_step - 1) / base_step + 1;
            owned_.assign(as_size(matrix.cols), 0);
            candidate_of_.assign(as_size(n_bases_), 0);
            for (auto& entry : entry_at_) entry.resize(as_size(matrix.cols));
        }
    }

    // Packs pieces[first], ..., pieces[last - 1]; first is the start of a group.
    void pack(const std::vector<Piece>& pieces, std::size_t first, std::size_t last) {
        for (; first < last; first += window_lanes) {
            for (std::size_t lane = 0; lane < window_lanes; ++lane) {
                piece_[lane] = first + lane < last ? pieces[first + lane] : Piece{0, 0, no_row};
                layout_.rows.push_back(piece_[lane].output);
                left_[lane] = static_cast<int>(piece_[lane].count());
            }
            pack_group();
        }
    }

   private:
    struct Tile {
        std::int64_t base[3];
        std::int64_t entry[window_lanes];  // or none
        std::uint8_t column[window_lanes], window[window_lanes];
    };
    static constexpr std::int64_t none = -1;

    std::int64_t base_of(std::int64_t window) const { return std::min(window * base_step, matrix_.cols - window_cols); }
    int longest() const { return *std::max_element(left_, left_ + window_lanes); }

    void pack_group() {
        tiles_.clear();
        std::size_t kept = 0;
        if (windows_ > 0 && n_bases_ > 0 && longest() > 1) {
            open_columns();
            kept = choose_tiles();
            for (std::size_t i = kept; i < tiles_.size(); ++i) give_back(tiles_[i]);
            tiles_.resize(kept);
        }
        WindowGroup group{};
        group.blocks = static_cast<std::uint32_t>(kept / block_tiles);
        group.steps = static_cast<std::uint32_t>(longest());
        group.consecutive = true;
        for (std::uint32_t lane = 0; lane < window_lanes; ++lane)
            group.consecutive &= piece_[lane].output != no_row && piece_[lane].output == piece_[0].output + lane;
        group.first_block = static_cast<std::int64_t>(layout_.picks.size()) / block_picks;
        group.first_step = static_cast<std::int64_t>(layout_.columns.size()) / window_lanes;
        layout_.groups.push_back(group);
        write_tiles();
        write_gathers(group.steps);
        if (kept > 0 || !touched_.empty()) close_columns();
    }

    // Which lanes own each column of the group, and which each window holds.
    void open_columns() {
        for (int lane = 0; lane < window_lanes; ++lane) {
            for (std::int64_t i = piece_[lane].begin; i < piece_[lane].end; ++i) {
                const std::size_t column = as_size(matrix_.columns[i]);
                if (owned_[column] == 0) touched_.push_back(matrix_.columns[i]);
                owned_[column] = static_cast<std::uint8_t>(owned_[column] | (1 << lane));
                entry_at_[lane][column] = i;
            }
        }
        if (16 * static_cast<std::int64_t>(touched_.size()) < matrix_.cols) {
            std::sort(touched_.begin(), touched_.end());
        } else {  // looking at every column is faster
            touched_.clear();
            for (std::int64_t column = 0; column < matrix_.cols; ++column)
                if (owned_[as_size(column)] != 0) touched_.push_back(static_cast<std::int32_t>(column));
        }
        candidates_.clear();
        masks_.clear();
        for (const std::int32_t column : touched_)
            for_windows_over(column, [&](std::int64_t window) {
                if (!candidates_.empty() && candidates_.back() >= window) return;
                candidate_of_[as_size(window)] = static_cast<std::int32_t>(candidates_.size());
                candidates_.push_back(static_cast<std::int32_t>(window));
                masks_.push_back(lanes_in(window));
            });
    }

    std::uint8_t lanes_in(std::int64_t window) const {
        const std::uint8_t* const four = &owned_[as_size(base_of(window))];
        return static_cast<std::uint8_t>(four[0] | four[1] | four[2] | four[3]);
    }

    void close_columns() {
        for (const std::int32_t column : touched_) owned_[as_size(column)] = 0;
        touched_.clear();
    }

    template <class Body>
    void for_windows_over(std::int64_t column, Body body) const {
        const std::int64_t first = std::max<std::int64_t>(0, (column - window_cols) / base_step);
        for (std::int64_t window = first; window < n_bases_ && base_of(window) <= column; ++window)
            if (column < base_of(window) + window_cols) body(window);
    }

    // Lanes with many entries left count more: gather steps are as many as the longest lane needs.
    void weigh_lanes() {
        const int sum = std::accumulate(left_, left_ + window_lanes, 0);
        int weight[window_lanes];
        for (int lane = 0; lane < window_lanes; ++lane)  // 100 + 30 per entry above the mean, within [20, 300]
            weight[lane] = std::clamp(100 + 30 * left_[lane] - 30 * sum / window_lanes, 20, 300);
        score_[0] = 0;
        for (int lanes = 1; lanes < 256; ++lanes)
            score_[lanes] = static_cast<std::uint16_t>(score_[lanes & (lanes - 1)] +
                                                       weight[__builtin_ctz(static_cast<unsigned>(lanes))]);
    }

    // The best candidate for the lanes that are still free, among the next `horizon`; none where nothing scores.
    std::int64_t best_candidate(unsigned taken) const {
        std::uint32_t best = 0;  // score, then position: one comparison finds both
        auto scan = [&](std::size_t from, std::size_t to) {
            for (std::size_t at = from; at < to; ++at)
                best =
                    std::max(best, std::uint32_t{score_[masks_[at] & ~taken]} << 16 | static_cast<std::uint32_t>(at));
        };
        const std::size_t end = cursor_ + horizon;
        scan(cursor_, std::min(end, masks_.size()));
        if (end > masks_.size()) scan(0, std::min(end - masks_.size(), cursor_));
        return best >> 16 == 0 ? none : static_cast<std::int64_t>(best & 0xffff);
    }

    // Takes tiles greedily; returns how many, a multiple of block_tiles, are the cheapest together with the gather
    // steps that they leave.
    std::size_t choose_tiles() {
        std::size_t best_tiles = 0;
        int best_cost = gather_cost * longest();
        cursor_ = 0;
        for (;;) {
            weigh_lanes();
            Tile tile;
            std::fill(tile.entry, tile.entry + window_lanes, none);
            unsigned taken = 0;
            int hits = 0;
            for (int k = 0; k < windows_; ++k) {
                const std::int64_t best = best_candidate(taken);
                tile.base[k] = best == none ? 0 : base_of(candidates_[as_size(best)]);
                if (best == none) continue;
                const unsigned lanes = masks_[as_size(best)] & ~taken;
                hits += take(tile, k, lanes);
                taken |= lanes;
            }
            cursor_ = (cursor_ + horizon) % candidates_.size();
            tiles_.push_back(tile);
            if (tiles_.size() % block_tiles == 0) {
                const int cost = static_cast<int>(tiles_.size()) * tile_cost(windows_) + gather_cost * longest();
                if (cost < best_cost) {
                    best_cost = cost;
                    best_tiles = tiles_.size();
                }
                if (longest() == 0 || hits < 2 || tiles_.size() >= best_tiles + patience) return best_tiles;
            }
        }
    }

    // The lanes given take an entry each from window k of the tile. Returns how many.
    int take(Tile& tile, int k, unsigned lanes) {
        int hits = 0;
        std::int32_t changed[window_lanes];
        for (int lane = 0; lane < window_lanes; ++lane) {
            if (!(lanes >> lane & 1)) continue;
            std::int64_t column = tile.base[k];
            while (!(owned_[as_size(column)] >> lane & 1)) ++column;
            tile.entry[lane] = entry_at_[lane][as_size(column)];
            tile.column[lane] = static_cast<std::uint8_t>(column - tile.base[k]);
            tile.window[lane] = static_cast<std::uint8_t>(k);
            owned_[as_size(column)] = static_cast<std::uint8_t>(owned_[as_size(column)] & ~(1 << lane));
            changed[hits++] = static_cast<std::int32_t>(column);
            --left_[lane];
        }
        for (int i = 0; i < hits; ++i)
            for_windows_over(changed[i], [&](std::int64_t window) {
                masks_[as_size(candidate_of_[as_size(window)])] = lanes_in(window);
            });
        return hits;
    }

    void give_back(const Tile& tile) {
        for (int lane = 0; lane < window_lanes; ++lane)
            if (tile.entry[lane] != none) {
                owned_[as_size(matrix_.columns[tile.entry[lane]])] |= static_cast<std::uint8_t>(1 << lane);
                ++left_[lane];
            }
    }

    static void append(AlignedVector<unsigned char>& values, T value) {
        const auto* const bytes = reinterpret_cast<const unsigned char*>(&value);
        values.insert(values.end(), bytes, bytes + sizeof(T));
    }
    static T padding() { return std::is_floating_point_v<T> ? -T{} : T{}; }
    T stored(std::int64_t entry) const { return values_[entry] == T{} ? T{} : values_[entry]; }  // -0.0 marks padding

    void write_tiles() {
        for (std::size_t first = 0; first < tiles_.size(); first += block_tiles) {
            const std::size_t picks = layout_.picks.size();
            layout_.picks.resize(picks + block_picks, 0);
            for (int j = 0; j < block_tiles; ++j) {
                const Tile& tile = tiles_[first + static_cast<std::size_t>(j)];
                for (int k = 0; k < tile_bases(windows_); ++k)
                    layout_.bases.push_back(static_cast<std::uint16_t>(k < windows_ ? tile.base[k] : 0));
                for (int lane = 0; lane < window_lanes; ++lane) {
                    const bool owns = tile.entry[lane] != none;
                    append(layout_.tile_values, owns ? stored(tile.entry[lane]) : padding());
                    if (!owns) continue;
                    const std::size_t at = picks + static_cast<std::size_t>(4 * lane + j);
                    const int window = tile.window[lane];
                    layout_.picks[at] |= tile.column[lane];
                    layout_.picks[at + 3] |= static_cast<std::uint8_t>((window & 1) << 7 | (window >> 1) << 6);
                    ++layout_.tile_entries;
                }
            }
        }
    }

    // The entries that no tile took, ascending within a lane.
    void write_gathers(std::uint32_t steps) {
        const std::size_t first = layout_.columns.size();
        layout_.columns.resize(first + std::size_t{steps} * window_lanes, 0);
        values_out_.assign(std::size_t{steps} * window_lanes, padding());
        for (std::size_t lane = 0; lane < window_lanes; ++lane) {
            std::size_t step = 0;
            for (std::int64_t i = piece_[lane].begin; i < piece_[lane].end; ++i) {
                if (!touched_.empty() && !(owned_[as_size(matrix_.columns[i])] >> lane & 1)) continue;
                layout_.columns[first + step * window_lanes + lane] = static_cast<std::uint16_t>(matrix_.columns[i]);
                values_out_[step++ * window_lanes + lane] = stored(i);
            }
        }
        const auto* const bytes = reinterpret_cast<const unsigned char*>(values_out_.data());
        layout_.values.insert(layout_.values.end(), bytes, bytes + values_out_.size() * sizeof(T));
    }

    const StoredMatrix& matrix_;
    const T* const values_;
    const int windows_;
    WindowsLayout& layout_;
    std::int64_t n_bases_ = 0;
    // of a column: lanes with an entry there that no tile took; per lane, which entry
    std::vector<std::uint8_t> owned_;
    std::vector<std::int64_t> entry_at_[window_lanes];
    // windows that hold an entry, ascending; the lanes with an entry in each; and where a window stands in them
    std::vector<std::int32_t> candidates_;
    std::vector<std::uint8_t> masks_;
    std::vector<std::int32_t> candidate_of_;
    std::vector<std::int32_t> touched_;  // columns with an entry
    std::vector<Tile> tiles_;
    std::vector<T> values_out_;
    Piece piece_[window_lanes];
    int left_[window_lanes];    // entries that no tile took, of a lane
    std::uint16_t score_[256];  // of a set of lanes
    std::size_t cursor_ = 0;
};

}  // namespace cs::windows_packing
