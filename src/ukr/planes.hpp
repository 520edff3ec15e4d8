// SPDX-License-Identifier: BSD-3-Clause
// spmm on planes: the loop of row groups, on runs at offsets.
//
// Runs begin anywhere: a load that crosses a cache line costs two, so rows with columns of their own take about one
// and a half times the loads of aligned tiles. Where rows share their columns, a load serves all of them.
#pragma once

#include "kernels/planes.hpp"
#include "ukr/levels.hpp"
#include "ukr/quads.hpp"
#include "ukr/row_groups.hpp"

namespace cs::ukr::CS_ISA {

template <class T, int NV, int Shared = 0>
inline constexpr PlanesRow planes_row{uniform(type_of<T>), native<T>* NV, Shared,
                                      row_groups<T, native<T>, NV, Shared, 1, std::uint32_t>};

// Of quads of 8-bit numbers.
template <int NV, int Shared = 0>
inline constexpr PlanesRow quad_planes_row{
    Types{Type::s8, Type::u8, Type::s32}, native<std::int32_t>* NV, Shared,
    row_groups<std::int32_t, native<std::int32_t>, NV, Shared, 1, std::uint32_t, DotQuads>};

static constexpr PlanesRow planes_of_every_level[] = {
    planes_row<float, 1>,     planes_row<float, 2>,  planes_row<float, 1, 4>, planes_row<float, 2, 4>,
    planes_row<float, 1, 8>,  planes_row<double, 1>, planes_row<double, 2>,   planes_row<double, 1, 4>,
    planes_row<double, 2, 4>, quad_planes_row<1>,    quad_planes_row<2>,      quad_planes_row<1, 4>,
    quad_planes_row<2, 4>,
};
template <>
struct EveryLevel<PlanesRow> {
    static constexpr Rows<PlanesRow> rows = table_rows(planes_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
