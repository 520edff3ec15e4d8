// SPDX-License-Identifier: BSD-3-Clause
// Requantising between bounds. With AVX-512, 64 outputs in float32, twice as many to a register as in float64: a sum
// and a factor are no longer exact there, but rounding keeps order. So sums are multiplied with a number below the
// factor and with one above it, both farther away than what float32 may take from sum and factor; where both products
// round to one integer, that is the output's. Where one of the 64 differs, next to a half, whoever asks computes them
// in float64.
#pragma once

#include <type_traits>

#include "kernels/requantize.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

#ifdef __FMA__

inline constexpr double counts_ones = 0x1.8p52;

struct RequantizedRange {  // of outputs before the zero point is added, with counts_ones
    double least, most;
    std::int32_t zero_point, least_output, most_output;
};

CS_INLINE RequantizedRange range_of(const RequantizeArgs& args) {
    return {counts_ones + (args.least - args.zero_point), counts_ones + (args.most - args.zero_point), args.zero_point,
            args.least, args.most};
}

inline constexpr int of_block = 64;

// Of a feature and those behind it: as numbers, and below and above these.
struct Factors {
    const double* exact;
    const float *below, *above;

    static CS_INLINE Factors of(const RequantizeArgs& args, std::int64_t feature) {
        return {args.factors + feature, args.below + feature, args.above + feature};
    }
};

#ifdef __AVX512BW__

inline constexpr float counts_ones_of_float = 0x1.8p23f;

// A vector of sums with their bias, and the factors below and above.
struct PartOfBlock {
    vec<std::int32_t, 16> sums;
    vec<float, 16> below, above;
};

// Sums of one feature.
CS_INLINE PartOfBlock part_of_feature(vec<std::int32_t, 16> sums, std::int32_t bias, Factors factors,
                                      std::int64_t feature) {
    return {sums + broadcast<vec<std::int32_t, 16>>(bias), broadcast<vec<float, 16>>(factors.below[feature]),
            broadcast<vec<float, 16>>(factors.above[feature])};
}

// Four vectors of sums as 64 outputs, in the order of `packed_place`; false where one is next to a half, where halves
// meet an even number that the zero point may make odd. of(i): part i. small: all factors are below 2^-8.
//
// Products count ones, the zero point with them. As bits they are integers in their order, but for negative ones, which
// small factors do not give: those become 0, which is least of all.
template <class Of>
CS_INLINE bool enclose(Of of, bool is_signed, bool small, RequantizedRange range, __m512i* outputs) {
    using Sums = vec<std::int32_t, 16>;
    using Real = vec<float, 16>;
    const auto ones = broadcast<Real>(counts_ones_of_float + static_cast<float>(range.zero_point));
    __m512i differ = _mm512_setzero_si512();
    auto part = [&](auto i) {
        const PartOfBlock given = of(i);
        const Real sum = __builtin_convertvector(given.sums, Real);
        const Real below = fma(sum, given.below, ones), above = fma(sum, given.above, ones);
        constexpr int or_apart = 0xf6;  // a | (b ^ c)
        differ = _mm512_ternarylogic_epi32(differ, (__m512i)below, (__m512i)above, or_apart);
        const Real within = small ? below : (Real)_mm512_maskz_max_ps(0xffff, (__m512)below, _mm512_setzero_ps());
        return (__m512i)((Sums)within - 0x4b400000);  // the bits of 1.5 * 2^23
    };
    const __m512i a = part(std::integral_constant<int, 0>{}), b = part(std::integral_constant<int, 1>{}),
                  c = part(std::integral_constant<int, 2>{}), d = part(std::integral_constant<int, 3>{});
    if (_mm512_test_epi32_mask(differ, differ) != 0) return false;
    const __m512i low = _mm512_packs_epi32(a, b), high = _mm512_packs_epi32(c, d);
    const auto least = _mm512_set1_epi8(static_cast<char>(range.least_output));
    const auto most = _mm512_set1_epi8(static_cast<char>(range.most_output));
    *outputs = is_signed ? _mm512_max_epi8(_mm512_min_epi8(_mm512_packs_epi16(low, high), most), least)
                         : _mm512_max_epu8(_mm512_min_epu8(_mm512_packus_epi16(low, high), most), least);
    return true;
}

// Where element i of part p is: four of each part lie in each 16 bytes.
constexpr int packed_place(int p, int i) { return i / 4 * 16 + p * 4 + i % 4; }
// A permute of fours that has parts one behind the other.
CS_INLINE __m512i order_of_parts() { return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); }

#endif
#endif

}  // namespace cs::ukr::CS_ISA
