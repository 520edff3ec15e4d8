// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level. One row is all it takes: choice, tests and benchmarks read the
// table.
#include "ukr/move.hpp"
#include "ukr/rows.hpp"
#include "ukr/sampled.hpp"
#include "ukr/spmm.hpp"

namespace cs::ukr::CS_ISA {

static constexpr SpmmRow spmm_rows[] = {
    {Type::f32, 16, spmm<float, 16, 1>},      {Type::f32, 32, spmm<float, 16, 2>},
    {Type::f64, 8, spmm<double, 8, 1>},       {Type::f64, 16, spmm<double, 8, 2>},
    {Type::i64, 8, spmm<std::int64_t, 8, 1>}, {Type::i64, 16, spmm<std::int64_t, 8, 2>},
};

static constexpr RowsRow rows_rows[] = {rows_row<float>, rows_row<double>, rows_row<std::int64_t>};

static constexpr SampledRow sampled_rows[] = {sampled_row<float>, sampled_row<double>, sampled_row<std::int64_t>};

static constexpr MoveRow move_rows[] = {move_row<float>, move_row<double>, move_row<std::int64_t>};

extern const Table table;
constexpr Table table{
    table_rows(spmm_rows), table_rows(rows_rows), {}, table_rows(sampled_rows), table_rows(move_rows)};

}  // namespace cs::ukr::CS_ISA
