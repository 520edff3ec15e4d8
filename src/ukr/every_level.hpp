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

}  // namespace cs::ukr::CS_ISA
