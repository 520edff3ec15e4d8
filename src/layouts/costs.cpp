// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/costs.hpp"

#include <algorithm>

#include "base/caches.hpp"
#include "base/sizes.hpp"

namespace cs {

namespace {

// The struct's own are fitted to AMD's CPUs; on Intel's what Granite Rapids' record moved away from them.
CostConstants of_this_maker() {
    CostConstants found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_is("intel")) {
        found.far_bytes = 20;
        found.l2_share = 0.89;
        found.windows_entry = 0.4;
        found.gathered_entry = 0.58;
        found.groups_entry = 0.5;
        found.groups_vector = 0.41;
        found.groups_far_vector = 0.14;
        found.groups_sum = 3.2;
        found.groups_spread = 0.5;  // permutes share a port with one of the two FMAs
        found.groups_tile_bytes = 128;
        found.shared_eights_vector = 0.26;
        found.x_vector = 7.9;
        found.y_ragged_vector = 0.77;
        found.far_vector = 3.5;
        found.stored_unforeseen = 9.1;
        found.stored_vector = 0.7;
        found.stored_output = 2.5;
        found.routed_two = 0.35;
        found.routed_row = 0.65;
        found.routed_unit = 8.3;
        found.routed_each = 16;
        found.byte_step = 2;
        found.byte_operation = 0.66;
        found.byte_unit = 1;
        found.byte_moved = 0.13;
        found.quads_call = 680;
        found.quads_shared = 0.85;
        found.quads_entry = 1.3;
        found.quads_far_entry = 2.2;
        found.quads_in = 1.8;
        found.quads_out = 0.8;
        found.unit = 0.77;
        found.image_chunk_tile = 90;
        found.image_block_tile = 81;
    }
#endif
    return found;
}

CostConstants in_use = of_this_maker();

const std::vector<CostField> fields = {
    {"l2_bytes", &CostConstants::l2_bytes},
    {"far_bytes", &CostConstants::far_bytes},
    {"l2_share", &CostConstants::l2_share},
    {"call", &CostConstants::call},
    {"strips_vector", &CostConstants::strips_vector},
    {"squares_vector", &CostConstants::squares_vector},
    {"windows_entry", &CostConstants::windows_entry},
    {"windows_three_entry", &CostConstants::windows_three_entry},
    {"gathered_entry", &CostConstants::gathered_entry},
    {"windows_row", &CostConstants::windows_row},
    {"cut_row", &CostConstants::cut_row},
    {"stored_entry", &CostConstants::stored_entry},
    {"stored_long", &CostConstants::stored_long},
    {"stored_row", &CostConstants::stored_row},
    {"groups_call", &CostConstants::groups_call},
    {"groups_entry", &CostConstants::groups_entry},
    {"groups_vector", &CostConstants::groups_vector},
    {"groups_far_vector", &CostConstants::groups_far_vector},
    {"groups_sum", &CostConstants::groups_sum},
    {"groups_spread", &CostConstants::groups_spread},
    {"groups_tile_bytes", &CostConstants::groups_tile_bytes},
    {"shared_entry", &CostConstants::shared_entry},
    {"shared_eights_vector", &CostConstants::shared_eights_vector},
    {"shared_fours_vector", &CostConstants::shared_fours_vector},
    {"x_vector", &CostConstants::x_vector},
    {"y_vector", &CostConstants::y_vector},
    {"y_ragged_vector", &CostConstants::y_ragged_vector},
    {"far_vector", &CostConstants::far_vector},
    {"row_moved", &CostConstants::row_moved},
    {"stored_pass", &CostConstants::stored_pass},
    {"stored_row_pass", &CostConstants::stored_row_pass},
    {"stored_unforeseen", &CostConstants::stored_unforeseen},
    {"stored_vector", &CostConstants::stored_vector},
    {"stored_far_vector", &CostConstants::stored_far_vector},
    {"stored_output", &CostConstants::stored_output},
    {"routed_column", &CostConstants::routed_column},
    {"routed_one", &CostConstants::routed_one},
    {"routed_two", &CostConstants::routed_two},
    {"routed_four", &CostConstants::routed_four},
    {"routed_wait", &CostConstants::routed_wait},
    {"routed_unit", &CostConstants::routed_unit},
    {"routed_each", &CostConstants::routed_each},
    {"routed_row", &CostConstants::routed_row},
    {"byte_step", &CostConstants::byte_step},
    {"byte_operation", &CostConstants::byte_operation},
    {"byte_unpacked", &CostConstants::byte_unpacked},
    {"byte_unit", &CostConstants::byte_unit},
    {"byte_scattered", &CostConstants::byte_scattered},
    {"byte_moved", &CostConstants::byte_moved},
    {"quads_call", &CostConstants::quads_call},
    {"quads_shared", &CostConstants::quads_shared},
    {"quads_entry", &CostConstants::quads_entry},
    {"quads_far_entry", &CostConstants::quads_far_entry},
    {"quads_in", &CostConstants::quads_in},
    {"quads_out", &CostConstants::quads_out},
    {"quad_moved", &CostConstants::quad_moved},
    {"chunk_copied", &CostConstants::chunk_copied},
    {"copied_tile", &CostConstants::copied_tile},
    {"neighbours_tile", &CostConstants::neighbours_tile},
    {"block_tile", &CostConstants::block_tile},
    {"ragged_block_tile", &CostConstants::ragged_block_tile},
    {"far_chunk_bytes", &CostConstants::far_chunk_bytes},
    {"image_chunk_tile", &CostConstants::image_chunk_tile},
    {"image_block_tile", &CostConstants::image_block_tile},
    {"vector", &CostConstants::vector},
    {"sums_line", &CostConstants::sums_line},
    {"sum_moved", &CostConstants::sum_moved},
    {"winner", &CostConstants::winner},
    {"unforeseen", &CostConstants::unforeseen},
    {"far_winner", &CostConstants::far_winner},
    {"unit", &CostConstants::unit},
    {"unit_byte", &CostConstants::unit_byte},
    {"far_column_bytes", &CostConstants::far_column_bytes},
    {"zeros_line", &CostConstants::zeros_line},
    {"written_winner", &CostConstants::written_winner},
    {"tiled_winner", &CostConstants::tiled_winner},
    {"searched_winner", &CostConstants::searched_winner},
};
static_assert(sizeof(CostConstants) == 77 * sizeof(double), "a constant without a name for whoever fits it");

}  // namespace

CostConstants& costs() { return in_use; }

const std::vector<CostField>& cost_fields() { return fields; }

double chance_to_differ(const std::vector<std::int64_t>& lengths) {
    if (lengths.empty()) return 0;
    std::vector<double> of_length(as_size(*std::max_element(lengths.begin(), lengths.end()) + 1));
    for (const std::int64_t length : lengths) ++of_length[as_size(length)];
    double same = 0;
    for (const double n : of_length) same += n * n;
    const auto n_loops = static_cast<double>(lengths.size());
    return 1 - same / (n_loops * n_loops);
}

double streaming_cost(double bytes) {
    const CostConstants& c = costs();
    return bytes / (bytes > c.l2_share * static_cast<double>(cache_sizes().l2) ? c.far_bytes : c.l2_bytes);
}

}  // namespace cs
