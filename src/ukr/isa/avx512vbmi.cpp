// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level: bytes are permuted within registers and pairs of them. Sums of
// planes become outputs in registers.
#include "ukr/every_level.hpp"

namespace cs::ukr::CS_ISA {

static constexpr PlanesRow planes_tiles[] = {quad_planes_row<1>,    quad_planes_row<2>,    quad_planes_row<4>,
                                             quad_planes_row<7>,    quad_planes_row<1, 4>, quad_planes_row<2, 4>,
                                             quad_planes_row<4, 4>, quad_planes_row<5, 4>, quad_planes_row<1, 8>,
                                             quad_planes_row<2, 8>, quad_planes_row<3, 8>};

extern const Table table;
constexpr Table table =
    with({}, table_rows(byte_windows_rows<16, ByteWindow<64>, ByteWindow<128>, ByteWindow<256>, ByteWindow<64, true>>),
         table_rows(planes_tiles));

}  // namespace cs::ukr::CS_ISA
