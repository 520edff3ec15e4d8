// SPDX-License-Identifier: BSD-3-Clause
// Contests: the k winners of a vector.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// Where the last contest was decided: the next one looks there first. Never more than a guess.
struct ContestHint {
    std::int64_t threshold = 0;  // a key
    std::uint64_t spread = 0;    // look this far to either side; 0: there was none
};

// The k largest of x[i] + bias[i], ranked by (x[i] + bias[i]) * boost[i], equal ones by their place; NaN comes last.
// relu drops those that are not above zero afterwards. 8-bit integers take neither bias nor boost, other integers no
// boost.
struct ContestArgs {
    const void* x;  // contiguous
    std::int64_t n, k;
    const void* bias;   // n entries, or none
    const void* boost;  // likewise
    bool relu;
    // Room for n keys (32 bits, 64 for 64-bit types) and a cache line, twice; for n sums and a cache line, with a bias.
    void* keys;
    void* candidates;
    void* sums;
    std::int64_t wanted_candidates;  // what the hint's spread should come to
    ContestHint* hint;
    void* values;  // room for k
    std::int32_t* indices;
    std::int64_t count;  // how many it wrote
};
using ContestFunction = void (*)(ContestArgs&);

struct ContestRow {
    Type type;
    ContestFunction function;
    std::int64_t in_register = 0;  // vectors of so many entries at most are faster one by one than in lanes
};

}  // namespace cs
