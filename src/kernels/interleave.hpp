// SPDX-License-Identifier: BSD-3-Clause
// Interleaving: rows of 8-bit numbers become rows of quads, of which four are one.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// Byte b of to[q * width + c] is from[(4 * q + b) * stride + c] ^ flip, for c in [0, cols) and 4 * q + b in [0, rows);
// other bytes are zero.
struct InterleaveArgs {
    const std::uint8_t* from;
    std::uint32_t* to;
    std::int64_t rows, cols, stride, width;
    std::uint8_t flip;
};
using InterleaveFunction = void (*)(const InterleaveArgs&);

struct InterleaveRow {
    Type type;  // of the numbers
    InterleaveFunction function;
};

}  // namespace cs
