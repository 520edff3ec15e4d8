// SPDX-License-Identifier: BSD-3-Clause
// Products at the places of a pattern.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// out[i] = sum over r < depth of p[r] * q[columns[i] * depth + r]
struct SampledArgs {
    const void* p;
    const void* q;
    const std::int32_t* columns;
    std::int64_t n_columns, depth;
    void* out;
};
using SampledFunction = void (*)(const SampledArgs&);

struct SampledRow {
    Types types;
    SampledFunction function;
};

}  // namespace cs
