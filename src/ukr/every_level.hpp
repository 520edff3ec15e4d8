// SPDX-License-Identifier: BSD-3-Clause
// The rows that all levels with vectors of their own have: the same loops, on the level's vectors. A micro-kernel for
// all levels is a row here; kinds whose rows differ from level to level are the arguments of table_with.
#pragma once

#include "ukr/squares.hpp"
#include "ukr/columns.hpp"
#include "ukr/contest.hpp"
#include "ukr/contest_lanes.hpp"
#include "ukr/move.hpp"
#include "ukr/stored_rows.hpp"
#include "ukr/sampled.hpp"
#include "ukr/strips.hpp"

namespace cs::ukr::CS_ISA {

static constexpr RowsRow rows_rows[] = {rows_row<float>, rows_row<double>, rows_row<std::int64_t>};

static constexpr BlocksRow blocks_rows[] = {blocks_row<native<float>>};

static constexpr StripsRow strips_rows[] = {strips_row<float, native<float>>, strips_row<double, native<double>>};

static constexpr ColumnsRow columns_rows[] = {
    columns_row<float, 1>,        columns_row<float, 2>,        columns_row<float, 4>,
    columns_row<float, 8>,        columns_row<float, 16>,       columns_row<double, 1>,
    columns_row<double, 2>,       columns_row<double, 4>,       columns_row<double, 8>,
    columns_row<double, 16>,      columns_row<std::int64_t, 1>, columns_row<std::int64_t, 2>,
    columns_row<std::int64_t, 4>, columns_row<std::int64_t, 8>, columns_row<std::int64_t, 16>,
};

static constexpr SampledRow sampled_rows[] = {sampled_row<float>, sampled_row<double>, sampled_row<std::int64_t>};

static constexpr MoveRow move_rows[] = {move_row<float>, move_row<double>, move_row<std::int64_t>};

static constexpr KwtaRow kwta_rows[] = {
    kwta_row<float>,        kwta_row<double>,       kwta_row<std::int8_t>,
    kwta_row<std::uint8_t>, kwta_row<std::int32_t>, kwta_row<std::int64_t>,
};

static constexpr KwtaLanesRow kwta_lanes_rows[] = {
    kwta_lanes_row<float, 4>,         kwta_lanes_row<float, 8>,         kwta_lanes_row<float, 16>,
    kwta_lanes_row<double, 8>,        kwta_lanes_row<double, 16>,       kwta_lanes_row<std::int8_t, 8>,
    kwta_lanes_row<std::int8_t, 16>,  kwta_lanes_row<std::uint8_t, 8>,  kwta_lanes_row<std::uint8_t, 16>,
    kwta_lanes_row<std::int32_t, 8>,  kwta_lanes_row<std::int32_t, 16>, kwta_lanes_row<std::int64_t, 8>,
    kwta_lanes_row<std::int64_t, 16>,
};

constexpr Table table_with(Rows<SpmmRow> spmm, Rows<SpmvRow> spmv, Rows<RoutedRow> routed) {
    return {spmm,
            table_rows(rows_rows),
            spmv,
            routed,
            table_rows(blocks_rows),
            table_rows(strips_rows),
            table_rows(columns_rows),
            table_rows(sampled_rows),
            table_rows(move_rows),
            table_rows(kwta_rows),
            table_rows(kwta_lanes_rows)};
}

}  // namespace cs::ukr::CS_ISA
