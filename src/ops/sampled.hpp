// SPDX-License-Identifier: BSD-3-Clause
// Products at the places of a pattern.
#pragma once

#include "base/views.hpp"

namespace cs {

// out[i] = sum over r of p(row, r) * q(r, column) for the i-th stored entry. p is (rows, R), q (R, cols), all in the
// pattern's type.
void sampled_multiply(const StoredMatrix& pattern, const DenseView& p, const DenseView& q, void* out);

}  // namespace cs
