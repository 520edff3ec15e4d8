// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/names.hpp"

#include "all_contracts.hpp"
#include "base/isa.hpp"

namespace cs {
namespace {

template <class Row>
void list(std::vector<MicroKernelInfo>& found, const char* kind, Rows<Row> Table::* rows) {
    for (const auto& registered : rows_of(rows, all_levels())) {
        const RowName row = row_name(*registered.row);
        if (row.op == nullptr) continue;
        const IsaLevel& level = isa_levels()[static_cast<std::size_t>(registered.isa)];
        found.push_back({joined_name(kind, row, registered.isa), row.types, row.op, level.name, row.layout,
                         row.tile_rows, row.tile_cols, level.supported});
    }
}

}  // namespace

std::string name_of(Types types) {
    std::string name = name_of(types.w);
    if (types != uniform(types.w)) name += std::string(name_of(types.x)) + name_of(types.y);
    return name;
}

std::string by(int rows, int cols) { return std::to_string(rows) + "x" + std::to_string(cols); }

std::string joined_name(const char* kind, const RowName& row, int isa) {
    return std::string(kind) + "_" + row.types + "_" + row.tile + (row.tile.empty() ? "" : "_") +
           isa_levels()[static_cast<std::size_t>(isa)].name;
}

std::vector<MicroKernelInfo> microkernels() {
    std::vector<MicroKernelInfo> found;
#define CS_KIND(stem, Row) list(found, #stem, &Table::stem);
#include "kinds.inc"
#undef CS_KIND
    return found;
}

}  // namespace cs
