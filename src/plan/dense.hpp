// SPDX-License-Identifier: BSD-3-Clause
// Choices for dense activations: which kinds of layout could serve, and the one that was built.
#pragma once

#include <vector>

#include "layouts/matrix.hpp"

namespace cs {

struct Option {
    const LayoutKind* kind;
    double cost;  // cycles per column of x
    Types types;  // that it computes: those asked for, or float32 to which bfloat16 is widened
};

// By ascending cost. Under the matrix's lock.
std::vector<Option> dense_options(Subject& subject, Batch batch);

// The first option, or that with the number `candidate`. The first is built once and kept for all; another one is built
// for the asker. Takes the lock.
const Choice* dense_choice(const Matrix& matrix, Side side, Types types, Batch batch, int candidate = -1);

}  // namespace cs
