// SPDX-License-Identifier: BSD-3-Clause
// The micro-kernels that are new at this ISA level, besides those that every level has. One row is all it takes:
// choice, tests and benchmarks read the table.
#include "ukr/every_level.hpp"
#include "ukr/routed.hpp"
#include "ukr/row_groups.hpp"
#include "ukr/windows.hpp"

namespace cs::ukr::CS_ISA {

static constexpr SpmmRow spmm_rows[] = {
    spmm_row<float, 4, 1>,     spmm_row<float, 4, 2>,           spmm_row<double, 2, 1>,
    spmm_row<double, 2, 2>,    spmm_row<std::int64_t, 2, 1>,    spmm_row<std::int64_t, 2, 2>,
    spmm_row<float, 4, 1, 4>,  spmm_row<float, 4, 2, 4>,        spmm_row<double, 2, 1, 4>,
    spmm_row<double, 2, 2, 4>, spmm_row<std::int64_t, 2, 1, 4>, spmm_row<std::int64_t, 2, 2, 4>,
};

static constexpr SpmvRow spmv_rows[] = {
    spmv_row<float, 0>,
    spmv_row<double, 0>,
    spmv_row<std::int64_t, 0>,
};

static constexpr RoutedRow routed_rows[] = {
    routed_row<Weights::as_computed, 4, 64, 1, 1>,
};

extern const Table table;
constexpr Table table = table_with(table_rows(spmm_rows), table_rows(spmv_rows), table_rows(routed_rows));

}  // namespace cs::ukr::CS_ISA
