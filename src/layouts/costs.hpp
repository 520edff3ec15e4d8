// SPDX-License-Identifier: BSD-3-Clause
// The constants of the cost model: cycles, measured and fitted (docs/developer/performance/cost_model.md).
// benchmarks/fit_costs.py measures them on the machine at hand.
#pragma once

#include <cstdint>
#include <vector>

namespace cs {

struct CostConstants {
    // Bytes a cycle of weights, from L2 and from beyond; the share of L2 that weights have beside x and y.
    double l2_bytes = 47, far_bytes = 23, l2_share = 1.1;
    // A product, whatever it is.
    double call = 33;
    // One column. Per vector of entries of strips and of squares; per entry of windows, by the windows of a tile, and
    // of gathered ones; per row, and per row where some are summed in pieces; per entry of stored rows, per entry of
    // long ones besides, and per row.
    double strips_vector = 2, squares_vector = 2.4;
    double windows_entry = 0.35, windows_three_entry = 0.42, gathered_entry = 0.63, windows_row = 1.2, cut_row = 4.4;
    double stored_entry = 1, stored_long = 1.6, stored_row = 1.4;
    // Row groups: a product; per entry and tile, and per entry and vector of it, by how many rows share their columns;
    // from L2 besides; a vector of sums to memory and back.
    double groups_call = 270, groups_entry = 0.38, groups_vector = 0.47, groups_far_vector = 0.19, groups_sum = 2.8;
    // What a permute that spreads a value takes beside the FMAs; bytes of the widest tile's rows. They decide which
    // tiles run, so nobody fits them.
    double groups_spread = 0, groups_tile_bytes = 256;
    double shared_entry = 0.23, shared_eights_vector = 0.3, shared_fours_vector = 0.36;
    // A vector of a row of x into a tile; of y out of a full one, and out of another besides; of either where x and y
    // come from beyond L2; an element of x or y where rows are not contiguous.
    double x_vector = 6.4, y_vector = 2.4, y_ragged_vector = 1, far_vector = 2.6, row_moved = 0.19;
    // Stored rows: per entry and per row and pass, a row whose end is unforeseen, per entry and vector, from L2
    // besides; a vector of a row's outputs.
    double stored_pass = 1.7, stored_row_pass = 0.4, stored_unforeseen = 8, stored_vector = 1;
    double stored_far_vector = 0.36, stored_output = 1;
    // Routed layers: per micro-operation of one column and of tiles, by the rows of a block; a step that waits for its
    // own sums; a unit; a column of x; to transpose a row of x or y.
    double routed_column = 0.17, routed_one = 0.38, routed_two = 0.32, routed_four = 0.51, routed_wait = 5.3;
    double routed_unit = 7.3, routed_each = 19, routed_row = 0.55;
    // Byte windows: a step, and each of its operations on a column; its places of four bits; a unit's sums of a column,
    // and each of them where rows are out of order; an element of a column that is moved where rows are contiguous.
    double byte_step = 1.5, byte_operation = 0.4, byte_unpacked = 0.9, byte_unit = 6, byte_scattered = 1.9;
    double byte_moved = 0.25;
    // Quads: a product; of a row's entry, its share of the loop's cycles for a group's, by where x comes from: shared
    // by the rows, from L1, from beyond; sixteen columns of a row of x into a tile and of y out of it; an element of
    // either where rows are not contiguous.
    double quads_call = 270, quads_shared = 0.95, quads_entry = 1.4, quads_far_entry = 2.4;
    double quads_in = 3, quads_out = 1, quad_moved = 0.33;
    // Chunks: one whose units are copied, for a strip of columns, and for each tile of it; one of neighbours, for a
    // tile; a block of sums, for a tile, and where the last tile is not full; bytes a cycle of weights from beyond L2.
    double chunk_copied = 46, copied_tile = 38, neighbours_tile = 30, block_tile = 43, ragged_block_tile = 43;
    double far_chunk_bytes = 16;
    // Of images, read anywhere: a chunk and a block of sums, for a tile.
    double image_chunk_tile = 45, image_block_tile = 25;
    // Winners: a vector; a line of sums, cleared and written; an output that is moved; to find a column, where its loop
    // ends unforeseen, where it comes from beyond L2; a unit of it, and each of its bytes; bytes a cycle from beyond
    // L2.
    double vector = 22, sums_line = 1.2, sum_moved = 0.19;
    double winner = 3.7, unforeseen = 8.3, far_winner = 4.6, unit = 1.4, unit_byte = 0.02, far_column_bytes = 20;
    // Written out: a line of zeros, a winner of one vector, one into a tile, one that is looked for among the columns
    // that own an entry.
    double zeros_line = 1.3, written_winner = 2.5, tiled_winner = 2.1, searched_winner = 60;
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

// The chance that two loops of these lengths, drawn at random, differ: what the processor does not foresee of their
// ends.
double chance_to_differ(const std::vector<std::int64_t>& lengths);

// Cycles to bring so many bytes of weights from where they stay between products.
double streaming_cost(double bytes);

}  // namespace cs
