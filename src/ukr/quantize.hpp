// SPDX-License-Identifier: BSD-3-Clause
// Real numbers as numbers of 8 bits.
#pragma once

#include <limits>

#include "kernels/requantize.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Divided in `Real`. Cut off before they are rounded: between bounds that are integers that is the same, and numbers
// are small. Then adding a number whose last place counts ones rounds to an integer. NaN is below the least.
template <class Out, class From, class Real>
void quantize(const QuantizeArgs& given) {
    constexpr int at_once = native<Real>;
    constexpr Real rounder = sizeof(Real) == sizeof(float) ? Real(0x1.8p23) : Real(0x1.8p52);
    using Outs = vec<Out, at_once>;
    using Reals = vec<Real, at_once>;
    const QuantizeArgs args = given;  // which no store may change
    const From* const from = static_cast<const From*>(args.from);
    Out* const to = static_cast<Out*>(args.to);
    const Reals scale = broadcast<Reals>(static_cast<Real>(args.scale));
    const Reals least = broadcast<Reals>(static_cast<Real>(std::numeric_limits<Out>::min() - args.zero_point));
    const Reals most = broadcast<Reals>(static_cast<Real>(std::numeric_limits<Out>::max() - args.zero_point));
    auto outputs = [&](const From* some) {
        const Reals units = __builtin_convertvector(load<vec<From, at_once>>(some), Reals) / scale;
        const Reals above = units > least ? units : least;
        const Reals within = above < most ? above : most;
        const auto ones = __builtin_convertvector((within + rounder) - rounder, vec<std::int32_t, at_once>);
        return __builtin_convertvector(ones + args.zero_point, Outs);
    };
    std::int64_t i = 0;
    for (; i + at_once <= args.n; i += at_once) store(to + i, outputs(from + i));
    if (i == args.n) return;
    const auto left = static_cast<std::size_t>(args.n - i);
    From some[at_once]{};
    std::memcpy(some, from + i, left * sizeof(From));
    const Outs last = outputs(some);
    std::memcpy(to + i, &last, left);
}

}  // namespace cs::ukr::CS_ISA
