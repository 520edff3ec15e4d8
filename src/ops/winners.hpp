// SPDX-License-Identifier: BSD-3-Clause
// Winners and dense arrays: from one to the other.
#pragma once

#include <cstdint>
#include <vector>

#include "base/views.hpp"

namespace cs {

// Writes winners of value_bytes (1, 2, 4 or 8) each into an array of zeros of shape (vectors / inner, n, inner).
void expand(const WinnersView& winners, int value_bytes, void* dense, std::int64_t inner);

// The entries of dense vectors whose magnitude is not at most `limit`, NaN among them. First which they are, as bits,
// and where the entries of each vector start (one start more than there are vectors); then the entries. What the bits
// say holds, also if somebody changes the array meanwhile.
std::vector<std::uint64_t> mark(const VectorsView& x, Type type, double limit, std::int64_t* starts);
void collect(const VectorsView& x, int value_bytes, const std::vector<std::uint64_t>& marks, const std::int64_t* starts,
             void* values, std::int32_t* indices);

}  // namespace cs
