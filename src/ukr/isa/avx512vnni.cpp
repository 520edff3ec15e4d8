// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level: quads of 8-bit products are one instruction.
#include "ukr/every_level.hpp"
#include "ukr/quads.hpp"

namespace cs::ukr::CS_ISA {

static constexpr RowGroupsRow row_groups_tiles[] = {
    quads_row<std::uint8_t, 16, 1>,    quads_row<std::int8_t, 16, 1>,     quads_row<std::uint8_t, 16, 2>,
    quads_row<std::int8_t, 16, 2>,     quads_row<std::uint8_t, 16, 4>,    quads_row<std::int8_t, 16, 4>,
    quads_row<std::uint8_t, 16, 1, 4>, quads_row<std::int8_t, 16, 1, 4>,  quads_row<std::uint8_t, 16, 2, 4>,
    quads_row<std::int8_t, 16, 2, 4>,  quads_row<std::uint8_t, 16, 4, 4>, quads_row<std::int8_t, 16, 4, 4>,
    quads_row<std::uint8_t, 16, 1, 8>, quads_row<std::int8_t, 16, 1, 8>,  quads_row<std::uint8_t, 16, 2, 8>,
    quads_row<std::int8_t, 16, 2, 8>,
};

static constexpr PlanesRow planes_tiles[] = {quad_planes_row<1>,    quad_planes_row<2>,    quad_planes_row<4>,
                                             quad_planes_row<7>,    quad_planes_row<1, 4>, quad_planes_row<2, 4>,
                                             quad_planes_row<4, 4>, quad_planes_row<5, 4>, quad_planes_row<1, 8>,
                                             quad_planes_row<2, 8>, quad_planes_row<3, 8>};

extern const Table table;
constexpr Table table =
    with({}, table_rows(row_groups_tiles), table_rows(planes_tiles), table_rows(quad_lanes_rows),
         table_rows(byte_windows_rows<16, ByteWindow<32>, ByteWindow<64>>), table_rows(columns_of_bytes));

}  // namespace cs::ukr::CS_ISA
