// SPDX-License-Identifier: BSD-3-Clause
// Units of 32 bits: four neighbouring columns of a matrix of 8-bit weights (quads), or two of one of bfloat16 (pairs).
#pragma once

#include <cstdint>

#include "layouts/layout.hpp"
#include "layouts/stored.hpp"

namespace cs {

inline constexpr std::int64_t quad_cols = 4, pair_cols = 2;

// The matrix of quads of a matrix of 8-bit weights, which refers to `owned`: quad q of a row holds columns 4 q to
// 4 q + 3, the first in the lowest byte, zero where there is no entry. O(entries).
StoredMatrix as_quads(const StoredMatrix& matrix, OwnedCsr& owned);

// Likewise of pairs, of the upper halves of a matrix of float32.
StoredMatrix as_pairs(const StoredMatrix& matrix, OwnedCsr& owned);
// Whether each pair owns an entry in both of its columns, as far as the matrix has both.
bool are_full(const StoredMatrix& pairs, const StoredMatrix& matrix);

// Of each row, what its sum begins with where activations are moved by 128 (tiles/units.hpp): -128 times the sum of its
// weights, modulo 2^32.
std::vector<std::int32_t> starts_of_moved(const StoredMatrix& matrix);

// Row groups of quads: every product of 8-bit numbers, for any batch.
std::optional<double> quads_cost(Subject& subject, const Request& request);
std::unique_ptr<const Choice> build_quads(Subject& subject, const Request& request);
inline constexpr LayoutKind quads_kind{"quads", quads_cost, build_quads};

}  // namespace cs
