// SPDX-License-Identifier: BSD-3-Clause
// kwta of 8-bit integers: of 256 values the k-th largest is found in eight steps, a bit each, by counting the values
// from a pivot on. A pass counts a register in three instructions (64 bytes with AVX-512), so that all eight take less
// than a table of 256 counters would for its one: an increment of memory for every value, and a sum over the table.
//
// The winners are written in a ninth pass, indices first; values are picked up by index. A vector of at most a register
// stays in it, and its winners are bits of a word.
#pragma once

#include "kernels/contest.hpp"
#include "ukr/keys.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

inline constexpr int counted_bytes = native<std::uint8_t>;

// How many of some bytes are at least the pivot: of whole registers.
template <class T>
CS_INLINE std::int64_t count_from(const T* x, std::int64_t n, T pivot) {
#ifdef __AVX512BW__
    const __m512i pivots = _mm512_set1_epi8(static_cast<char>(pivot));
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < n; i += counted_bytes) {
        const __m512i values = load<__m512i>(x + i);
        const __mmask64 found =
            std::is_signed_v<T> ? _mm512_cmpge_epi8_mask(values, pivots) : _mm512_cmpge_epu8_mask(values, pivots);
        count += __builtin_popcountll(found);
    }
    return count;
#else
    using V = vec<T, counted_bytes>;
    using Counts = vec<std::uint8_t, counted_bytes>;
    constexpr std::int64_t at_once = 255 * counted_bytes;  // a lane counts so far
    const V pivots = broadcast<V>(pivot);
    std::int64_t count = 0;
    for (std::int64_t first = 0; first < n; first += at_once) {
        const std::int64_t last = first + at_once < n ? first + at_once : n;
        Counts counts{};
        for (std::int64_t i = first; i < last; i += counted_bytes) counts -= (Counts)(load<V>(x + i) >= pivots);
        std::uint8_t lanes[counted_bytes];
        store(lanes, counts);
        for (int lane = 0; lane < counted_bytes; ++lane) count += lanes[lane];
    }
    return count;
#endif
}

// Lanes of 32 bits with the values of as many bytes.
template <class T>
CS_INLINE Keys<std::int32_t> widened(const T* x) {
    using V = Keys<std::int32_t>;
#ifdef __AVX512F__
    const __m128i bytes = load<__m128i>(x);
    return (V)(std::is_signed_v<T> ? _mm512_maskz_cvtepi8_epi32(0xffff, bytes)
                                   : _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
#elif defined(__AVX2__)
    const __m128i bytes = _mm_cvtsi64_si128(load<long long>(x));
    return (V)(std::is_signed_v<T> ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
#else
    V values;
    for (int lane = 0; lane < key_lanes<std::int32_t>; ++lane) values[lane] = x[lane];
    return values;
#endif
}

// The k-th largest value, and how many are greater; `reached`: how many are at least a pivot above the least value.
struct Threshold {
    int value;
    std::int64_t greater = 0;
};
template <class T, class Reached>
CS_INLINE Threshold threshold_of(std::int64_t k, Reached reached) {
    Threshold found{std::numeric_limits<T>::min()};
    for (int bit = 128; bit > 0; bit /= 2) {
        const std::int64_t count = reached(static_cast<T>(found.value + bit));
        if (count >= k)
            found.value += bit;
        else
            found.greater = count;
    }
    return found;
}

#ifdef __AVX512BW__
inline constexpr std::int64_t bytes_in_register = 64;

template <class T>
CS_INLINE void contest_in_register(ContestArgs& args) {
    const T* const x = static_cast<const T*>(args.x);
    const __mmask64 there = _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(args.n));
    const __m512i values = _mm512_maskz_loadu_epi8(there, x);
    const auto pivots = [](T pivot) { return _mm512_set1_epi8(static_cast<char>(pivot)); };
    const auto above = [&](T pivot) {
        return std::is_signed_v<T> ? _mm512_mask_cmpgt_epi8_mask(there, values, pivots(pivot))
                                   : _mm512_mask_cmpgt_epu8_mask(there, values, pivots(pivot));
    };
    const Threshold threshold =
        threshold_of<T>(args.k, [&](T pivot) { return __builtin_popcountll(above(static_cast<T>(pivot - 1))); });
    const T value = static_cast<T>(threshold.value);
    const __mmask64 equal = _mm512_mask_cmpeq_epi8_mask(there, values, pivots(value));
    const auto ties = static_cast<unsigned>(args.k - threshold.greater);
    __mmask64 winners = above(value) | _pdep_u64(_bzhi_u64(~std::uint64_t{0}, ties), equal);
    if (args.relu) winners &= above(0);
    T* const to = static_cast<T*>(args.values);
    args.count = __builtin_popcountll(winners);
    for (std::int64_t i = 0; i < args.count; ++i, winners &= winners - 1) {
        const int at = __builtin_ctzll(winners);
        args.indices[i] = at;
        to[i] = x[at];
    }
}
#else
inline constexpr std::int64_t bytes_in_register = 0;
#endif

template <class T>
void contest_bytes(ContestArgs& args) {
#ifdef __AVX512BW__
    if (args.n <= bytes_in_register) return contest_in_register<T>(args);
#endif
    using V = Keys<std::int32_t>;
    constexpr int L = key_lanes<std::int32_t>;
    const T* const x = static_cast<const T*>(args.x);
    const std::int64_t n = args.n, k = args.k, whole = n / counted_bytes * counted_bytes;
    // The last, incomplete register is read from a copy, with the least value behind it; that is never counted, because
    // pivots are above it.
    constexpr T least = std::numeric_limits<T>::min();
    T rest[counted_bytes];
    for (T& value : rest) value = least;
    std::memcpy(rest, x + whole, static_cast<std::size_t>(n - whole));

    const Threshold threshold = threshold_of<T>(k, [&](T pivot) {
        return count_from(x, whole, pivot) + (whole < n ? count_from(rest, counted_bytes, pivot) : 0);
    });

    const V thresholds = broadcast<V>(threshold.value);
    std::int64_t ties = k - threshold.greater, count = 0;
    V places;
    for (int lane = 0; lane < L; ++lane) places[lane] = lane;
    auto write = [&](const T* from, Mask there) {
        const V values = widened(from);
        Mask winners = there & above<std::int32_t>(values, thresholds),
             equal = there & same<std::int32_t>(values, thresholds);
        if (equal != 0 && ties > 0) {
            if (count_of(equal) > ties) equal = lowest(equal, ties);
            ties -= count_of(equal);
            winners |= equal;
        }
        if (args.relu) winners &= above<std::int32_t>(values, V{});
        if (winners != 0) count += compress(args.indices + count, winners, places);
        places += L;
    };
    std::int64_t i = 0;
    constexpr Mask all = static_cast<Mask>((std::uint64_t(1) << L) - 1);
    for (; i + L <= n; i += L) write(x + i, all);
    if (i < n) write(rest + (i - whole), (Mask(1) << (n - i)) - 1);
    T* const values = static_cast<T*>(args.values);
    for (std::int64_t winner = 0; winner < count; ++winner) values[winner] = x[args.indices[winner]];
    args.count = count;
}

}  // namespace cs::ukr::CS_ISA
