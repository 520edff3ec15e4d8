// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <new>
#include <utility>

#include "base/parallel.hpp"
#include "base/sizes.hpp"
#include "layouts/stored.hpp"
#include "layouts/windows.hpp"
#include "layouts/windows_packer.hpp"

namespace cs {

std::int64_t WindowsLayout::bytes() const {
    return bytes_of_arrays(groups, rows, extra_rows, picks, bases, tile_values, columns, values);
}

std::int64_t WindowsLayout::slots() const {
    return static_cast<std::int64_t>(tile_values.size() + values.size()) / value_bytes;
}

namespace {

using windows_packing::Packer;
using windows_packing::Piece;

template <class Vector>
void append_all(Vector& to, const Vector& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void append_layout(WindowsLayout& to, const WindowsLayout& from) {
    const auto blocks = static_cast<std::int64_t>(to.picks.size()) / block_picks;
    const auto steps = static_cast<std::int64_t>(to.columns.size()) / window_lanes;
    for (WindowGroup group : from.groups) {
        group.first_block += blocks;
        group.first_step += steps;
        to.groups.push_back(group);
    }
    append_all(to.rows, from.rows);
    append_all(to.picks, from.picks);
    append_all(to.bases, from.bases);
    append_all(to.tile_values, from.tile_values);
    append_all(to.columns, from.columns);
    append_all(to.values, from.values);
    to.tile_entries += from.tile_entries;
}

void sort_by_count(std::vector<Piece>& pieces) {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& a, const Piece& b) { return a.count() > b.count(); });
}

// The rows by descending count. A group lasts as long as its longest lane: where that would leave more than a fifth of
// the lanes' steps empty, rows that own much of the matrix are cut into equal pieces. The first piece's sum belongs to
// the row; those of the others are outputs of their own behind the last row, listed in extra_rows.
std::int64_t longest_piece(std::int64_t nnz) { return std::max<std::int64_t>(64, nnz / 64); }

bool leaves_steps_empty(std::int64_t slots, std::int64_t nnz) { return 4 * (slots - nnz) > nnz; }

std::vector<Piece> cut_rows(const StoredMatrix& matrix, std::vector<std::uint32_t>& extra_rows) {
    const std::int64_t nnz = matrix.nnz();
    std::vector<Piece> pieces;
    pieces.reserve(as_size(matrix.rows));
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        pieces.push_back({matrix.row_ptr[row], matrix.row_ptr[row + 1], static_cast<std::uint32_t>(row)});
    sort_by_count(pieces);
    std::int64_t slots = 0;
    for (std::size_t first = 0; first < pieces.size(); first += window_lanes)
        slots += window_lanes * pieces[first].count();
    if (!leaves_steps_empty(slots, nnz)) return pieces;
    const std::int64_t longest = longest_piece(nnz);
    const std::size_t n_rows = pieces.size();
    for (std::size_t i = 0; i < n_rows && pieces[i].count() > longest; ++i) {
        const Piece row = pieces[i];
        const std::int64_t n = (row.count() + longest - 1) / longest;
        pieces[i].end = row.begin + row.count() / n;
        for (std::int64_t k = 1; k < n; ++k) {
            pieces.push_back({row.begin + row.count() * k / n, row.begin + row.count() * (k + 1) / n,
                              static_cast<std::uint32_t>(matrix.rows + static_cast<std::int64_t>(extra_rows.size()))});
            extra_rows.push_back(row.output);
        }
    }
    sort_by_count(pieces);
    return pieces;
}

// Groups are independent: they are packed in shares by several threads and joined in order, with the same result.
template <class T>
WindowsLayout pack_shares(const StoredMatrix& matrix, int windows) {
    std::vector<std::uint32_t> extra_rows;
    const std::vector<Piece> pieces = cut_rows(matrix, extra_rows);
    const std::size_t n_groups = (pieces.size() + window_lanes - 1) / window_lanes;
    const int threads = matrix.nnz() < 16384 ? 1 : effective_threads();
    const std::size_t n_shares = threads == 1 ? 1 : std::min(n_groups, std::size_t{4} * static_cast<unsigned>(threads));
    std::vector<WindowsLayout> shares(std::max<std::size_t>(1, n_shares));
    std::atomic<bool> out_of_memory{false};
    auto pack_share = [&](std::int64_t share, int) {
        const std::size_t first = n_groups * as_size(share) / n_shares, last = n_groups * as_size(share + 1) / n_shares;
        try {
            Packer<T>(matrix, windows, shares[as_size(share)])
                .pack(pieces, first * window_lanes, std::min(last * window_lanes, pieces.size()));
        } catch (const std::bad_alloc&) {
            out_of_memory = true;
        }
    };
    parallel_for(static_cast<std::int64_t>(n_shares), threads, pack_share);
    if (out_of_memory) throw std::bad_alloc();
    for (std::size_t share = 1; share < shares.size(); ++share) {
        append_layout(shares[0], shares[share]);
        shares[share] = WindowsLayout();
    }
    shares[0].extra_rows = std::move(extra_rows);
    return std::move(shares[0]);
}

}  // namespace

bool has_rows_to_cut(const StoredMatrix& matrix) {
    std::vector<std::int64_t> counts(as_size(matrix.rows));
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        counts[as_size(row)] = matrix.row_ptr[row + 1] - matrix.row_ptr[row];
    std::sort(counts.begin(), counts.end(), std::greater<>());
    if (counts.empty() || counts[0] <= longest_piece(matrix.nnz())) return false;
    std::int64_t slots = 0;
    for (std::size_t first = 0; first < counts.size(); first += window_lanes) slots += window_lanes * counts[first];
    return leaves_steps_empty(slots, matrix.nnz());
}

WindowsLayout derive_windows(const StoredMatrix& matrix, int windows) {
    WindowsLayout layout =
        dispatch_weights(matrix.type, [&](auto zero) { return pack_shares<decltype(zero)>(matrix, windows); });
    layout.windows = windows;
    layout.value_bytes = bytes_of(matrix.type);
    return layout;
}

}  // namespace cs
