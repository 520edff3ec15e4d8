// SPDX-License-Identifier: BSD-3-Clause
// Contests of many short vectors, one in each lane.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// Longer vectors are faster one by one.
inline constexpr std::int64_t longest_in_lanes = 512;
inline constexpr std::int64_t longest_bytes_in_lanes = 64;
// Likewise where entries of a vector lie together and its winners are more than a list holds.
inline constexpr std::int64_t longest_searched = 128;

// The contest of kernels/contest.hpp for as many vectors as there are lanes, of longest_in_lanes entries at most.
// Entries i of all vectors stand side by side at x + i * stride. k <= n.
struct ContestLanesArgs {
    const void* x;
    std::int64_t stride, n, k;
    const void* bias;
    const void* boost;
    bool relu;
    std::int64_t vectors;  // that are written; x has all lanes
    void* keys;            // room for lanes times n, rounded up to most_winners
    void* values;          // k for each vector
    std::int32_t* indices;
    std::int64_t* counts;
};
using ContestLanesFunction = void (*)(ContestLanesArgs&);

struct ContestLanesRow {
    Type type;
    int lanes, most_winners;  // longest_in_lanes: any number, which are searched for
    ContestLanesFunction function;
};

}  // namespace cs
