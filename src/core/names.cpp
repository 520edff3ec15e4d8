// SPDX-License-Identifier: BSD-3-Clause
#include "core/names.hpp"

#include "core/api.hpp"
#include "core/isa.hpp"

namespace cs {
namespace {

std::string isa_name(int isa) { return isa_levels()[static_cast<std::size_t>(isa)].name; }

}  // namespace

std::string name_of(const Registered<SpmmRow>& row) {
    const int shared = row.row->shared_rows;
    return std::string("spmm_") + name_of(row.row->type) + "_" + std::to_string(shared > 0 ? shared : group_rows) +
           (shared > 0 ? "s" : "") + "x" + std::to_string(row.row->tile_cols) + "_" + isa_name(row.isa);
}

std::string name_of(const Registered<SpmvRow>& row) {
    return std::string("spmv_") + name_of(row.row->type) + "_" + std::to_string(window_lanes) +
           (row.row->windows > 0 ? "w" + std::to_string(row.row->windows) : std::string("g")) + "_" + isa_name(row.isa);
}

std::string name_of(const Registered<RowsRow>& row) {
    return std::string("rows_") + name_of(row.row->type) + "_1x" + std::to_string(row.row->tile_cols) + "_" +
           isa_name(row.isa);
}

std::string name_of(const Registered<RoutedRow>& row) {
    const RoutedRow& r = *row.row;
    return std::string("routed_") + name_of(r.type) + (r.weights == Weights::bf16 ? "_bf16w" : "") + "_" +
           std::to_string(r.lanes) + "of" + std::to_string(r.window) + "_" + std::to_string(r.block_rows) + "x" +
           std::to_string(r.tile_cols) + "_" + isa_name(row.isa);
}

std::string name_of(const Registered<BlocksRow>& row) {
    return std::string("blocks_") + name_of(row.row->type) + "_" + std::to_string(block_side) + "x" +
           std::to_string(block_side) + "_" + isa_name(row.isa);
}

std::string name_of(const Registered<StripsRow>& row) {
    return std::string("strips_") + name_of(row.row->type) + "_" + std::to_string(strip_rows) + "x" +
           std::to_string(strip_cols) + "_" + isa_name(row.isa);
}

std::string name_of(const Registered<ColumnsRow>& row) {
    return std::string("columns_") + name_of(row.row->type) + "_" + std::to_string(row.row->block_rows) + "x1_" +
           isa_name(row.isa);
}

std::vector<MicroKernelInfo> microkernels() {
    std::vector<MicroKernelInfo> found;
    const int all = static_cast<int>(isa_levels().size()) - 1;
    auto add_typed = [&](std::string name, const char* op, const char* type, int isa, const char* layout, int rows,
                         int cols) {
        const IsaLevel& level = isa_levels()[static_cast<std::size_t>(isa)];
        found.push_back({std::move(name), op, type, level.name, layout, rows, cols, level.supported});
    };
    auto add = [&](std::string name, const char* op, Type type, int isa, const char* layout, int rows, int cols) {
        add_typed(std::move(name), op, name_of(type), isa, layout, rows, cols);
    };
    // The tile of kwta: vectors at once, winners at most (0: any number).
    auto add_kwta = [&](ValueType type, int isa, int vectors, int winners) {
        const char* const type_name = name_of(type);
        const std::string tile = std::to_string(vectors) + (winners > 0 ? "x" + std::to_string(winners) : "");
        add_typed(std::string("kwta_") + type_name + "_" + tile + "_" + isa_name(isa), "kwta", type_name, isa,
                  "vectors", vectors, winners);
    };
    for (const auto& row : rows_of(&Table::spmm, all))
        add(name_of(row), "spmm", row.row->type, row.isa, row.row->shared_rows > 0 ? "shared_row_groups" : "row_groups",
            row.row->shared_rows > 0 ? row.row->shared_rows : group_rows, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::rows, all))
        add(name_of(row), "rows", row.row->type, row.isa, "csr", 1, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::spmv, all))
        add(name_of(row), "spmv", row.row->type, row.isa, "windows", window_lanes, 1);
    for (const auto& row : rows_of(&Table::routed, all))
        add(name_of(row), "routed", row.row->type, row.isa, "routed", row.row->lanes * row.row->block_rows,
            row.row->tile_cols);
    for (const auto& row : rows_of(&Table::blocks, all))
        add(name_of(row), "blocks", row.row->type, row.isa, "blocks", block_side * rows_at_once, 1);
    for (const auto& row : rows_of(&Table::strips, all))
        add(name_of(row), "strips", row.row->type, row.isa, "strips", strip_rows, 1);
    for (const auto& row : rows_of(&Table::columns, all))
        add(name_of(row), "columns", row.row->type, row.isa, "columns", row.row->block_rows, 1);
    for (const auto& row : rows_of(&Table::sampled, all))
        add(std::string("sampled_") + name_of(row.row->type) + "_" + isa_name(row.isa), "sampled", row.row->type,
            row.isa, "csr", 1, 1);
    for (const auto& row : rows_of(&Table::kwta, all)) add_kwta(row.row->type, row.isa, 1, 0);
    for (const auto& row : rows_of(&Table::kwta_lanes, all))
        add_kwta(row.row->type, row.isa, row.row->lanes, row.row->most_winners);
    return found;
}

}  // namespace cs
