// SPDX-License-Identifier: BSD-3-Clause
// Registers in parts: Parts rows side by side, each as wide as a tile of few columns.
//
// Intrinsics, because GCC 12 joins parts by shuffles alone; an insert from memory takes other ports too.
#pragma once

#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Parts i from at(i).
template <class V, int Parts, class At>
CS_INLINE V join_parts(At at);
// The same part everywhere.
template <class V, int Parts>
CS_INLINE V repeat_part(const void* from);
// Value Parts * n + i of those at `from`, all over part i. Reads whole fours.
template <class V, int Parts, class T>
CS_INLINE V spread_parts(const T* from, int n);
// put(i, part i) for each.
template <class V, int Parts, class Put>
CS_INLINE void for_parts(V v, Put put);

#ifdef __AVX2__
CS_INLINE __m128 load_four(const void* from) { return load<__m128>(from); }

template <class V, int Parts, class At>
CS_INLINE V join_parts(At at) {
    if constexpr (sizeof(V) == 32)
        return _mm256_insertf128_ps(_mm256_zextps128_ps256(load_four(at(0))), load_four(at(1)), 1);
#ifdef __AVX512F__
    if constexpr (sizeof(V) == 64 && Parts == 4) {
        const __m512 one = _mm512_zextps128_ps512(load_four(at(0)));
        const __m512 two = _mm512_maskz_insertf32x4(0xffff, one, load_four(at(1)), 1);
        const __m512 three = _mm512_maskz_insertf32x4(0xffff, two, load_four(at(2)), 2);
        return _mm512_maskz_insertf32x4(0xffff, three, load_four(at(3)), 3);
    }
    if constexpr (sizeof(V) == 64 && Parts == 2) {
        const __m512d one = _mm512_maskz_insertf64x4(0xff, _mm512_setzero_pd(), load<__m256d>(at(0)), 0);
        return _mm512_castpd_ps(_mm512_maskz_insertf64x4(0xff, one, load<__m256d>(at(1)), 1));
    }
#endif
}

template <class V, int Parts>
CS_INLINE V repeat_part(const void* from) {
    if constexpr (sizeof(V) == 32) return _mm256_broadcast_ps(static_cast<const __m128*>(from));
#ifdef __AVX512F__
    if constexpr (sizeof(V) == 64 && Parts == 4) return _mm512_maskz_broadcast_f32x4(0xffff, load_four(from));
    if constexpr (sizeof(V) == 64 && Parts == 2)
        return _mm512_castpd_ps(_mm512_maskz_broadcast_f64x4(0xff, load<__m256d>(from)));
#endif
}

template <class V, int Parts, class T>
CS_INLINE V spread_parts(const T* from, int n) {
    using Index = vec<std::int32_t, sizeof(V) / 4>;
    constexpr int lanes = sizeof(V) / 4, of_part = lanes / Parts;
    Index index;
    for (int l = 0; l < lanes; ++l) index[l] = n * Parts % 4 + l / of_part;
    const __m128 four = load_four(from + n * Parts / 4 * 4);
    if constexpr (sizeof(V) == 32) return _mm256_permutevar8x32_ps(_mm256_zextps128_ps256(four), (__m256i)index);
#ifdef __AVX512F__
    if constexpr (sizeof(V) == 64)
        return _mm512_maskz_permutexvar_ps(0xffff, (__m512i)index, _mm512_zextps128_ps512(four));
#endif
}

template <class V, int Parts, class Put>
CS_INLINE void for_parts(V v, Put put) {
    using Part = vec<float, sizeof(V) / 4 / Parts>;
    if constexpr (sizeof(V) == 32) {
        put(0, (Part)_mm256_castps256_ps128(v));
        put(1, (Part)_mm256_extractf128_ps(v, 1));
    }
#ifdef __AVX512F__
    if constexpr (sizeof(V) == 64 && Parts == 4) {
        put(0, (Part)_mm512_maskz_extractf32x4_ps(0xf, v, 0));
        put(1, (Part)_mm512_maskz_extractf32x4_ps(0xf, v, 1));
        put(2, (Part)_mm512_maskz_extractf32x4_ps(0xf, v, 2));
        put(3, (Part)_mm512_maskz_extractf32x4_ps(0xf, v, 3));
    }
    if constexpr (sizeof(V) == 64 && Parts == 2) {
        put(0, (Part)_mm512_maskz_extractf64x4_pd(0xf, (__m512d)v, 0));
        put(1, (Part)_mm512_maskz_extractf64x4_pd(0xf, (__m512d)v, 1));
    }
#endif
}
#endif

}  // namespace cs::ukr::CS_ISA
