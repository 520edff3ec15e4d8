// SPDX-License-Identifier: BSD-3-Clause
// Products whose outputs compete as soon as they are there: only strips of y are ever in memory.
#pragma once

#include "ops/contest.hpp"
#include "plan/plan.hpp"

namespace cs {

// Of n vectors those whose outputs are in memory together: what the plan is made for.
std::int64_t strip_of(std::int64_t n, std::int64_t outputs, Type type);

// The winners of each vector of epilogue(W x), as compete() writes them. Of operands.y only the sizes are read, of the
// contest all but x. Throws only std::bad_alloc, before anything is written.
void multiply_and_compete(const Plan& plan, const Operands& operands, const Contest& contest, void* values,
                          std::int32_t* indices, std::int64_t* starts);

}  // namespace cs
