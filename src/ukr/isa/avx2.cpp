// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level, besides those that every level has. One row is all it takes:
// choice, tests and benchmarks read the table.
#include "ukr/every_level.hpp"
#include "ukr/quads.hpp"

namespace cs::ukr::CS_ISA {

static constexpr RowGroupsRow row_groups_tiles[] = {
    row_groups_row<float, 4, 1>,           row_groups_row<float, 8, 1>,           row_groups_row<float, 8, 2>,
    row_groups_row<double, 2, 1>,          row_groups_row<double, 4, 1>,          row_groups_row<double, 4, 2>,
    row_groups_row<std::int64_t, 4, 1>,    row_groups_row<std::int64_t, 4, 2>,    row_groups_row<float, 8, 1, 4, 2>,
    row_groups_row<float, 8, 1, 4>,        row_groups_row<float, 8, 2, 4>,        row_groups_row<double, 2, 1, 4>,
    row_groups_row<double, 4, 1, 4>,       row_groups_row<double, 4, 2, 4>,       row_groups_row<std::int64_t, 4, 1, 4>,
    row_groups_row<std::int64_t, 4, 2, 4>, row_groups_row<std::int32_t, 4, 1>,    row_groups_row<std::int32_t, 8, 1>,
    row_groups_row<std::int32_t, 8, 2>,    row_groups_row<std::int32_t, 8, 1, 4>, row_groups_row<std::int32_t, 8, 2, 4>,
    quads_row<std::uint8_t, 8, 1>,         quads_row<std::int8_t, 8, 1>,          quads_row<std::uint8_t, 8, 2>,
    quads_row<std::int8_t, 8, 2>,          quads_row<std::uint8_t, 8, 1, 4>,      quads_row<std::int8_t, 8, 1, 4>,
    quads_row<std::uint8_t, 8, 2, 4>,      quads_row<std::int8_t, 8, 2, 4>,
};

static constexpr WindowsRow windows_tiles[] = {
    windows_row<float, 0>,  windows_row<float, 3>,        windows_row<float, 2>,
    windows_row<double, 0>, windows_row<std::int64_t, 0>, windows_row<std::int32_t, 0>,
};

static constexpr RoutedRow routed_tiles[] = {
    routed_row<Weights::as_computed, 8, 8, 1, 1>,  routed_row<Weights::as_computed, 8, 8, 1, 3>,
    routed_row<Weights::as_computed, 8, 8, 1, 4>,  routed_row<Weights::as_computed, 8, 8, 4, 1>,
    routed_row<Weights::as_computed, 8, 8, 4, 3>,  routed_row<Weights::as_computed, 8, 8, 4, 4>,
    routed_row<Weights::as_computed, 8, 16, 1, 1>, routed_row<Weights::as_computed, 8, 16, 1, 3>,
    routed_row<Weights::as_computed, 8, 16, 1, 4>, routed_row<Weights::as_computed, 8, 16, 4, 1>,
    routed_row<Weights::as_computed, 8, 16, 4, 3>, routed_row<Weights::as_computed, 8, 16, 4, 4>,
    routed_row<Weights::as_computed, 8, 32, 1, 1>, routed_row<Weights::as_computed, 8, 32, 1, 4>,
    routed_row<Weights::as_computed, 8, 32, 4, 1>, routed_row<Weights::as_computed, 8, 32, 4, 4>,
    routed_row<Weights::bf16, 8, 8, 1, 1>,         routed_row<Weights::bf16, 8, 8, 4, 1>,
    routed_row<Weights::bf16, 8, 16, 1, 1>,        routed_row<Weights::bf16, 8, 16, 4, 1>,
    routed_row<Weights::bf16, 8, 32, 1, 1>,        routed_row<Weights::bf16, 8, 32, 4, 1>,
};

extern const Table table;
constexpr Table table =
    with(every_level(), table_rows(row_groups_tiles), table_rows(windows_tiles), table_rows(routed_tiles),
         table_rows(byte_windows_rows<8, ByteWindow<32>, ByteWindow<64>>));

}  // namespace cs::ukr::CS_ISA
