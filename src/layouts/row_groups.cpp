// SPDX-License-Identifier: BSD-3-Clause
// Row groups, for batches: of rows with columns of their own, and of rows that share them.
#include "layouts/row_groups.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

#include "base/caches.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/quads.hpp"
#include "layouts/row_groups_cut.hpp"
#include "layouts/row_groups_product.hpp"

namespace cs {
namespace {

template <class P>
class RowGroupsChoice final : public TilesChoice<P, RowGroupsRow, RowGroupsLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = TilesChoice<P, RowGroupsRow, RowGroupsLayout>;
    using Base::layout, Base::tiles;

   public:
    using Base::Base;

   private:
    GroupsProduct<typename P::W, X, Y> product() const { return {layout(), tiles()}; }

    std::int64_t bytes(const Source<X>&, const Sink<Y>& sink, int threads) const override {
        return product().bytes(sink, threads);
    }
    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        product().multiply(source, sink, threads, memory);
    }
};

// Per column of x: an entry meets every tile and every vector of it; and the way of x and y into tiles and out. `entry`
// and `vector` are cycles.
std::optional<double> cost(Subject& subject, Batch batch, int shared_rows, double entry, double vector) {
    if (!is_of_some_columns(batch) || is_of_dots(subject.types)) return {};
    const CostConstants& c = costs();
    const int n = typical_columns(batch);
    const Tiles tiles = tiles_of(subject, shared_rows);
    const Cover cover = cover_of(tiles, subject.lanes(), n);
    const double in = static_cast<double>(subject.known(columns_read)),
                 out = static_cast<double>(subject.operand.outer()), nnz = subject.operand.nnz();
    // A block of x that leaves L1 comes from L2 for each entry; a row's sums go to memory and back for each block that
    // it owns an entry in, but for the last.
    const int value_bytes = bytes_of(subject.types.x);
    const auto block = static_cast<double>(choose_block_cols(
        static_cast<std::int64_t>(in), nnz / std::max(1.0, in * out), blocked_bytes(tiles), shared_rows));
    if (std::min(block, in) * std::min(n, cover.widest) * value_bytes > static_cast<double>(cache_sizes().l1d))
        vector += c.groups_far_vector / std::max(1, shared_rows);  // rows that share their columns share it
    const double parts = std::max(1.0, out * std::ceil(in / block));
    const double sums = std::max(0.0, parts * -std::expm1(-nnz / parts) - out) * cover.vectors * c.groups_sum;
    double moved = (in + out) * n * c.row_moved;
    if (has_contiguous_rows(batch)) {
        const bool in_place = cover.in_place && in == static_cast<double>(subject.operand.inner());
        moved = (in_place ? 0 : in * cover.vectors * c.x_vector) + out * cover.vectors * c.y_vector +
                out * cover.ragged * c.y_ragged_vector;
        // From and to beyond L2.
        if ((in + out) * n * bytes_of(subject.types.x) > static_cast<double>(cache_sizes().l2))
            moved += (in + out) * cover.vectors * c.far_vector;
    }
    return (c.call + c.groups_call + nnz * (entry * cover.tiles + vector * cover.vectors) + sums + moved) / n;
}

std::optional<double> shared_cost(Subject& subject, const Request& request) {
    const int rows = is_of_some_columns(request.batch)
                         ? shared_rows_for(subject, request.batch, subject.known(rows_to_a_pattern))
                         : 0;
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
    auto layout = subject.refillable_layout<RowGroupsLayout>(
        kind, [&](const RowGroupsLayout& other) { return other.shared_rows == shared_rows; },
        [&](Operand& operand) {
            StoredMatrix matrix = operand.by_output();
            std::vector<std::int32_t> used, renumbered;
            drop_unused_columns(operand.by_output(), used, renumbered, matrix);
            const std::int64_t block_cols =
                choose_block_cols(matrix.cols, density(matrix), blocked_bytes(tiles), shared_rows);
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
    quads_kind,
};

std::unique_ptr<const Choice> build_shared(Subject& subject, const Request& request) {
    return build(subject, kinds[0], shared_rows_for(subject, request.batch, subject.known(rows_to_a_pattern)));
}
std::unique_ptr<const Choice> build_plain(Subject& subject, const Request&) { return build(subject, kinds[1], 0); }

}  // namespace

List<LayoutKind> row_groups_kinds() { return {kinds, 3}; }

RowName row_name(const RowGroupsRow& row) {
    RowName name = name_of_groups(row, "spmm", "row_groups", "shared_row_groups");
    if (row.come == Values::broadcast) name.tile.insert(name.tile.find('x'), "b");
    return name;
}

}  // namespace cs
