// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level: tile registers.
#include "ukr/every_level.hpp"
#include "ukr/interleave_pairs.hpp"

namespace cs::ukr::CS_ISA {

static constexpr ChunksRow chunks_rows[] = {
    chunks_row<std::uint8_t>,
    chunks_row<std::int8_t>,
    chunks_row<Bfloat16>,
};

extern const Table table;
constexpr Table table = with({}, table_rows(chunks_rows), table_rows(interleave_of_pairs));

}  // namespace cs::ukr::CS_ISA
