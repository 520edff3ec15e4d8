// SPDX-License-Identifier: BSD-3-Clause
// k-winners-take-all for batches of vectors: which micro-kernel, in which pieces, on which threads.
#pragma once

#include <cstdint>

#include "base/views.hpp"
#include "kernels/contest.hpp"

namespace cs {

struct Contest {
    VectorsView x;
    Type type;
    std::int64_t k;     // at most n
    const void* bias;   // n contiguous entries, or none
    const void* boost;  // likewise
    bool relu;
};

// Writes the winners of vector v to values and indices from starts[v] on, and the starts, one more than vectors. There
// is room for k per vector. `hint` may be null. Throws only std::bad_alloc, before anything is written.
void compete(const Contest& contest, ContestHint* hint, void* values, std::int32_t* indices, std::int64_t* starts);

// In two steps, for those who have threads and memory of their own. First the contests of some vectors, on the calling
// thread: vector v has counts[v] winners, with room for k each. Then, of all vectors together, no room between them.
std::int64_t contest_scratch_bytes(const Contest& contest);
void compete_in(unsigned char* scratch, const Contest& contest, void* values, std::int32_t* indices,
                std::int64_t* counts);
// The counts begin at starts[1].
void join_winners(const Contest& contest, std::int64_t vectors, void* values, std::int32_t* indices,
                  std::int64_t* starts);

// For loops in C: a contest bound to its arrays and its hint. Each call takes the next of the outer vectors.
struct BoundContest {
    Contest contest;
    ContestHint hint;
    bool warm;  // keep the hint from call to call
    std::int64_t turn;
    void* values;
    std::int32_t* indices;
    std::int64_t* starts;
};
void run_bound_contest(void* bound);

}  // namespace cs
