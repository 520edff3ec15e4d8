// SPDX-License-Identifier: BSD-3-Clause
// Quantising; and requantising, by the functions of arith.hpp: a multiplication of 64 bits and a shift for each output,
// which the compiler turns into lanes where the level has them.
#pragma once

#include <limits>

#include "complsparse/arith.hpp"
#include "kernels/requantize.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// `count` outputs that the compiler turns into lanes: loops of one width each, on arrays that are certainly apart.
template <bool by_column, class Sum>
CS_INLINE void requantize_some(const RequantizeArgs& args, const Sum* __restrict sums, std::int64_t feature,
                               std::int64_t count, std::int32_t* __restrict to) {
    namespace arith = complsparse::arith;
    const std::int32_t *const bias = args.bias + feature, *const multipliers = args.multipliers + feature,
                              *const shifts = args.shifts + feature;
    const std::int32_t zero_point = args.zero_point;
    const arith::Range<std::int32_t> range{args.least, args.most};
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t f = by_column ? i : 0;
        to[i] = arith::requantize(static_cast<std::int32_t>(sums[i]) + bias[f], {multipliers[f], shifts[f]}, zero_point,
                                  range);
    }
}

template <class Out, class Sum>
void requantize_sums(const RequantizeArgs& given) {
    constexpr std::int64_t at_once = 64;
    const RequantizeArgs args = given;  // which no store may change
    std::int32_t outputs[at_once];
    std::int64_t feature = args.feature;
    for (std::int64_t r = 0; r < args.rows; ++r) {
        const Sum* const sums = static_cast<const Sum*>(args.sums) + r * args.cols;
        Out* const to = static_cast<Out*>(args.to) + r * args.cols;
        for (std::int64_t first = 0; first < args.cols; first += at_once) {
            const std::int64_t count = args.cols - first < at_once ? args.cols - first : at_once;
            if (args.by_column)
                requantize_some<true>(args, sums + first, first, count, outputs);
            else
                requantize_some<false>(args, sums + first, feature, count, outputs);
            for (std::int64_t i = 0; i < count; ++i) to[first + i] = static_cast<Out>(outputs[i]);
        }
        if (++feature == args.features) feature = 0;
    }
}

template <class Out>
void requantize(const RequantizeArgs& args) {
    if (args.sum == Type::f32)
        requantize_sums<Out, float>(args);
    else
        requantize_sums<Out, std::int32_t>(args);
}

template <class Out>
void quantize(const QuantizeArgs& args) {
    // Cut off before it is rounded: between bounds that are integers that is the same, and numbers are small. Then
    // adding 1.5 * 2^23 rounds to an integer.
    constexpr float rounder = 12582912;
    const float* const __restrict from = args.from;
    const float scale = args.scale;
    Out* const __restrict to = static_cast<Out*>(args.to);
    const std::int32_t zero_point = args.zero_point;
    const auto least = static_cast<float>(std::numeric_limits<Out>::min() - zero_point);
    const auto most = static_cast<float>(std::numeric_limits<Out>::max() - zero_point);
    for (std::int64_t i = 0; i < args.n; ++i) {
        const float units = from[i] / scale;
        const float above = units > least ? units : least;
        const float within = above < most ? above : most;
        to[i] = static_cast<Out>(static_cast<std::int32_t>((within + rounder) - rounder) + zero_point);
    }
}

template <class Out>
inline constexpr RequantizeRow requantize_row{type_of<Out>, requantize<Out>, quantize<Out>};

static constexpr RequantizeRow requantize_of_every_level[] = {
    requantize_row<std::int8_t>,
    requantize_row<std::uint8_t>,
};
template <>
struct EveryLevel<RequantizeRow> {
    static constexpr Rows<RequantizeRow> rows = table_rows(requantize_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
