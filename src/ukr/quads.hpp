// SPDX-License-Identifier: BSD-3-Clause
// spmm on quads: row groups whose entries are four 8-bit weights, and whose x is four 8-bit activations. Where the
// level has vpdpbusd, an entry of a vector is one instruction, as an FMA is, of four times the products.
//
// Without it, exactly all the same: vpmaddubsw would saturate the sum of two products at 16 bits, so bytes are widened,
// even ones and odd ones apart, and two vpmaddwd add up two products each in 32 bits.
#pragma once

#include "ukr/row_groups.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// a[2i] * b[2i] + a[2i + 1] * b[2i + 1] of 16-bit halves, which fit.
template <class V>
CS_INLINE V add_pairs(V a, V b) {
#if defined(__AVX512BW__)
    if constexpr (sizeof(V) == 64) return (V)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32) return (V)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#endif
#if defined(__SSE2__)
    using Halves = vec<std::int16_t, 8>;
    if constexpr (sizeof(V) == 16) return (V)__builtin_ia32_pmaddwd128((Halves)a, (Halves)b);
#endif
    const auto low = [](V v) { return (v << 16) >> 16; };
    return low(a) * low(b) + (a >> 16) * (b >> 16);
}

// sum + the four products of signed bytes w and unsigned bytes x in each lane of 32 bits, modulo 2^32.
struct DotQuads {
    template <class V>
    static CS_INLINE V of(V w, V x, V sum) {
#if defined(__AVX512VNNI__)
        if constexpr (sizeof(V) == 64) return (V)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#if defined(__AVX512VL__)
        if constexpr (sizeof(V) == 32) return (V)_mm256_dpbusd_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#endif
#elif defined(__AVXVNNI__)
        if constexpr (sizeof(V) == 32) return (V)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#endif
        using Halves = vec<std::int16_t, sizeof(V) / 2>;
        using Unsigned = vec<std::uint16_t, sizeof(V) / 2>;
        const V even = add_pairs((V)((Unsigned)x & 0xff), (V)((Halves)((Unsigned)w << 8) >> 8));
        const V odd = add_pairs((V)((Unsigned)x >> 8), (V)((Halves)w >> 8));
        return sum + even + odd;
    }
};

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
inline constexpr double instructions_of_quad = 1;
#else
inline constexpr double instructions_of_quad = 5;  // those for a weight serve all vectors of a tile
#endif

// X: of the activations. Signed ones are moved by 128 on the way into tiles: one loop serves both.
template <class X, int Lanes, int NV, int Shared = 0>
inline constexpr RowGroupsRow quads_row{
    Types{Type::s8, type_of<X>, Type::s32},
    Lanes* NV,
    Shared,
    cycles_of_entry(NV, Shared, 1) * instructions_of_quad,
    RowGroups<std::int32_t, Lanes, NV, Shared, 1, std::uint16_t, DotQuads, Values::spread, false>::stores_first,
    row_groups<std::int32_t, Lanes, NV, Shared, 1, std::uint16_t, DotQuads>};

}  // namespace cs::ukr::CS_ISA
