// SPDX-License-Identifier: BSD-3-Clause
// vec<T, N>: N lanes of T on GNU vector types.
//
// Why not intrinsics: one source serves SSE2, AVX2, AVX-512 and NEON, and on these loops it compiles to the same
// instructions (a lane loop over __builtin_fmaf becomes one vfmadd). Why a namespace per ISA: an inline template
// compiled with AVX-512 flags would otherwise be the copy that the linker keeps for the baseline too.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#ifndef CS_ISA
#error "CS_ISA names the ISA level that this translation unit is compiled for"
#endif

// For the bodies of inner loops: GCC stops inlining them where a table instantiates many kernels.
#define CS_INLINE inline __attribute__((always_inline))

namespace cs::ukr::CS_ISA {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

template <class T, int N>
struct VecType {
    typedef T type __attribute__((vector_size(sizeof(T) * N)));
};
// One lane is a plain T: GCC keeps a vector of one element in memory.
template <class T>
struct VecType<T, 1> {
    using type = T;
};
template <class T, int N>
using vec = typename VecType<T, N>::type;

// Lanes of T in one register of this level.
template <class T>
inline constexpr int native = vector_bytes / static_cast<int>(sizeof(T));

template <class V>
inline V load(const void* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

template <class V>
inline void store(void* to, V v) {
    std::memcpy(to, &v, sizeof v);
}

template <class V, class T>
inline V broadcast(T value) {
    return static_cast<V>(value - V{});  // x - 0 is x for every x, -0.0 and NaN included
}

// Value `Which` of the four at `from`, in every lane. One load serves all four (the compiler shares it) and the
// spreading is an in-register permute, which leaves the load ports to the activations. Intrinsics, because GCC 12
// scalarises the same thing written with GNU vectors (and the maskz forms, because its plain ones warn of uninitialised
// lanes).
template <class V, int Which, class T>
inline V spread(const T* from) {
#ifdef __AVX__
    // By way of a wider register: GCC would load the four values anew for each permute.
    if constexpr (sizeof(T) == 4 && sizeof(V) == 16)
        return (V)_mm256_castps256_ps128((__m256)spread<vec<T, 8>, Which>(from));
    if constexpr (sizeof(T) == 4 && sizeof(V) == 32)
        return (V)_mm256_permute_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(from)), Which * 0x55);
#endif
#ifdef __AVX512F__
    if constexpr (sizeof(T) == 4 && sizeof(V) == 64)
        return (V)_mm512_maskz_permute_ps(0xffff, _mm512_maskz_broadcast_f32x4(0xffff, load<__m128>(from)),
                                          Which * 0x55);
#endif
    return broadcast<V>(from[Which]);
}

// Whether the first lanes of a register can be loaded and stored by themselves: the others touch no memory.
template <class V>
constexpr bool knows_first_lanes() {
#if defined(__AVX512BW__)
    if constexpr (!std::is_arithmetic_v<V>) return sizeof(V) == vector_bytes && sizeof(V{}[0]) != 2;
#elif defined(__AVX2__)
    if constexpr (!std::is_arithmetic_v<V>) return sizeof(V) == vector_bytes && sizeof(V{}[0]) >= 4;
#endif
    return false;
}
template <class V>
inline constexpr bool has_first_lanes = knows_first_lanes<V>();
// Likewise any neighbouring ones, by lanes_between().
template <class V>
inline constexpr bool has_some_lanes = has_first_lanes<V> && sizeof(V{}[0]) >= 4;

#if defined(__AVX512F__)
// Zeros in the lanes from `count` on. Parts of a register are of floats.
template <class V, class T>
inline V load_first(const T* from, std::int64_t count) {
    const auto wanted = static_cast<unsigned>(count);
#if defined(__AVX512BW__)
    if constexpr (sizeof(T) == 1) return (V)_mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, wanted), from);
#endif
    if constexpr (sizeof(V) == 16)
        return (V)_mm_maskz_loadu_ps(static_cast<__mmask8>(_bzhi_u32(0xf, wanted)), from);
    else if constexpr (sizeof(V) == 32)
        return (V)_mm256_maskz_loadu_ps(static_cast<__mmask8>(_bzhi_u32(0xff, wanted)), from);
    else if constexpr (sizeof(T) == 4)
        return (V)_mm512_maskz_loadu_epi32(static_cast<__mmask16>(_bzhi_u32(0xffff, wanted)), from);
    else
        return (V)_mm512_maskz_loadu_epi64(static_cast<__mmask8>(_bzhi_u32(0xff, wanted)), from);
}

template <class V, class T>
inline void store_first(T* to, std::int64_t count, V v) {
    const auto wanted = static_cast<unsigned>(count);
#if defined(__AVX512BW__)
    if constexpr (sizeof(T) == 1) return _mm512_mask_storeu_epi8(to, _bzhi_u64(~0ull, wanted), (__m512i)v);
#endif
    // GCC would store a part of a register by a masked extract, which faults where a masked store does not.
    if constexpr (sizeof(V) < 64) asm("" : "+v"(v));
    if constexpr (sizeof(V) == 16)
        _mm_mask_storeu_ps(to, static_cast<__mmask8>(_bzhi_u32(0xf, wanted)), (__m128)v);
    else if constexpr (sizeof(V) == 32)
        _mm256_mask_storeu_ps(to, static_cast<__mmask8>(_bzhi_u32(0xff, wanted)), (__m256)v);
    else if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(_bzhi_u32(0xffff, wanted)), (__m512i)v);
    else
        _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(_bzhi_u32(0xff, wanted)), (__m512i)v);
}
#elif defined(__AVX2__)
template <class T>
inline __m256i first_lanes(std::int64_t count) {
    if constexpr (sizeof(T) == 4)
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    else
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}

template <class V, class T>
inline V load_first(const T* from, std::int64_t count) {
    if constexpr (sizeof(T) == 4)
        return (V)_mm256_maskload_ps(reinterpret_cast<const float*>(from), first_lanes<T>(count));
    else
        return (V)_mm256_maskload_pd(reinterpret_cast<const double*>(from), first_lanes<T>(count));
}

template <class V, class T>
inline void store_first(T* to, std::int64_t count, V v) {
    if constexpr (sizeof(T) == 4)
        _mm256_maskstore_ps(reinterpret_cast<float*>(to), first_lanes<T>(count), (__m256)v);
    else
        _mm256_maskstore_pd(reinterpret_cast<double*>(to), first_lanes<T>(count), (__m256d)v);
}
#else  // not called
template <class V, class T>
V load_first(const T* from, std::int64_t count);
template <class V, class T>
void store_first(T* to, std::int64_t count, V v);
#endif

#if defined(__AVX2__)
// Some neighbouring lanes of a whole register: memory of the others is not touched, wherever it may lie.
#if defined(__AVX512F__)
template <class V>
using LaneMask = __mmask16;
#else
template <class V>
struct LaneMask {
    __m256i lanes;
    bool all;
};
#endif

// Those from first on, before last, as far as there are any.
template <class V>
CS_INLINE LaneMask<V> lanes_between(std::int64_t first, std::int64_t last) {
    constexpr int n = sizeof(V) / sizeof(V{}[0]);
    const int end = last < 0 ? 0 : last < n ? static_cast<int>(last) : n;
    const int begin = first < 0 ? 0 : first < end ? static_cast<int>(first) : end;
#if defined(__AVX512F__)
    return static_cast<LaneMask<V>>((1u << end) - (1u << begin));
#else
    // A bit of each lane is looked at, the highest.
    const __m256i lane = n == 8 ? _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) : _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane);
    return {_mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane)), end - begin == n};
#endif
}

// Zeros in the other lanes.
template <class V, class T>
CS_INLINE V load_lanes(const T* from, LaneMask<V> mask) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (V)_mm512_maskz_loadu_ps(mask, from);
    else
        return (V)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), from);
#else
    if constexpr (sizeof(T) == 4)
        return (V)_mm256_maskload_ps(from, mask.lanes);
    else
        return (V)_mm256_maskload_pd(from, mask.lanes);
#endif
}
template <class V, class T>
CS_INLINE void store_lanes(T* to, LaneMask<V> mask, V v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(to, mask, (__m512)v);
    else
        _mm512_mask_storeu_pd(to, static_cast<__mmask8>(mask), (__m512d)v);
#else
    if (mask.all) return store(to, v);
    if constexpr (sizeof(T) == 4)
        _mm256_maskstore_ps(to, mask.lanes, (__m256)v);
    else
        _mm256_maskstore_pd(to, mask.lanes, (__m256d)v);
#endif
}

// In a register of masks from here on, where these are registers of their own.
template <class Mask>
CS_INLINE void keep_mask([[maybe_unused]] Mask& mask) {
#if defined(__AVX512F__)
    asm("" : "+k"(mask));
#endif
}
#endif

// a * b + c: one rounding where the level has FMA, two on the portable level (a software fma costs 50 times more).
// Intrinsics, because a loop over __builtin_fmaf compiles to the same but takes the compiler minutes.
template <class V>
CS_INLINE V fma(V a, V b, V c) {
#ifdef __FMA__
    if constexpr (std::is_same_v<V, float>) {
        return __builtin_fmaf(a, b, c);
    } else if constexpr (std::is_same_v<V, double>) {
        return __builtin_fma(a, b, c);
    } else if constexpr (!std::is_arithmetic_v<V>) {
        using T = std::remove_const_t<std::remove_reference_t<decltype(a[0])>>;
        constexpr bool is_float = std::is_same_v<T, float>;
        if constexpr (is_float && sizeof(V) == 16) return _mm_fmadd_ps(a, b, c);
        if constexpr (is_float && sizeof(V) == 32) return _mm256_fmadd_ps(a, b, c);
        if constexpr (std::is_same_v<T, double> && sizeof(V) == 16) return _mm_fmadd_pd(a, b, c);
        if constexpr (std::is_same_v<T, double> && sizeof(V) == 32) return _mm256_fmadd_pd(a, b, c);
#ifdef __AVX512F__
        if constexpr (is_float && sizeof(V) == 64) return _mm512_fmadd_ps(a, b, c);
        if constexpr (std::is_same_v<T, double> && sizeof(V) == 64) return _mm512_fmadd_pd(a, b, c);
#endif
        if constexpr (std::is_floating_point_v<T>) {  // fewer lanes than a register has
            V r;
            for (unsigned i = 0; i < sizeof(V) / sizeof(T); ++i) r[i] = fma<T>(a[i], b[i], c[i]);
            return r;
        }
    }
#endif
    return static_cast<V>(a * b + c);  // a narrow integer was widened
}

// max and min as x86 has them: where a lane is NaN, or both are equal, that of b. Intrinsics: GCC 12 compares and
// blends what is written with GNU vectors.
template <class V>
CS_INLINE V greater_of(V a, V b) {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<V, vec<float, 16>>) return _mm512_maskz_max_ps(0xffff, a, b);
    if constexpr (std::is_same_v<V, vec<double, 8>>) return _mm512_maskz_max_pd(0xff, a, b);
    if constexpr (std::is_same_v<V, vec<std::int32_t, 16>>)
        return (V)_mm512_maskz_max_epi32(0xffff, (__m512i)a, (__m512i)b);
    if constexpr (std::is_same_v<V, vec<std::int64_t, 8>>)
        return (V)_mm512_maskz_max_epi64(0xff, (__m512i)a, (__m512i)b);
#endif
#if defined(__AVX2__)
    if constexpr (std::is_same_v<V, vec<float, 8>>) return _mm256_max_ps(a, b);
    if constexpr (std::is_same_v<V, vec<double, 4>>) return _mm256_max_pd(a, b);
    if constexpr (std::is_same_v<V, vec<std::int32_t, 8>>) return (V)_mm256_max_epi32((__m256i)a, (__m256i)b);
#endif
#if defined(__SSE2__)
    if constexpr (std::is_same_v<V, vec<float, 4>>) return _mm_max_ps(a, b);
    if constexpr (std::is_same_v<V, vec<double, 2>>) return _mm_max_pd(a, b);
#endif
    return a > b ? a : b;
}
template <class V>
CS_INLINE V lesser_of(V a, V b) {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<V, vec<float, 16>>) return _mm512_maskz_min_ps(0xffff, a, b);
    if constexpr (std::is_same_v<V, vec<double, 8>>) return _mm512_maskz_min_pd(0xff, a, b);
    if constexpr (std::is_same_v<V, vec<std::int32_t, 16>>)
        return (V)_mm512_maskz_min_epi32(0xffff, (__m512i)a, (__m512i)b);
    if constexpr (std::is_same_v<V, vec<std::int64_t, 8>>)
        return (V)_mm512_maskz_min_epi64(0xff, (__m512i)a, (__m512i)b);
#endif
#if defined(__AVX2__)
    if constexpr (std::is_same_v<V, vec<float, 8>>) return _mm256_min_ps(a, b);
    if constexpr (std::is_same_v<V, vec<double, 4>>) return _mm256_min_pd(a, b);
    if constexpr (std::is_same_v<V, vec<std::int32_t, 8>>) return (V)_mm256_min_epi32((__m256i)a, (__m256i)b);
#endif
#if defined(__SSE2__)
    if constexpr (std::is_same_v<V, vec<float, 4>>) return _mm_min_ps(a, b);
    if constexpr (std::is_same_v<V, vec<double, 2>>) return _mm_min_pd(a, b);
#endif
    return a < b ? a : b;
}

#ifdef __AVX512F__
// Of the lanes in `some` those that are numbers in both.
CS_INLINE __mmask16 numbers_in(__mmask16 some, vec<float, 16> a, vec<float, 16> b) {
    return _mm512_mask_cmp_ps_mask(some, a, b, _CMP_ORD_Q);
}
CS_INLINE __mmask16 numbers_in(__mmask16 some, vec<double, 8> a, vec<double, 8> b) {
    return _mm512_mask_cmp_pd_mask(static_cast<__mmask8>(some), a, b, _CMP_ORD_Q);
}
#endif

// NaN stays NaN, as in np.maximum.
template <class V>
inline V relu(V a) {
    return a < V{} ? V{} : a;
}

}  // namespace cs::ukr::CS_ISA
