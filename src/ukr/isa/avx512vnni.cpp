// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level: quads of 8-bit products are one instruction.
#include "ukr/every_level.hpp"

namespace cs::ukr::CS_ISA {

extern const Table table;
constexpr Table table = with({}, table_rows(columns_of_bytes));

}  // namespace cs::ukr::CS_ISA
