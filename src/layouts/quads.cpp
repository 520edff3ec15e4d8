// SPDX-License-Identifier: BSD-3-Clause
// Products of 8-bit numbers, four columns at a time: row groups whose entries are quads of weights. A pattern of blocks
// of four columns fills them; in any other, places without an entry are zeros.
#include "layouts/quads.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "kernels/interleave.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/row_groups_product.hpp"
#include "tiles/units.hpp"

namespace cs {

namespace {

// The matrix of units of so many columns; bits_of(i): those of entry i, the lowest of 32.
template <std::int64_t Cols, class BitsOf>
StoredMatrix as_units(const StoredMatrix& matrix, OwnedCsr& owned, BitsOf bits_of) {
    constexpr std::int64_t bits = 8 * unit_bytes / Cols;
    owned.row_ptr.assign(1, 0);
    owned.columns.clear();
    std::vector<std::uint32_t> units;
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
        std::int32_t last = -1;
        for (std::int64_t i = matrix.row_ptr[row]; i < matrix.row_ptr[row + 1]; ++i) {
            const std::int32_t unit = matrix.columns[i] / static_cast<std::int32_t>(Cols);
            if (unit != last) owned.columns.push_back(last = unit), units.push_back(0);
            units.back() |= bits_of(i) << bits * (matrix.columns[i] % Cols);
        }
        owned.row_ptr.push_back(static_cast<std::int64_t>(units.size()));
    }
    owned.values.resize(units.size() * sizeof(std::uint32_t));
    if (!units.empty()) std::memcpy(owned.values.data(), units.data(), owned.values.size());
    return {matrix.rows,          (matrix.cols + Cols - 1) / Cols,
            owned.row_ptr.data(), owned.columns.data(),
            owned.values.data(),  Type::s32};
}

}  // namespace

StoredMatrix as_quads(const StoredMatrix& matrix, OwnedCsr& owned) {
    const auto* const values = static_cast<const std::uint8_t*>(matrix.values);
    return as_units<quad_cols>(matrix, owned, [=](std::int64_t i) { return std::uint32_t{values[i]}; });
}

StoredMatrix as_pairs(const StoredMatrix& matrix, OwnedCsr& owned) {
    const auto* const values = static_cast<const unsigned char*>(matrix.values);
    return as_units<pair_cols>(matrix, owned, [=](std::int64_t i) {
        std::uint32_t wide;
        std::memcpy(&wide, values + i * std::int64_t{sizeof wide}, sizeof wide);
        return wide >> 16;
    });
}

bool are_full(const StoredMatrix& pairs, const StoredMatrix& matrix) {
    std::int64_t places = pair_cols * pairs.nnz();
    if (matrix.cols % pair_cols != 0)
        places -=
            std::count(pairs.columns, pairs.columns + pairs.nnz(), static_cast<std::int32_t>(matrix.cols / pair_cols));
    return places == matrix.nnz();
}

std::vector<std::int32_t> starts_of_moved(const StoredMatrix& matrix) {
    const auto* const values = static_cast<const std::int8_t*>(matrix.values);
    std::vector<std::int32_t> starts;
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
        std::uint32_t sum = 0;
        for (std::int64_t i = matrix.row_ptr[row]; i < matrix.row_ptr[row + 1]; ++i)
            sum += static_cast<std::uint32_t>(static_cast<std::int32_t>(values[i]));
        starts.push_back(static_cast<std::int32_t>(-128 * sum));
    }
    return starts;
}

namespace {

using Quad = std::int32_t;

struct QuadsLayout final : Layout {
    RowGroupsLayout groups;
    std::vector<std::int32_t> starts;  // starts_of_moved()

    std::int64_t bytes() const override { return groups.bytes() + bytes_of_arrays(starts); }
    std::int64_t slots() const override { return groups.slots() * quad_cols; }
};

// What costs depend on; the quads themselves are not kept.
struct QuadPattern {
    double quads;
    int rows_to_a_pattern;
};

QuadPattern quad_pattern(Subject& subject) {
    OwnedCsr owned;
    const StoredMatrix quads = as_quads(subject.operand.by_output(), owned);
    return {static_cast<double>(quads.nnz()), shared_rows(quads)};
}

template <class P>
class QuadsChoice final : public TilesChoice<P, RowGroupsRow, QuadsLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = TilesChoice<P, RowGroupsRow, QuadsLayout>;
    using Base::layout, Base::tiles;

   public:
    QuadsChoice(Subject& subject, std::string reason, Tiles found, std::shared_ptr<const QuadsLayout> made)
        : Base(subject, std::move(reason), std::move(found), std::move(made)),
          interleave_(*strongest_of(&Table::interleave, subject.levels, Type::u8).row),
          move_(*strongest_of(&Table::move, subject.levels, Type::s32).row) {}

    bool requantizes() const override { return true; }

   private:
    GroupsProduct<Quad, Quad, Y> product() const { return {layout().groups, tiles()}; }

    std::int64_t bytes(const Source<X>&, const Sink<Y>& sink, int threads) const override {
        return product().bytes(sink, threads);
    }
    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const UnitsSource<X> quads(source, interleave_, move_);
        product().multiply(quads, sink, threads, memory, std::is_signed_v<X> ? layout().starts.data() : nullptr);
    }

    const InterleaveRow& interleave_;
    const MoveRow& move_;
};

QuadsLayout derive(const StoredMatrix& matrix, const RowGroupsRow& widest) {
    OwnedCsr owned;
    const StoredMatrix quads = as_quads(matrix, owned);
    const std::int64_t block_cols = choose_block_cols(
        quads.cols, density(quads), widest.tile_cols * std::int64_t{sizeof(Quad)}, widest.shared_rows);
    QuadsLayout layout;
    layout.groups = derive_row_groups(quads, choose_panel_rows(quads, block_cols), block_cols, widest.shared_rows);
    layout.starts = starts_of_moved(matrix);
    return layout;
}

}  // namespace

std::optional<double> quads_cost(Subject& subject, const Request& request) {
    if (!is_of_bytes(subject.types)) return {};
    const CostConstants& c = costs();
    const QuadPattern& pattern = subject.known(quad_pattern);
    const int shared = shared_rows_for(subject, request.batch, pattern.rows_to_a_pattern);
    const Tiles tiles = tiles_of(subject, shared);
    const int n = typical_columns(request.batch);
    // Of a row's entry: its share of what a group's takes in each tile, and some waiting. Where rows have columns of
    // their own, each reads its part of the tile, which beyond L1 comes from L2.
    double entry = 0;
    const TileCut cut(tiles, n);
    const double in = static_cast<double>(subject.operand.inner()) / quad_cols,
                 out = static_cast<double>(subject.operand.outer());
    for (std::int64_t number = 0; number < cut.count(); ++number) {
        const RowGroupsRow& tile = *cut[number].row;
        const bool far =
            shared == 0 && in * tile.tile_cols * double{sizeof(Quad)} > static_cast<double>(cache_sizes().l1d);
        const double share = shared > 0 ? c.quads_shared : far ? c.quads_far_entry : c.quads_entry;
        entry += c.shared_entry + share * tile.cycles / (shared > 0 ? shared : group_rows);
    }
    const double moved = has_contiguous_rows(request.batch) ? (c.quads_in * in + c.quads_out * out) * n / 16
                                                            : c.quad_moved * (in + out) * n;
    return (c.call + c.quads_call + pattern.quads * entry + moved) / n;
}

std::unique_ptr<const Choice> build_quads(Subject& subject, const Request& request) {
    const int shared = shared_rows_for(subject, request.batch, subject.known(quad_pattern).rows_to_a_pattern);
    Tiles tiles = tiles_of(subject, shared);
    auto layout = subject.layout<QuadsLayout>(
        quads_kind, [&](const QuadsLayout& other) { return other.groups.shared_rows == shared; },
        [&] { return derive(subject.operand.by_output(), *tiles.back().row); });
    const double filled = subject.operand.nnz() / std::max(1.0, quad_cols * subject.known(quad_pattern).quads);
    char text[200];
    std::snprintf(text, sizeof text, "quads of columns, %.0f%% filled%s: tiles of up to %d columns", 100 * filled,
                  shared == 0  ? ""
                  : shared > 4 ? ", eight rows to a pattern"
                               : ", four rows to a pattern",
                  tiles.back().row->tile_cols);
    return make_choice<QuadsChoice, ByteProducts>(subject, std::string(text), std::move(tiles), std::move(layout));
}

RowName row_name(const InterleaveRow& row) { return {nullptr, "", name_of(row.type), "", 0, 0}; }

}  // namespace cs
