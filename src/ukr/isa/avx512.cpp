// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level, besides those that every level has. One row is all it takes:
// choice, tests and benchmarks read the table.
#include "ukr/every_level.hpp"
#include "ukr/quads.hpp"

namespace cs::ukr::CS_ISA {

static constexpr RowGroupsRow row_groups_tiles[] = {
    row_groups_row<float, 16, 1>,
    row_groups_row<float, 16, 2>,
    row_groups_row<float, 16, 4>,
    row_groups_row<float, 4, 1, 0, 1, Values::broadcast>,
    row_groups_row<float, 8, 1, 0, 1, Values::broadcast>,
    row_groups_row<float, 16, 1, 0, 1, Values::broadcast>,
    row_groups_row<float, 16, 2, 0, 1, Values::broadcast>,
    row_groups_row<float, 16, 3, 0, 1, Values::broadcast>,
    row_groups_row<double, 8, 1>,
    row_groups_row<double, 8, 2>,
    row_groups_row<std::int64_t, 8, 1>,
    row_groups_row<std::int64_t, 8, 2>,
    row_groups_row<float, 16, 1, 4>,
    row_groups_row<float, 16, 2, 4>,
    row_groups_row<float, 16, 4, 4>,
    row_groups_row<float, 16, 1, 8>,
    row_groups_row<float, 16, 2, 8>,
    row_groups_row<double, 8, 1, 4>,
    row_groups_row<double, 8, 2, 4>,
    row_groups_row<std::int64_t, 8, 1, 4>,
    row_groups_row<std::int64_t, 8, 2, 4>,
    row_groups_row<float, 4, 1>,
    row_groups_row<float, 8, 1>,
    row_groups_row<float, 16, 1, 4, 4>,
    row_groups_row<float, 16, 1, 4, 2>,
    row_groups_row<float, 16, 1, 8, 4>,
    row_groups_row<float, 16, 1, 8, 2>,
    row_groups_row<std::int32_t, 16, 1>,
    row_groups_row<std::int32_t, 16, 2>,
    row_groups_row<std::int32_t, 16, 4>,
    row_groups_row<std::int32_t, 16, 1, 4>,
    row_groups_row<std::int32_t, 16, 2, 4>,
    row_groups_row<std::int32_t, 16, 4, 4>,
    quads_row<std::uint8_t, 16, 1>,
    quads_row<std::int8_t, 16, 1>,
    quads_row<std::uint8_t, 16, 2>,
    quads_row<std::int8_t, 16, 2>,
    quads_row<std::uint8_t, 16, 4>,
    quads_row<std::int8_t, 16, 4>,
    quads_row<std::uint8_t, 16, 1, 4>,
    quads_row<std::int8_t, 16, 1, 4>,
    quads_row<std::uint8_t, 16, 2, 4>,
    quads_row<std::int8_t, 16, 2, 4>,
    quads_row<std::uint8_t, 16, 4, 4>,
    quads_row<std::int8_t, 16, 4, 4>,
    quads_row<std::uint8_t, 16, 1, 8>,
    quads_row<std::int8_t, 16, 1, 8>,
    quads_row<std::uint8_t, 16, 2, 8>,
    quads_row<std::int8_t, 16, 2, 8>,
};

static constexpr RoutedRow routed_tiles[] = {
    routed_row<Weights::as_computed, 16, 16, 1, 1>, routed_row<Weights::as_computed, 16, 16, 1, 2>,
    routed_row<Weights::as_computed, 16, 16, 1, 3>, routed_row<Weights::as_computed, 16, 16, 1, 4>,
    routed_row<Weights::as_computed, 16, 16, 1, 7>, routed_row<Weights::as_computed, 16, 16, 1, 8>,
    routed_row<Weights::as_computed, 16, 16, 2, 1>, routed_row<Weights::as_computed, 16, 16, 2, 3>,
    routed_row<Weights::as_computed, 16, 16, 2, 4>, routed_row<Weights::as_computed, 16, 16, 4, 1>,
    routed_row<Weights::as_computed, 16, 16, 4, 3>, routed_row<Weights::as_computed, 16, 16, 4, 4>,
    routed_row<Weights::as_computed, 16, 32, 1, 1>, routed_row<Weights::as_computed, 16, 32, 1, 3>,
    routed_row<Weights::as_computed, 16, 32, 1, 4>, routed_row<Weights::as_computed, 16, 32, 2, 1>,
    routed_row<Weights::as_computed, 16, 32, 2, 3>, routed_row<Weights::as_computed, 16, 32, 2, 4>,
    routed_row<Weights::as_computed, 16, 32, 4, 1>, routed_row<Weights::as_computed, 16, 32, 4, 3>,
    routed_row<Weights::as_computed, 16, 32, 4, 4>, routed_row<Weights::as_computed, 16, 64, 1, 1>,
    routed_row<Weights::as_computed, 16, 64, 1, 2>, routed_row<Weights::as_computed, 16, 64, 4, 1>,
    routed_row<Weights::as_computed, 16, 64, 4, 2>, routed_row<Weights::bf16, 16, 16, 1, 1>,
    routed_row<Weights::bf16, 16, 16, 1, 4>,        routed_row<Weights::bf16, 16, 16, 4, 1>,
    routed_row<Weights::bf16, 16, 16, 4, 4>,        routed_row<Weights::bf16, 16, 32, 1, 1>,
    routed_row<Weights::bf16, 16, 32, 1, 4>,        routed_row<Weights::bf16, 16, 32, 4, 1>,
    routed_row<Weights::bf16, 16, 32, 4, 4>,
};

static constexpr PlanesRow planes_tiles[] = {
    planes_row<float, 1>,     planes_row<float, 2>,    planes_row<float, 4>,     planes_row<float, 7>,
    planes_row<float, 1, 4>,  planes_row<float, 2, 4>, planes_row<float, 4, 4>,  planes_row<float, 5, 4>,
    planes_row<float, 1, 8>,  planes_row<float, 2, 8>, planes_row<float, 3, 8>,  planes_row<double, 1>,
    planes_row<double, 2>,    planes_row<double, 4>,   planes_row<double, 1, 4>, planes_row<double, 2, 4>,
    planes_row<double, 5, 4>, quad_planes_row<1>,      quad_planes_row<2>,       quad_planes_row<4>,
    quad_planes_row<1, 4>,    quad_planes_row<2, 4>,   quad_planes_row<4, 4>,    quad_planes_row<1, 8>,
    quad_planes_row<2, 8>,    quad_planes_row<3, 8>,
};

extern const Table table;
constexpr Table table =
    with(every_level(), table_rows(row_groups_tiles), table_rows(routed_tiles), table_rows(planes_tiles));

}  // namespace cs::ukr::CS_ISA
