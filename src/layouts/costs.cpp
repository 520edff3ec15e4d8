// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/costs.hpp"

#include "base/caches.hpp"

namespace cs {

namespace {

CostConstants in_use;

const std::vector<CostField> fields = {

    {"l2_bytes", &CostConstants::l2_bytes},
    {"far_bytes", &CostConstants::far_bytes},
    {"l2_share", &CostConstants::l2_share},
    {"strips_vector", &CostConstants::strips_vector},
    {"squares_vector", &CostConstants::squares_vector},
    {"windows_entry", &CostConstants::windows_entry},
    {"windows_row", &CostConstants::windows_row},
    {"stored_entry", &CostConstants::stored_entry},
    {"stored_row", &CostConstants::stored_row},
    {"groups_few", &CostConstants::groups_few},
    {"groups_many", &CostConstants::groups_many},
    {"shared_many", &CostConstants::shared_many},
    {"shared_eights", &CostConstants::shared_eights},
    {"shared_fours", &CostConstants::shared_fours},
    {"row_moved", &CostConstants::row_moved},
    {"row_in_place", &CostConstants::row_in_place},
    {"stored_vector", &CostConstants::stored_vector},
    {"stored_few", &CostConstants::stored_few},
    {"stored_few_wide", &CostConstants::stored_few_wide},
    {"routed_one", &CostConstants::routed_one},
    {"routed_two", &CostConstants::routed_two},
    {"routed_four", &CostConstants::routed_four},
    {"routed_batch_row", &CostConstants::routed_batch_row},
    {"routed_row", &CostConstants::routed_row},
    {"sums_line", &CostConstants::sums_line},
    {"winner", &CostConstants::winner},
    {"unit", &CostConstants::unit},
    {"unit_byte", &CostConstants::unit_byte},
    {"far_column_bytes", &CostConstants::far_column_bytes},
    {"zeros_line", &CostConstants::zeros_line},
    {"written_winner", &CostConstants::written_winner},
    {"routed_far_beside", &CostConstants::routed_far_beside},
    {"windows_beside", &CostConstants::windows_beside},
    {"shared_beside", &CostConstants::shared_beside},
};
static_assert(sizeof(CostConstants) == 34 * sizeof(double), "a constant without a name for whoever fits it");

}  // namespace

CostConstants& costs() { return in_use; }

const std::vector<CostField>& cost_fields() { return fields; }

double streaming_cost(double bytes) {
    const CostConstants& c = costs();
    return bytes / (bytes > c.l2_share * static_cast<double>(cache_sizes().l2) ? c.far_bytes : c.l2_bytes);
}

}  // namespace cs
