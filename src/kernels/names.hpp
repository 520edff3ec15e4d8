// SPDX-License-Identifier: BSD-3-Clause
// What micro-kernels are called: kind, types, tile and ISA level; and the list of all.
#pragma once

#include <string>
#include <vector>

#include "kernels/registry.hpp"

namespace cs {

// What a kind says of one of its rows.
struct RowName {
    const char* op;      // the operation; null: no operation of its own, not listed
    const char* layout;  // what it reads
    std::string types;   // as in name_of()
    std::string tile;    // what tells rows of a kind apart; may be empty
    int tile_rows, tile_cols;
};
#define CS_KIND(stem, Row) RowName row_name(const Row& row);
#include "kinds.inc"
#undef CS_KIND

// f32 where all three are, else the three of them.
std::string name_of(Types types);

std::string by(int rows, int cols);

// kind_types_tile_isa.
std::string joined_name(const char* kind, const RowName& row, int isa);
#define CS_KIND(stem, Row) \
    inline std::string name_of(const Registered<Row>& row) { return joined_name(#stem, row_name(*row.row), row.isa); }
#include "kinds.inc"
#undef CS_KIND

// For describe() and show_config().
struct MicroKernelInfo {
    std::string name, types;
    const char *op, *isa, *layout;
    int tile_rows, tile_cols;
    bool runnable;
};
std::vector<MicroKernelInfo> microkernels();

}  // namespace cs
