// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level, besides those that every level has. One row is all it takes:
// choice, tests and benchmarks read the table.
#include "ukr/every_level.hpp"
#include "ukr/quads.hpp"

namespace cs::ukr::CS_ISA {

static constexpr RowGroupsRow row_groups_tiles[] = {
    row_groups_row<float, 4, 1>,           row_groups_row<float, 4, 2>,           row_groups_row<double, 2, 1>,
    row_groups_row<double, 2, 2>,          row_groups_row<std::int64_t, 2, 1>,    row_groups_row<std::int64_t, 2, 2>,
    row_groups_row<float, 4, 1, 4>,        row_groups_row<float, 4, 2, 4>,        row_groups_row<double, 2, 1, 4>,
    row_groups_row<double, 2, 2, 4>,       row_groups_row<std::int64_t, 2, 1, 4>, row_groups_row<std::int64_t, 2, 2, 4>,
    row_groups_row<std::int32_t, 4, 1>,    row_groups_row<std::int32_t, 4, 2>,    row_groups_row<std::int32_t, 4, 1, 4>,
    row_groups_row<std::int32_t, 4, 2, 4>, quads_row<std::uint8_t, 4, 1>,         quads_row<std::int8_t, 4, 1>,
    quads_row<std::uint8_t, 4, 2>,         quads_row<std::int8_t, 4, 2>,          quads_row<std::uint8_t, 4, 1, 4>,
    quads_row<std::int8_t, 4, 1, 4>,       quads_row<std::uint8_t, 4, 2, 4>,      quads_row<std::int8_t, 4, 2, 4>,
};

static constexpr WindowsRow windows_tiles[] = {
    windows_row<float, 0>,
    windows_row<double, 0>,
    windows_row<std::int64_t, 0>,
    windows_row<std::int32_t, 0>,
};

static constexpr RoutedRow routed_tiles[] = {
    routed_row<Weights::as_computed, 4, 64, 1, 1>,
};

extern const Table table;
constexpr Table table =
    with(every_level(), table_rows(row_groups_tiles), table_rows(windows_tiles), table_rows(routed_tiles));

}  // namespace cs::ukr::CS_ISA
