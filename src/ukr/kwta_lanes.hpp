// SPDX-License-Identifier: BSD-3-Clause
// kwta of many short vectors, one in each lane: the channels of neighbouring pixels.
//
// A list of the K largest so far is kept for all lanes at once. Entries come in groups of K: each is sorted by
// Batcher's odd-even network and merged with the list by a bitonic one, the lower half being dropped. What then stands
// at place k of the list is the threshold. The lanes' winners are marked entry by entry, the marks are turned round
// into 64 entries of one vector per word, and the words' set bits are the winners, in order. Bound by the max and min
// of the network.
#pragma once

#include "core/microkernel.hpp"
#include "ukr/keys.hpp"

namespace cs::ukr::CS_ISA {

// Bit `bit` of 64 words of 16 bits.
CS_INLINE std::uint64_t column_bits(const std::uint16_t* words, int bit) {
    std::uint64_t bits = 0;
#if defined(__AVX512F__)
    for (int part = 1; part >= 0; --part)
        bits = bits << 32 | _mm512_movepi16_mask(
                                _mm512_slli_epi16(load<__m512i>(words + 32 * part), static_cast<unsigned>(15 - bit)));
#elif defined(__AVX2__)
    for (int part = 1; part >= 0; --part) {
        const __m256i low = _mm256_slli_epi16(load<__m256i>(words + 32 * part), 15 - bit);
        const __m256i high = _mm256_slli_epi16(load<__m256i>(words + 32 * part + 16), 15 - bit);
        // Signs of 16-bit words become signs of bytes; packing works within halves, the permute puts them in order.
        const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
        bits = bits << 32 | static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
    }
#else
    for (int i = 0; i < 64; ++i) bits |= static_cast<std::uint64_t>(words[i] >> bit & 1) << i;
#endif
    return bits;
}

template <class V, bool descending>
CS_INLINE void exchange(V& a, V& b) {
    const V high = greater_of(a, b), low = lesser_of(a, b);
    a = descending ? high : low;
    b = descending ? low : high;
}

// Sorts a bitonic sequence of n vectors, lane by lane.
template <class V, int n, bool descending>
CS_INLINE void sort_bitonic(V* a) {
    if constexpr (n > 1) {
        for (int i = 0; i < n / 2; ++i) exchange<V, descending>(a[i], a[i + n / 2]);
        sort_bitonic<V, n / 2, descending>(a);
        sort_bitonic<V, n / 2, descending>(a + n / 2);
    }
}

// Merges the sorted halves of every step-th of n vectors.
template <class V, int n, int step, bool descending>
CS_INLINE void merge_halves(V* a) {
    if constexpr (2 * step < n) {
        merge_halves<V, n, 2 * step, descending>(a);
        merge_halves<V, n, 2 * step, descending>(a + step);
        for (int i = step; i + step < n; i += 2 * step) exchange<V, descending>(a[i], a[i + step]);
    } else {
        exchange<V, descending>(a[0], a[step]);
    }
}

// Fewer exchanges than a bitonic network: 19 instead of 24 for eight.
template <class V, int n, bool descending>
CS_INLINE void sort(V* a) {
    if constexpr (n > 1) {
        sort<V, n / 2, descending>(a);
        sort<V, n / 2, descending>(a + n / 2);
        merge_halves<V, n, 1, descending>(a);
    }
}

// Which lanes of a are at least those of b; adds one to their counts.
template <class V, class Counts>
CS_INLINE Mask at_least(V a, V b, Counts& counts) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(a[0]) == 4) {
        __mmask16 mask;
        if constexpr (std::is_same_v<V, vec<float, 16>>)
            mask = _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
        else
            mask = _mm512_cmpge_epi32_mask((__m512i)a, (__m512i)b);
        counts = (Counts)_mm512_mask_add_epi32((__m512i)counts, mask, (__m512i)counts, _mm512_set1_epi32(1));
        return mask;
    }
#endif
    const Counts reached = a >= b;
    counts -= reached;
    return bits_of(reached);
}

// Writes the marked entries of every lane. `Finish`: there is a bias, or winners must be above zero.
template <class T, bool Finish>
CS_INLINE void emit(const KwtaLanesArgs& args, const std::uint16_t* marks) {
    const T* const x = static_cast<const T*>(args.x);
    const T* const bias = static_cast<const T*>(args.bias);
    const std::int64_t n = args.n, stride = args.stride, k = args.k;
    const bool relu = args.relu;
    for (std::int64_t lane = 0; lane < args.vectors; ++lane) {
        T* const values = static_cast<T*>(args.values) + lane * k;
        std::int32_t* const indices = args.indices + lane * k;
        std::int64_t count = 0;
        for (std::int64_t first = 0; first < n; first += 64) {
            const T* const from = x + first * stride + lane;
            for (std::uint64_t bits = column_bits(marks + first, static_cast<int>(lane)); bits != 0; bits &= bits - 1) {
                const std::int64_t i = __builtin_ctzll(bits);
                T value = from[i * stride];
                if (Finish && bias != nullptr) value = static_cast<T>(value + bias[first + i]);
                values[count] = value;
                indices[count] = static_cast<std::int32_t>(first + i);
                count += !Finish || !relu || value > T(0);
            }
        }
        args.counts[lane] = count;
    }
}

// The contest with values ranked as R: T itself, which is fast, or keys. False, and nothing is written, where NaN
// might have won as -inf.
template <class T, class R, int K>
bool contest_of_lanes(KwtaLanesArgs& args) {
    static_assert((K & (K - 1)) == 0, "bitonic networks halve");
    using Counts = Keys<Key<T>>;
    constexpr int L = key_lanes<Key<T>>;
    using V = vec<R, L>;
    constexpr bool as_keys = std::is_same_v<R, Key<T>>;
    const T* const x = static_cast<const T*>(args.x);
    const T *const bias = static_cast<const T*>(args.bias), *const boost = static_cast<const T*>(args.boost);
    R* const ranks = static_cast<R*>(args.keys);
    const std::int64_t n = args.n, stride = args.stride, k = args.k;

    V lowest{};
    if constexpr (as_keys)
        lowest = broadcast<V>(least_key<R>);
    else
        lowest -= std::numeric_limits<R>::infinity();
    for (std::int64_t i = 0; i < n; ++i) {
        auto values = load_ranked<T>(x + i * stride);
        if (bias != nullptr) values = values + static_cast<Ranked<T>>(bias[i]);
        if (boost != nullptr) values = values * static_cast<Ranked<T>>(boost[i]);
        if constexpr (as_keys)
            store(ranks + i * L, keys_of<T>(values));
        else
            store(ranks + i * L, greater_of(values, lowest));  // NaN becomes -inf
    }
    for (std::int64_t i = n; i % K != 0; ++i) store(ranks + i * L, lowest);
    V largest[K];
    for (int j = 0; j < K; ++j) largest[j] = load<V>(ranks + j * L);
    sort<V, K, true>(largest);
    for (std::int64_t i = K; i < n; i += K) {
        V group[K];
        for (int j = 0; j < K; ++j) group[j] = load<V>(ranks + (i + j) * L);
        sort<V, K, false>(group);
        for (int j = 0; j < K; ++j) largest[j] = greater_of(largest[j], group[j]);
        sort_bitonic<V, K, true>(largest);
    }
    const V threshold = largest[k - 1];
    if constexpr (!as_keys) {
        const Counts doubtful = threshold == lowest;
        if (bits_of(doubtful) != 0) return false;
    }

    alignas(64) std::uint16_t marks[longest_in_lanes + 64];
    Counts reached{};
    for (std::int64_t i = 0; i < n; ++i)
        marks[i] = static_cast<std::uint16_t>(at_least(load<V>(ranks + i * L), threshold, reached));
    for (std::int64_t i = n; i % 64 != 0; ++i) marks[i] = 0;
    const Counts wanted = broadcast<Counts>(static_cast<Key<T>>(k));
    if (bits_of(Counts(reached > wanted)) != 0) {  // of those equal to the threshold, the last lose
        Counts ties = wanted;
        for (int j = 0; j < K; ++j) ties += largest[j] > threshold;
        for (std::int64_t i = 0; i < n; ++i) {
            const V found = load<V>(ranks + i * L);
            const Counts tied = (found == threshold) & (ties > Counts{});
            ties += tied;
            marks[i] = static_cast<std::uint16_t>(bits_of(Counts((found > threshold) | tied)));
        }
    }

    if (bias == nullptr && !args.relu)
        emit<T, false>(args, marks);
    else
        emit<T, true>(args, marks);
    return true;
}

template <class T, int K>
void kwta_lanes(KwtaLanesArgs& args) {
    if constexpr (std::is_floating_point_v<T>)
        if (contest_of_lanes<T, T, K>(args)) return;
    contest_of_lanes<T, Key<T>, K>(args);
}

template <class T, int K>
inline constexpr KwtaLanesRow kwta_lanes_row{value_type_of<T>, key_lanes<Key<T>>, K, kwta_lanes<T, K>};

}  // namespace cs::ukr::CS_ISA
