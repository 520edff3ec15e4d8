// SPDX-License-Identifier: BSD-3-Clause
// kwta of many short vectors, one in each lane: the channels of neighbouring pixels.
//
// A list of the K largest so far is kept for all lanes at once. Entries come in groups of K: each is sorted by
// Batcher's odd-even network and merged with the list by a bitonic one, the lower half being dropped. What then stands
// at place k of the list is the threshold. Where k is more than a list holds, the threshold is searched: the range of
// the keys is halved until k of them are at least as great. Each lane collects its winners, entry by entry, as bits of
// words, and the words' set bits are the winners, in order.
#pragma once

#include "kernels/contest_lanes.hpp"
#include "ukr/keys.hpp"
#include "ukr/levels.hpp"

namespace cs::ukr::CS_ISA {

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

// Adds `bit` to the words of the lanes where a is at least b.
template <class V, class Words>
CS_INLINE Words mark(Words words, V a, V b, Words bit) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(a[0]) == 4) {
        __mmask16 reached;
        if constexpr (std::is_same_v<V, vec<float, 16>>)
            reached = _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
        else
            reached = _mm512_cmpge_epi32_mask((__m512i)a, (__m512i)b);
        return (Words)_mm512_mask_or_epi32((__m512i)words, reached, (__m512i)words, (__m512i)bit);
    }
#endif
    return words | ((Words)(a >= b) & bit);
}

// The winners of all lanes: lane by lane a bit for each entry.
template <class T>
struct Marks {
    using Word = std::make_unsigned_t<Key<T>>;
    static constexpr int lanes = key_lanes<Key<T>>, bits = 8 * static_cast<int>(sizeof(Word));
    alignas(64) Word words[longest_in_lanes / bits + 1][lanes];

    // marked(words, i, bit): `words` with `bit` added in the lanes where entry i wins.
    template <class Marked>
    CS_INLINE void set(std::int64_t n, Marked marked) {
        using Words = vec<Word, lanes>;
        std::int64_t word = 0;
        for (std::int64_t first = 0; first < n; first += bits, ++word) {
            const std::int64_t last = first + bits < n ? first + bits : n;
            Words found{}, bit = broadcast<Words>(Word(1));
            for (std::int64_t i = first; i < last; ++i, bit += bit) found = marked(found, i, bit);
            store(words[word], found);
        }
        store(words[word], Words{});  // entries are read 64 at a time
    }

    // Whether each of the first lanes has exactly k marks among n entries.
    CS_INLINE bool are(std::int64_t k, std::int64_t n, std::int64_t some_lanes) const {
        using Words = vec<Word, lanes>;
        // Sums of neighbouring bits, of pairs, of quads; then of all bytes, in the highest one.
        constexpr Word all = static_cast<Word>(~Word(0));
        Words counted{};
        std::int64_t word = 0;
        for (std::int64_t first = 0; first < n; first += bits, ++word) {
            Words sums = load<Words>(words[word]);
            sums -= (sums >> 1) & (all / 3);
            sums = (sums & (all / 5)) + ((sums >> 2) & (all / 5));
            sums = (sums + (sums >> 4)) & (all / 17);
            counted += (sums * (all / 255)) >> (bits - 8);
        }
        alignas(64) Word counts[lanes];
        store(counts, counted);
        bool exactly = true;
        for (std::int64_t lane = 0; lane < some_lanes; ++lane) exactly &= counts[lane] == static_cast<Word>(k);
        return exactly;
    }

    // Of entries `first` to `first` + 63, a multiple of 64.
    CS_INLINE std::uint64_t of(std::int64_t lane, std::int64_t first) const {
        if constexpr (bits == 64)
            return words[first / 64][lane];
        else
            return words[first / 32][lane] | std::uint64_t{words[first / 32 + 1][lane]} << 32;
    }
};

// Writes the marked entries of every lane, k of each. `Finish`: there is a bias, or winners must be above zero.
template <class T, bool Finish>
CS_INLINE void emit(const ContestLanesArgs& args, const Marks<T>& marks) {
    const T* const bias = static_cast<const T*>(args.bias);
    const std::int64_t n = args.n, stride = args.stride, k = args.k;
    const bool relu = args.relu;
    for (std::int64_t lane = 0; lane < args.vectors; ++lane) {
        const T* const x = static_cast<const T*>(args.x) + lane;
        T* const values = static_cast<T*>(args.values) + lane * k;
        std::int32_t* const indices = args.indices + lane * k;
        std::int64_t found = 0, kept = 0, first = 0;
        auto take = [&](std::uint64_t left) {
            const std::int64_t i = first + __builtin_ctzll(left);
            T value = x[i * stride];
            if (Finish && bias != nullptr) value = static_cast<T>(value + bias[i]);
            values[kept] = value;
            indices[kept] = static_cast<std::int32_t>(i);
            ++found;
            kept += !Finish || !relu || value > T(0);
        };
        // Were x changed meanwhile, there might be more marks than k, or fewer: what is written stays in bounds.
        for (; first + 64 < n; first += 64)
            for (std::uint64_t left = marks.of(lane, first); left != 0 && found < k; left &= left - 1) take(left);
        // How many are left to find is known: a loop until no bit is left would be foreseen worse.
        const std::uint64_t last_entry = std::uint64_t{1} << (n - 1 - first);
#pragma GCC unroll 1
        for (std::uint64_t left = marks.of(lane, first); found < k; left &= left - 1) take(left | last_entry);
        args.counts[lane] = kept;
    }
}

// each(i, ranks) for all entries, with bias and boost.
template <class T, class Each>
CS_INLINE void for_ranked(const ContestLanesArgs& args, Each each) {
    constexpr int L = key_lanes<Key<T>>;
    // One line of each of n rows is more than the hardware follows: where x comes from beyond L2, a call that does not
    // ask for the lines of the next but one takes half as long again.
    constexpr std::int64_t ahead = 2 * L;
    const T* const x = static_cast<const T*>(args.x);
    const T *const bias = static_cast<const T*>(args.bias), *const boost = static_cast<const T*>(args.boost);
    for (std::int64_t i = 0; i < args.n; ++i) {
        auto values = load_ranked<T>(x + i * args.stride);
        __builtin_prefetch(x + i * args.stride + ahead);
        if (bias != nullptr) values = values + static_cast<Ranked<T>>(bias[i]);
        if (boost != nullptr) values = values * static_cast<Ranked<T>>(boost[i]);
        each(i, values);
    }
}

// Writes the winners: of the entries that are at least the threshold of their lane, the first k.
// may_tie: whether there may be more, which counting tells.
template <class T, class V, class Entry>
CS_INLINE void settle(const ContestLanesArgs& args, V threshold, Entry entry, bool may_tie) {
    const std::int64_t n = args.n, k = args.k;
    Marks<T> marks;
    marks.set(n, [&](auto words, std::int64_t i, auto bit) { return mark(words, entry(i), threshold, bit); });
    if (may_tie && !marks.are(k, n, args.vectors)) {  // of those equal to the threshold the last lose
        using Counts = Keys<Key<T>>;
        Counts ties = broadcast<Counts>(static_cast<Key<T>>(k));
        for (std::int64_t i = 0; i < n; ++i) ties += entry(i) > threshold;
        marks.set(n, [&](auto words, std::int64_t i, auto bit) {
            const V found = entry(i);
            const Counts tied = (found == threshold) & (ties > Counts{});
            ties += tied;
            return words | ((decltype(words))((found > threshold) | tied) & bit);
        });
    }
    if (args.bias == nullptr && !args.relu)
        emit<T, false>(args, marks);
    else
        emit<T, true>(args, marks);
}

// The contest with values ranked as R: T itself, which is fast, or keys. False, and nothing is written, where NaN
// might have won as -inf.
template <class T, class R, int K>
bool contest_of_lanes(ContestLanesArgs& args) {
    static_assert((K & (K - 1)) == 0, "bitonic networks halve");
    constexpr int L = key_lanes<Key<T>>;
    using V = vec<R, L>;
    constexpr bool as_keys = std::is_same_v<R, Key<T>>;
    const std::int64_t n = args.n, k = args.k;

    V lowest{};
    if constexpr (as_keys)
        lowest = broadcast<V>(least_key<R>);
    else
        lowest -= std::numeric_limits<R>::infinity();
    // Entries that rank as they are, in whole groups, need no copy.
    const R* ranks = static_cast<const R*>(args.x);
    std::int64_t step = args.stride;
    if (!std::is_same_v<T, R> || args.bias != nullptr || args.boost != nullptr || n % K != 0) {
        R* const copied = static_cast<R*>(args.keys);
        for_ranked<T>(args, [&](std::int64_t i, auto values) {
            if constexpr (as_keys)
                store(copied + i * L, keys_of<T>(values));
            else
                store(copied + i * L, values);
        });
        for (std::int64_t i = n; i % K != 0; ++i) store(copied + i * L, lowest);
        ranks = copied;
        step = L;
    }
    auto entry = [=](std::int64_t i) { return load<V>(ranks + i * step); };
    auto rank = [=](std::int64_t i) {
        __builtin_prefetch(ranks + i * step + 2 * L);
        if constexpr (as_keys)
            return entry(i);
        else
            return greater_of(entry(i), lowest);  // NaN becomes -inf
    };
    V largest[K];
    for (int j = 0; j < K; ++j) largest[j] = rank(j);
    sort<V, K, true>(largest);
    for (std::int64_t i = K; i < n; i += K) {
        V group[K];
        for (int j = 0; j < K; ++j) group[j] = rank(i + j);
        sort<V, K, false>(group);
        for (int j = 0; j < K; ++j) largest[j] = greater_of(largest[j], group[j]);
        sort_bitonic<V, K, true>(largest);
    }
    const V threshold = largest[k - 1];
    if constexpr (!as_keys)
        if (bits_of(threshold == lowest) != 0) return false;
    settle<T>(args, threshold, entry, k == K || bits_of(largest[k] == threshold) != 0);
    return true;
}

// Counts the lanes where a is at least b.
template <class V>
CS_INLINE V count(V counts, V a, V b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(a[0]) == 4)
        return (V)_mm512_mask_sub_epi32((__m512i)counts, _mm512_cmpge_epi32_mask((__m512i)a, (__m512i)b),
                                        (__m512i)counts, _mm512_set1_epi32(-1));
    if constexpr (sizeof(V) == 64 && sizeof(a[0]) == 8)
        return (V)_mm512_mask_sub_epi64((__m512i)counts, _mm512_cmpge_epi64_mask((__m512i)a, (__m512i)b),
                                        (__m512i)counts, _mm512_set1_epi64(-1));
#endif
    return counts - (V)(a >= b);
}

// The contest of any number of winners.
template <class T>
void contest_by_search(ContestLanesArgs& args) {
    using R = Key<T>;
    using V = Keys<R>;
    using Widths = vec<std::make_unsigned_t<R>, key_lanes<R>>;
    const V k = broadcast<V>(static_cast<R>(args.k));
    R* const keys = static_cast<R*>(args.keys);
    V low = broadcast<V>(std::numeric_limits<R>::max()), high = broadcast<V>(least_key<R>);
    for_ranked<T>(args, [&](std::int64_t i, auto values) {
        const V key = keys_of<T>(values);
        store(keys + i * key_lanes<R>, key);
        low = lesser_of(low, key), high = greater_of(high, key);
    });
    auto entry = [=](std::int64_t i) { return load<V>(keys + i * key_lanes<R>); };
    auto at_least = [&](V key) {
        V counts{};
        for (std::int64_t i = 0; i < args.n; ++i) counts = count(counts, entry(i), key);
        return counts;
    };
    // The threshold is at least `low` and below low + width: so many that a signed number may not hold them.
    V reached = at_least(high);
    Widths width = (Widths)high - (Widths)low;
    low = reached >= k ? high : low;
    width = reached >= k ? Widths{} + 1 : width;
    while (bits_of((V)(width > 1)) != 0) {
        const Widths half = width >> 1;
        const V middle = (V)((Widths)low + half);
        reached = at_least(middle);
        low = reached >= k ? middle : low;
        width = reached >= k ? width - half : half;
        width = reached == k ? Widths{} + 1 : width;
    }
    settle<T>(args, low, entry, true);
}

template <class T, int K>
void contest_lanes(ContestLanesArgs& args) {
    if constexpr (std::is_floating_point_v<T>)
        if (contest_of_lanes<T, T, K>(args)) return;
    contest_of_lanes<T, Key<T>, K>(args);
}

template <class T>
inline constexpr ContestLanesRow contest_by_search_row{type_of<T>, key_lanes<Key<T>>,
                                                       static_cast<int>(longest_in_lanes), contest_by_search<T>};
template <class T, int K>
inline constexpr ContestLanesRow contest_lanes_row{type_of<T>, key_lanes<Key<T>>, K, contest_lanes<T, K>};

static constexpr ContestLanesRow contest_lanes_of_every_level[] = {
    contest_lanes_row<float, 4>,         contest_lanes_row<float, 8>,         contest_lanes_row<float, 16>,
    contest_lanes_row<double, 8>,        contest_lanes_row<double, 16>,       contest_lanes_row<std::int8_t, 8>,
    contest_lanes_row<std::int8_t, 16>,  contest_lanes_row<std::uint8_t, 8>,  contest_lanes_row<std::uint8_t, 16>,
    contest_lanes_row<std::int32_t, 8>,  contest_lanes_row<std::int32_t, 16>, contest_lanes_row<std::int64_t, 8>,
    contest_lanes_row<std::int64_t, 16>, contest_by_search_row<float>,        contest_by_search_row<double>,
    contest_by_search_row<std::int32_t>, contest_by_search_row<std::int64_t>,
};
template <>
struct EveryLevel<ContestLanesRow> {
    static constexpr Rows<ContestLanesRow> rows = table_rows(contest_lanes_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
