// SPDX-License-Identifier: BSD-3-Clause
// The constants of the cost model: cycles, measured and fitted (docs/developer/performance/cost_model.md).
// benchmarks/fit_costs.py measures them on the machine at hand.
#pragma once

#include <vector>

namespace cs {

struct CostConstants {
    // Bytes a cycle of weights, from L2 and from beyond; the share of L2 that weights have beside x and y.
    double l2_bytes = 32, far_bytes = 9, l2_share = 0.8;
    // One column. Per vector of entries of strips and of squares; per entry and per row of windows and of stored rows.
    double strips_vector = 1.2, squares_vector = 1.6;
    double windows_entry = 0.9, windows_row = 1;
    double stored_entry = 3, stored_row = 8;
    // Batches. Per vector step of row groups: of few columns and of many; of fours and eights that share their columns.
    double groups_few = 2.0, groups_many = 1.6;
    double shared_many = 0.75, shared_eights = 0.95, shared_fours = 1.3;
    // To bring a row of x or y through the workspace, or in place.
    double row_moved = 0.6, row_in_place = 0.1;
    // Per vector step of stored rows; entries per column of W up to which x is better read in place.
    double stored_vector = 1, stored_few = 8, stored_few_wide = 12;
    // Routed layers: per vector and port; to transpose a row of x or y of a batch, and of fewer columns.
    double routed_one = 0.65, routed_two = 0.75, routed_four = 0.9;
    double routed_batch_row = 1.2, routed_row = 0.6;
    // Winners: a line of sums, cleared and written; to find a column; a unit of it, and each of its bytes; bytes a
    // cycle of columns from beyond L2. Written out: a line of zeros, a winner.
    double sums_line = 2.5, winner = 4, unit = 1.8, unit_byte = 0.042, far_column_bytes = 6;
    double zeros_line = 2, written_winner = 4;
    // By how much the costs of dense kinds are off beside those of winners.
    double routed_far_beside = 0.75, windows_beside = 0.73, shared_beside = 0.73;
};

// Those in use. Plans that are made keep what they chose.
CostConstants& costs();

// By name, for whoever fits them while nobody plans.
struct CostField {
    const char* name;
    double CostConstants::* value;
};
const std::vector<CostField>& cost_fields();
inline double cost_value(const CostField& field) { return costs().*field.value; }
inline void set_cost_value(const CostField& field, double value) { costs().*field.value = value; }

// Cycles to bring so many bytes of weights from where they stay between products.
double streaming_cost(double bytes);

}  // namespace cs
