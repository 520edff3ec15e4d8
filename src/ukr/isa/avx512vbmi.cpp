// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level: bytes are permuted within registers and pairs of them.
#include "ukr/every_level.hpp"

namespace cs::ukr::CS_ISA {

extern const Table table;
constexpr Table table =
    with({}, table_rows(byte_windows_rows<16, ByteWindow<64>, ByteWindow<128>, ByteWindow<256>, ByteWindow<64, true>>));

}  // namespace cs::ukr::CS_ISA
