// SPDX-License-Identifier: BSD-3-Clause
// Interleaving of pairs of bfloat16, at levels that multiply them: sixteen columns of two rows are widened and joined.
#pragma once

#include "kernels/interleave.hpp"
#include "kernels/table.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Tiles are sixteen columns wide, or several times.
inline void interleave_pairs(const InterleaveArgs& given) {
    const InterleaveArgs args = given;
    const auto* const from = static_cast<const std::uint16_t*>(args.from);
    for (std::int64_t c = 0; c < args.width; c += 16) {
        const std::int64_t left = args.cols - c;
        const auto there = static_cast<__mmask16>(left >= 16 ? 0xffff : left > 0 ? (1 << left) - 1 : 0);
        const auto widened = [&](std::int64_t row) {
            return _mm512_maskz_cvtepu16_epi32(
                0xffff, _mm256_maskz_loadu_epi16(row < args.rows ? there : __mmask16{}, from + row * args.stride + c));
        };
        for (std::int64_t row = 0; row < args.rows; row += 2)
            store(args.to + row / 2 * args.width + c,
                  (vec<std::uint32_t, 16>)widened(row) | (vec<std::uint32_t, 16>)widened(row + 1) << 16);
    }
}
static constexpr InterleaveRow interleave_of_pairs[] = {{Type::bf16, interleave_pairs}};

}  // namespace cs::ukr::CS_ISA
