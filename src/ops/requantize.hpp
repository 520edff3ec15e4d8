// SPDX-License-Identifier: BSD-3-Clause
// Sums of 8-bit products as outputs, on the threads that there are.
#pragma once

#include "tiles/requantizing_sink.hpp"

namespace cs {

// `out`: s8 or u8, that of args.to. On at most so many threads.
void requantize(const RequantizeArgs& args, Type out, int threads);

// Divided in float64, of finite numbers. `from`: f32 or f64; `out`: s8 or u8. On at most so many threads.
void quantize(const QuantizeArgs& numbers, Type from, Type out, int threads);

// For products and convolutions whose outputs are of this type.
Requantizing requantizing(const RequantizeArgs& how, Type out);

// Real numbers: (sum + bias) * unit of each feature, in float64, and rounded once, at least `least` and at most `most`.
struct Units {
    const double* units;
    double least, most;
};
// args.to: of `out`, f32, or s8 or u8, which have args.zero_point added behind the rounding, half to even. Of the rest
// of `args` all that tells of sums and their bias.
void real_outputs(const RequantizeArgs& args, const Units& units, Type out);

}  // namespace cs
