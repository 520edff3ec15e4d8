// SPDX-License-Identifier: BSD-3-Clause
// Steps of quantised layers: numbers of 8 bits that stand for scale * (q - zero_point).
#pragma once

#include <cstdint>

#include "net/steps.hpp"
#include "ops/requantize.hpp"

namespace cs {

struct Quantized {
    Type type;  // s8 or u8
    float scale;
    std::int32_t zero_point;
};
// Of n float32 numbers of a sample.
StepPointer quantize_step(const Quantized& y_is, std::int64_t n, int x, int y);
StepPointer dequantize_step(const Quantized& x_is, std::int64_t n, int x, int y);

// Not below `least`, nor above `most`.
StepPointer clip_step(Type type, std::int64_t n, std::int32_t least, std::int32_t most, int x, int y);

// In the type that sums are computed in, s32 or f32: planes of pixels, `inner` numbers each, with `value` around them.
struct Frayed {
    Type type, to;  // of x and y
    std::int64_t planes, rows, cols, inner;
    std::int64_t top, left, bottom, right;
    std::int32_t value;
};
StepPointer widen_step(const Frayed& of_sample, int x, int y);
// The values of winners alone.
StepPointer widen_winners_step(Type type, Type to, const WinnersAt& x, int y);

// What becomes of the sums of a sample: by the units where there are any, else numbers of 8 bits by `how`.
struct Outputs {
    Type type;
    RequantizeArgs how;
    Units units;
};
StepPointer outputs_step(const Outputs& of_sample, int sums, int y);

}  // namespace cs
