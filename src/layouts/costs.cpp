// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/costs.hpp"

#include <algorithm>
#include <memory>
#include <tuple>

#include "base/isa.hpp"
#include "kernels/registry.hpp"

namespace cs {
namespace {

double columns_of(Layouts::Kind kind) {
    return kind == Layouts::one_column     ? 1
           : kind == Layouts::few_columns  ? 4
           : kind == Layouts::some_columns ? 22
           : kind == Layouts::whole_line   ? 16
           : kind == Layouts::wide_batch   ? 256
                                           : 64;
}

// Cycles to bring so many bytes from where they stay between products: in L2, beside x and y, or beyond.
double streaming(double bytes) { return bytes / (bytes > 0.8 * static_cast<double>(cache_sizes().l2) ? 9 : 32); }

}  // namespace

CostModel::CostModel(const Matrix& matrix, Side side)
    : layouts_(matrix.layouts()), operand_(matrix, side), side_(static_cast<int>(side)), isa_(selected_isa()) {
    // The vectors of this level, as its tiles tell.
    lanes_ = strongest_of(&Table::move, isa_, operand_.type()).row->lanes;
}

std::vector<Option> CostModel::options(Layouts::Kind kind) {
    const double nnz = operand_.nnz();
    const auto outer = static_cast<double>(operand_.outer());
    std::vector<Option> found;
    auto add = [&](Family family, double cost) { found.push_back({family, cost}); };
    if (kind == Layouts::ordered) return {{Family::row_groups, 0}};
    if (const RoutedRow* row = routed_row()) add(Family::routed, routed_cost(*row, kind));
    if (kind == Layouts::one_column) {
        const double value_bytes = nnz * operand_.value_bytes();
        if (structure().strips) add(Family::strips, std::max(nnz / lanes_ * 1.2, streaming(value_bytes * 1.01)));
        if (structure().square_blocks && operand_.type() == Type::f32)
            add(Family::blocks, std::max(nnz / lanes_ * 1.6, streaming(value_bytes * 1.03)));
        if (operand_.inner() <= max_windows_cols) add(Family::windows, nnz * 0.9 + outer);
        if (operand_.is_stored()) add(Family::rows, nnz * 3 + outer * 8);
    } else {
        const double n = columns_of(kind), used = std::min<double>(n, lanes_);
        const bool in_place = kind == Layouts::batch || kind == Layouts::wide_batch;
        const bool wide = kind == Layouts::packed_batch || in_place;
        // Tiles that the columns do not fill leave half a vector idle, and x and y go through scratch.
        const bool ragged = kind == Layouts::some_columns;
        const double idle = ragged ? 1 + lanes_ / 2.0 / n : 1;
        const auto read = static_cast<double>(structure().columns_read);
        const double move = (read + outer) * (ragged || kind == Layouts::packed_batch ? 0.6 : 0.1);
        if (const int rows = shared_groups(kind)) {
            const double each = wide ? 0.75 : rows > 4 ? 0.95 : 1.3;
            add(Family::shared_row_groups, nnz / used * each * idle + (ragged ? move : 0));
        }
        add(Family::row_groups, nnz / used * (wide ? 1.6 : 2.0) * idle + move);
        // Bringing a row of x into a tile costs as much as a few entries.
        const double few = kind == Layouts::wide_batch ? 12 : 8;
        if (in_place && operand_.is_stored() && nnz < few * read) add(Family::rows, nnz / used);
    }
    if (found.empty()) add(Family::row_groups, 0);
    std::stable_sort(found.begin(), found.end(), [](const Option& a, const Option& b) { return a.cost < b.cost; });
    return found;
}

const Structure& CostModel::structure() {
    auto& known = layouts_.structure[side_];
    if (!known) {
        auto found = std::make_unique<Structure>();
        int widest = 0;
        for (const auto& registered : rows_of(&Table::routed, static_cast<int>(isa_levels().size()) - 1))
            widest = std::max(widest, registered.row->window);
        found->routed = find_routed_pattern(operand_.by_output(), widest);
        found->shared_rows = shared_rows(operand_.by_output());
        found->square_blocks = found->shared_rows >= block_side && is_blocked(operand_.by_output());
        found->strips = found->shared_rows >= 4 && is_of_strips(operand_.by_output());
        found->fits_bf16 = !found->routed.layers.empty() && fits_bf16(operand_.by_output());
        const std::size_t kept = columns_worth_keeping(operand_.by_output()).size();
        found->columns_read = kept > 0 ? static_cast<std::int64_t>(kept) : operand_.inner();
        known = std::move(found);
    }
    return *known;
}

const RoutedRow* CostModel::routed_row() {
    const auto all = rows_of(&Table::routed, isa_);
    const RoutedRow* best = nullptr;
    if (operand_.type() != Type::f32 || structure().routed.layers.empty()) return best;
    int lanes = 0;
    for (const auto& registered : all) lanes = std::max(lanes, registered.row->lanes);
    const bool narrow = structure().fits_bf16 && operand_.nnz() * sizeof(float) > static_cast<double>(cache_sizes().l2);
    auto rank = [](const RoutedRow& row) {
        return std::make_tuple(row.weights == Weights::bf16, -row.window, row.block_rows);
    };
    for (const auto& registered : all) {
        const RoutedRow& row = *registered.row;
        if (row.lanes != lanes || row.window < structure().routed.width || row.block_rows > structure().shared_rows ||
            (row.weights == Weights::bf16 && !narrow))
            continue;
        if (best == nullptr || rank(row) > rank(*best)) best = &row;
    }
    return best;
}

int CostModel::shared_groups(Layouts::Kind kind) {
    const bool wide = columns_of(kind) >= 64;
    const SpmmRow* best = nullptr;
    auto rank = [&](const SpmmRow& row) {
        return wide ? std::make_tuple(row.tile_cols, row.shared_rows) : std::make_tuple(row.shared_rows, row.tile_cols);
    };
    for (const auto& registered : rows_of(&Table::spmm, isa_)) {
        const SpmmRow& row = *registered.row;
        if (row.type == operand_.type() && row.shared_rows > 0 && row.shared_rows <= structure().shared_rows &&
            operand_.outer() % row.shared_rows == 0 && (best == nullptr || rank(row) > rank(*best)))
            best = &row;
    }
    return best == nullptr ? 0 : best->shared_rows;
}

double CostModel::routed_cost(const RoutedRow& row, Layouts::Kind kind) {
    const double n = columns_of(kind), vectors = operand_.nnz() / row.lanes;
    const double registers = static_cast<double>(row.window) / row.lanes;
    const double permute = row.lanes == 4   ? 8
                           : row.lanes == 8 ? (n == 1 ? 2 * registers - 1 : 3 * registers)
                           : registers <= 1 ? 1
                           : registers <= 2 ? 1.5
                           : n == 1         ? 3
                                            : 4.2;
    // Sums of several columns and rows leave registers for one or two units: little hides the reading of their windows.
    const double each = n == 1 || row.block_rows == 1 ? 0.65 : row.block_rows == 2 ? 0.75 : 0.9;
    const double ports = vectors * each * (1 + permute / row.block_rows);
    const double bytes = operand_.nnz() * ((row.weights == Weights::bf16 ? 2 : 4) + 0.5 / row.block_rows);
    const double together = n < 4 ? 1 : 4;
    // Columns of x and y are contiguous in a batch-major product; otherwise they are transposed, the wider the
    // costlier.
    const double convert = kind == Layouts::batch || kind == Layouts::wide_batch ? 1.2
                           : kind == Layouts::packed_batch || n == 1             ? 0
                                                                                 : 0.6;
    return std::max(ports, streaming(bytes) / together) +
           convert * static_cast<double>(operand_.inner() + operand_.outer());
}

}  // namespace cs
