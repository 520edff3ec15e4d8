// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/names.hpp"

#include "api.hpp"
#include "base/isa.hpp"

namespace cs {
namespace {

std::string isa_name(int isa) { return isa_levels()[static_cast<std::size_t>(isa)].name; }

// op_type_tile_isa; some kinds have no tile to tell apart.
template <class Row>
std::string name(const char* op, const Registered<Row>& row, const std::string& tile = {}) {
    return std::string(op) + "_" + name_of(row.row->type) + "_" + tile + (tile.empty() ? "" : "_") + isa_name(row.isa);
}

std::string by(int rows, int cols) { return std::to_string(rows) + "x" + std::to_string(cols); }

}  // namespace

std::string name_of(const Registered<SpmmRow>& row) {
    const int shared = row.row->shared_rows, cols = row.row->tile_cols;
    return name("spmm", row, shared > 0 ? std::to_string(shared) + "sx" + std::to_string(cols) : by(group_rows, cols));
}

std::string name_of(const Registered<SpmvRow>& row) {
    const int windows = row.row->windows;
    return name("spmv", row, std::to_string(window_lanes) + (windows > 0 ? "w" + std::to_string(windows) : "g"));
}

std::string name_of(const Registered<RowsRow>& row) { return name("rows", row, by(1, row.row->tile_cols)); }

std::string name_of(const Registered<RoutedRow>& row) {
    const RoutedRow& r = *row.row;
    return name("routed", row,
                (r.weights == Weights::bf16 ? "bf16w_" : "") + std::to_string(r.lanes) + "of" +
                    std::to_string(r.window) + "_" + by(r.block_rows, r.tile_cols));
}

std::string name_of(const Registered<BlocksRow>& row) { return name("blocks", row, by(block_side, block_side)); }

std::string name_of(const Registered<StripsRow>& row) { return name("strips", row, by(strip_rows, strip_cols)); }

std::string name_of(const Registered<ColumnsRow>& row) { return name("columns", row, by(row.row->block_rows, 1)); }

std::vector<MicroKernelInfo> microkernels() {
    std::vector<MicroKernelInfo> found;
    const int all = static_cast<int>(isa_levels().size()) - 1;
    auto add = [&](std::string name, const char* op, const auto& registered, const char* layout, int rows, int cols) {
        const IsaLevel& level = isa_levels()[static_cast<std::size_t>(registered.isa)];
        found.push_back(
            {std::move(name), op, name_of(registered.row->type), level.name, layout, rows, cols, level.supported});
    };
    for (const auto& row : rows_of(&Table::spmm, all))
        add(name_of(row), "spmm", row, row.row->shared_rows > 0 ? "shared_row_groups" : "row_groups",
            row.row->shared_rows > 0 ? row.row->shared_rows : group_rows, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::rows, all)) add(name_of(row), "rows", row, "csr", 1, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::spmv, all)) add(name_of(row), "spmv", row, "windows", window_lanes, 1);
    for (const auto& row : rows_of(&Table::routed, all))
        add(name_of(row), "routed", row, "routed", row.row->lanes * row.row->block_rows, row.row->tile_cols);
    for (const auto& row : rows_of(&Table::blocks, all))
        add(name_of(row), "blocks", row, "blocks", block_side * rows_at_once, 1);
    for (const auto& row : rows_of(&Table::strips, all)) add(name_of(row), "strips", row, "strips", strip_rows, 1);
    for (const auto& row : rows_of(&Table::columns, all))
        add(name_of(row), "columns", row, "columns", row.row->block_rows, 1);
    for (const auto& row : rows_of(&Table::sampled, all)) add(name("sampled", row), "sampled", row, "csr", 1, 1);
    // The tile of kwta: vectors at once, winners at most (0: any number).
    for (const auto& row : rows_of(&Table::kwta, all)) add(name("kwta", row, "1"), "kwta", row, "vectors", 1, 0);
    for (const auto& row : rows_of(&Table::kwta_lanes, all))
        add(name("kwta", row, by(row.row->lanes, row.row->most_winners)), "kwta", row, "vectors", row.row->lanes,
            row.row->most_winners);
    return found;
}

}  // namespace cs
