// SPDX-License-Identifier: BSD-3-Clause
// The rows that every level with vectors of its own has: the same loops, on the level's vectors. The file of a loop
// lists them; tiles that differ from level to level are listed in the levels' own files.
#pragma once

#include "kernels/table.hpp"

#ifndef CS_ISA
#error "CS_ISA names the ISA level that this translation unit is compiled for"
#endif

namespace cs::ukr::CS_ISA {

// None, unless a loop's file says otherwise.
template <class Row>
struct EveryLevel {
    static constexpr Rows<Row> rows{};
};

}  // namespace cs::ukr::CS_ISA
