// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level. One row is all it takes: choice, tests and benchmarks read the
// table.
#include "ukr/blocks.hpp"
#include "ukr/columns.hpp"
#include "ukr/kwta.hpp"
#include "ukr/kwta_lanes.hpp"
#include "ukr/move.hpp"
#include "ukr/routed.hpp"
#include "ukr/rows.hpp"
#include "ukr/sampled.hpp"
#include "ukr/spmm.hpp"
#include "ukr/strips.hpp"

namespace cs::ukr::CS_ISA {

static constexpr SpmmRow spmm_rows[] = {
    spmm_row<float, 16, 1>,          spmm_row<float, 16, 2>,    spmm_row<float, 16, 4>,
    spmm_row<double, 8, 1>,          spmm_row<double, 8, 2>,    spmm_row<std::int64_t, 8, 1>,
    spmm_row<std::int64_t, 8, 2>,    spmm_row<float, 16, 1, 4>, spmm_row<float, 16, 2, 4>,
    spmm_row<float, 16, 4, 4>,       spmm_row<float, 16, 1, 8>, spmm_row<float, 16, 2, 8>,
    spmm_row<double, 8, 1, 4>,       spmm_row<double, 8, 2, 4>, spmm_row<std::int64_t, 8, 1, 4>,
    spmm_row<std::int64_t, 8, 2, 4>,
};

static constexpr RowsRow rows_rows[] = {rows_row<float>, rows_row<double>, rows_row<std::int64_t>};

static constexpr RoutedRow routed_rows[] = {
    routed_row<Weights::as_computed, 16, 16, 1, 1>, routed_row<Weights::as_computed, 16, 16, 1, 4>,
    routed_row<Weights::as_computed, 16, 16, 1, 8>, routed_row<Weights::as_computed, 16, 16, 2, 1>,
    routed_row<Weights::as_computed, 16, 16, 2, 4>, routed_row<Weights::as_computed, 16, 16, 4, 1>,
    routed_row<Weights::as_computed, 16, 16, 4, 4>, routed_row<Weights::as_computed, 16, 32, 1, 1>,
    routed_row<Weights::as_computed, 16, 32, 1, 4>, routed_row<Weights::as_computed, 16, 32, 2, 1>,
    routed_row<Weights::as_computed, 16, 32, 2, 4>, routed_row<Weights::as_computed, 16, 32, 4, 1>,
    routed_row<Weights::as_computed, 16, 32, 4, 4>, routed_row<Weights::as_computed, 16, 64, 1, 1>,
    routed_row<Weights::as_computed, 16, 64, 1, 2>, routed_row<Weights::as_computed, 16, 64, 4, 1>,
    routed_row<Weights::as_computed, 16, 64, 4, 2>, routed_row<Weights::bf16, 16, 16, 1, 1>,
    routed_row<Weights::bf16, 16, 16, 1, 4>,        routed_row<Weights::bf16, 16, 16, 4, 1>,
    routed_row<Weights::bf16, 16, 16, 4, 4>,        routed_row<Weights::bf16, 16, 32, 1, 1>,
    routed_row<Weights::bf16, 16, 32, 1, 4>,        routed_row<Weights::bf16, 16, 32, 4, 1>,
    routed_row<Weights::bf16, 16, 32, 4, 4>,
};

static constexpr BlocksRow blocks_rows[] = {blocks_row<16>};

static constexpr StripsRow strips_rows[] = {strips_row<float, 16>, strips_row<double, 8>};

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
    kwta_lanes_row<float, 4>,        kwta_lanes_row<float, 8>,         kwta_lanes_row<float, 16>,
    kwta_lanes_row<double, 8>,       kwta_lanes_row<double, 16>,       kwta_lanes_row<std::int8_t, 8>,
    kwta_lanes_row<std::int8_t, 16>, kwta_lanes_row<std::uint8_t, 8>,  kwta_lanes_row<std::uint8_t, 16>,
    kwta_lanes_row<std::int32_t, 8>, kwta_lanes_row<std::int32_t, 16>, kwta_lanes_row<std::int64_t, 8>,
    kwta_lanes_row<std::int64_t, 16>};

extern const Table table;
constexpr Table table{table_rows(spmm_rows),    table_rows(rows_rows),      {},
                      table_rows(routed_rows),  table_rows(blocks_rows),    table_rows(strips_rows),
                      table_rows(columns_rows), table_rows(sampled_rows),   table_rows(move_rows),
                      table_rows(kwta_rows),    table_rows(kwta_lanes_rows)};

}  // namespace cs::ukr::CS_ISA
