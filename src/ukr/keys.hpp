// SPDX-License-Identifier: BSD-3-Clause
// Keys: signed integers in the order of the values, and what contests do with vectors of them: compare to a mask,
// write the marked lanes without gaps.
//
// NaN has the least key. -0.0 has the key of 0.0, so that they tie. Integers are their own keys.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "ukr/vec.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace cs::ukr::CS_ISA {

template <class T>
using Key = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;

template <class K>
inline constexpr K least_key = std::numeric_limits<K>::min();

// What is ranked: T itself, narrower integers as 32-bit ones.
template <class T>
using Ranked = std::conditional_t<std::is_floating_point_v<T>, T, Key<T>>;

// Lanes of one register of this level.
template <class K>
inline constexpr int key_lanes = native<K>;
template <class K>
using Keys = vec<K, key_lanes<K>>;

template <class T>
CS_INLINE Keys<Key<T>> keys_of(vec<Ranked<T>, key_lanes<Key<T>>> values) {
    if constexpr (std::is_floating_point_v<T>) {
        using K = Key<T>;
        using V = Keys<K>;
        constexpr K magnitude = std::numeric_limits<K>::max();
        const auto canonical = values + T(0);  // -0.0 + 0.0 is 0.0
        V bits;
        std::memcpy(&bits, &canonical, sizeof bits);
        const V ordered = bits ^ ((bits >> (8 * static_cast<int>(sizeof(K)) - 1)) & magnitude);
        return canonical == canonical ? ordered : broadcast<V>(least_key<K>);
    } else {
        return values;
    }
}

// key_lanes values, narrow ones widened.
template <class T>
CS_INLINE vec<Ranked<T>, key_lanes<Key<T>>> load_ranked(const T* from) {
    constexpr int L = key_lanes<Key<T>>;
    if constexpr (sizeof(T) < sizeof(Key<T>))
        return __builtin_convertvector(load<vec<T, L>>(from), Keys<Key<T>>);
    else
        return load<vec<Ranked<T>, L>>(from);
}

// One bit per lane.
using Mask = std::uint32_t;

// Bits of a comparison's lanes, which are all ones or all zeros.
template <class V>
CS_INLINE Mask bits_of(V lanes) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(lanes[0]) == 4)
        return _mm512_test_epi32_mask((__m512i)lanes, (__m512i)lanes);
    if constexpr (sizeof(V) == 64 && sizeof(lanes[0]) == 8)
        return _mm512_test_epi64_mask((__m512i)lanes, (__m512i)lanes);
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(lanes[0]) == 4) return static_cast<Mask>(_mm256_movemask_ps((__m256)lanes));
    if constexpr (sizeof(V) == 32 && sizeof(lanes[0]) == 8)
        return static_cast<Mask>(_mm256_movemask_pd((__m256d)lanes));
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(V) == 16 && sizeof(lanes[0]) == 4) return static_cast<Mask>(_mm_movemask_ps((__m128)lanes));
    if constexpr (sizeof(V) == 16 && sizeof(lanes[0]) == 8) return static_cast<Mask>(_mm_movemask_pd((__m128d)lanes));
#endif
    Mask mask = 0;
    for (unsigned lane = 0; lane < sizeof(V) / sizeof(lanes[0]); ++lane)
        mask |= static_cast<Mask>(lanes[lane] != 0) << lane;
    return mask;
}

// Lanes of a greater than those of b.
template <class K>
CS_INLINE Mask above(Keys<K> a, Keys<K> b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(K) == 4) return _mm512_cmpgt_epi32_mask((__m512i)a, (__m512i)b);
    if constexpr (sizeof(K) == 8) return _mm512_cmpgt_epi64_mask((__m512i)a, (__m512i)b);
#endif
    return bits_of(a > b);
}

template <class K>
CS_INLINE Mask same(Keys<K> a, Keys<K> b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(K) == 4) return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
    if constexpr (sizeof(K) == 8) return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b);
#endif
    return bits_of(a == b);
}

// A table, because what the portable level would call instead is a function of the compiler's library.
inline constexpr std::uint8_t nibble_counts[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};

CS_INLINE int count_of(Mask mask) {
#if defined(__POPCNT__)
    return __builtin_popcount(mask);
#else
    return nibble_counts[mask & 15] + nibble_counts[mask >> 4 & 15] + nibble_counts[mask >> 8 & 15] +
           nibble_counts[mask >> 12 & 15];
#endif
}

// Writes the marked lanes one after the other, and nothing behind them; how many they are.
template <class V, class T>
CS_INLINE int compress(T* to, Mask mask, V lanes) {
    const int count = count_of(mask);
    [[maybe_unused]] constexpr bool as_wide = sizeof(lanes[0]) == sizeof(T);
#if defined(__AVX512F__)
    if constexpr (as_wide && sizeof(V) == 64 && sizeof(T) == 4) {
        const __m512i packed = _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), (__m512i)lanes);
        _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count))), packed);
        return count;
    }
    if constexpr (as_wide && sizeof(V) == 64 && sizeof(T) == 8) {
        const __m512i packed = _mm512_maskz_compress_epi64(static_cast<__mmask8>(mask), (__m512i)lanes);
        _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(_bzhi_u32(0xff, static_cast<unsigned>(count))), packed);
        return count;
    }
#elif defined(__AVX2__) && defined(__BMI2__)
    if constexpr (as_wide && sizeof(V) == 32 && sizeof(T) == 8) {  // as pairs of halves
        const Mask halves = _pdep_u32(mask, 0x55) * 3;
        return compress(reinterpret_cast<std::int32_t*>(to), halves, (vec<std::int32_t, 8>)lanes) / 2;
    }
    if constexpr (as_wide && sizeof(V) == 32 && sizeof(T) == 4) {
        // Bytes 0 to 7 name the lanes; those of the marked ones are moved together.
        const std::uint64_t marked = _pdep_u64(mask, 0x0101010101010101u) * 0xff;
        const std::uint64_t names = _pext_u64(0x0706050403020100u, marked);
        const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(names)));
        const __m256i packed = _mm256_permutevar8x32_epi32((__m256i)lanes, order);
        const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_maskstore_epi32(reinterpret_cast<int*>(to), _mm256_cmpgt_epi32(_mm256_set1_epi32(count), places),
                               packed);
        return count;
    }
#endif
    while (mask != 0) {
        *to++ = static_cast<T>(lanes[__builtin_ctz(mask)]);
        mask &= mask - 1;
    }
    return count;
}

// The same, but what lies behind them in a vector's length may be written too.
template <class V, class T>
CS_INLINE int compress_and_beyond(T* to, Mask mask, V lanes) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(T) == 4 && sizeof(lanes[0]) == 4) {
        store(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), (__m512i)lanes));
        return count_of(mask);
    }
    if constexpr (sizeof(V) == 64 && sizeof(T) == 8 && sizeof(lanes[0]) == 8) {
        store(to, _mm512_maskz_compress_epi64(static_cast<__mmask8>(mask), (__m512i)lanes));
        return count_of(mask);
    }
#endif
    return compress(to, mask, lanes);
}

// The lowest `count` marked lanes.
CS_INLINE Mask lowest(Mask mask, std::int64_t count) {
    Mask kept = 0;
    for (; count > 0 && mask != 0; --count, mask &= mask - 1) kept |= mask & (0 - mask);
    return kept;
}

}  // namespace cs::ukr::CS_ISA
