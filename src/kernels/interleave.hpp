// SPDX-License-Identifier: BSD-3-Clause
// Interleaving: rows of numbers become rows of units of 32 bits. Four of 8-bit numbers are a quad, two of bfloat16 a
// pair.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

inline constexpr std::int64_t unit_bytes = 4;

// Number b of to[q * width + c], the lowest first, is from[(n * q + b) * stride + c], for c in [0, cols) and n * q + b
// in [0, rows), where n numbers are a unit; others are zero. Bytes are flipped in the bits of `flip`.
struct InterleaveArgs {
    const void* from;
    std::uint32_t* to;
    std::int64_t rows, cols, stride, width;
    std::uint8_t flip;
};
using InterleaveFunction = void (*)(const InterleaveArgs&);

struct InterleaveRow {
    Type type;  // of the numbers; u8 for signed ones too
    InterleaveFunction function;
};

}  // namespace cs
