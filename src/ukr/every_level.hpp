// SPDX-License-Identifier: BSD-3-Clause
// All loops, and the table of a level with vectors of its own before it lists its own tiles.
#pragma once

#include "all_loops.hpp"
#include "ukr/levels.hpp"

namespace cs::ukr::CS_ISA {

constexpr Table every_level() {
    Table table;
#define CS_KIND(stem, Row) table.stem = EveryLevel<Row>::rows;
#include "kinds.inc"
#undef CS_KIND
    return table;
}

// A table with other rows of some kinds: which ones, their type says.
#define CS_KIND(stem, Row) \
    constexpr void set_rows(Table& table, Rows<Row> rows) { table.stem = rows; }
#include "kinds.inc"
#undef CS_KIND

template <class... Row>
constexpr Table with(Table table, Rows<Row>... rows) {
    (set_rows(table, rows), ...);
    return table;
}

}  // namespace cs::ukr::CS_ISA
