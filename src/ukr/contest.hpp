// SPDX-License-Identifier: BSD-3-Clause
// kwta: the k largest of one long vector, exactly, in two passes over it.
//
// The first pass turns values into keys and sorts out those inside a window that should hold the k-th largest: from a
// sample, or from the last vector's threshold. Counting proves the window right; a wrong one costs time, not exactness.
// The candidates inside (a few percent) are narrowed by counting above pivots, interpolated between the known counts.
// The second pass writes the winners. Both are bound by what one vector takes: some ten instructions.
#pragma once

#include "kernels/contest.hpp"
#include "ukr/contest_bytes.hpp"
#include "ukr/keys.hpp"
#include "ukr/levels.hpp"

namespace cs::ukr::CS_ISA {

template <class K>
using Unsigned = std::make_unsigned_t<K>;

template <class K>
CS_INLINE K plus(K key, Unsigned<K> distance) {
    return static_cast<K>(static_cast<Unsigned<K>>(key) + distance);
}

// a - b for a >= b
template <class K>
CS_INLINE Unsigned<K> distance(K a, K b) {
    return static_cast<Unsigned<K>>(a) - static_cast<Unsigned<K>>(b);
}

// key + distance and key - distance, within the range of keys.
template <class K>
CS_INLINE K up(K key, Unsigned<K> by) {
    const Unsigned<K> room = distance(std::numeric_limits<K>::max(), key);
    return plus(key, by < room ? by : room);
}
template <class K>
CS_INLINE K down(K key, Unsigned<K> by) {
    const Unsigned<K> room = distance(key, least_key<K>);
    return plus(key, 0 - (by < room ? by : room));
}

// Winners are the keys above `threshold` and the first `ties` of those equal to it.
template <class K>
struct Verdict {
    K threshold;
    std::int64_t ties;
};

// What is known while the k-th largest key is sought: it lies in [low, high], `above_high` keys are greater than high
// and `from_low` (at least k) are low or greater.
template <class K>
struct Range {
    K low, high;
    std::int64_t from_low, above_high;
};

// The rank-th largest of `count` keys, at most one vector of them, the rest of the vector filled with least_key.
template <class K>
Verdict<K> rank_few(const K* keys, std::int64_t count, std::int64_t rank) {
    using V = Keys<K>;
    const V own = load<V>(keys);
    V greater{};  // how many are greater, lane by lane
    for (std::int64_t i = 0; i < count; ++i) greater -= broadcast<V>(keys[i]) > own;
    K threshold = std::numeric_limits<K>::max();
    std::int64_t above_it = 0;
    for (int lane = 0; lane < key_lanes<K>; ++lane)
        if (greater[lane] < rank && own[lane] <= threshold) threshold = own[lane], above_it = greater[lane];
    return {threshold, rank - above_it};
}

// Copies the keys of [low, high] to `to` (which may be `from`), padded to whole vectors; how many they are. `reached`:
// how many of them are at least the pivot, which is above low.
template <class K>
std::int64_t narrow(const K* from, std::int64_t n, K* to, K low, K high, K pivot, std::int64_t& reached) {
    using V = Keys<K>;
    constexpr int L = key_lanes<K>;
    const V lows = broadcast<V>(low), highs = broadcast<V>(high),
            under = broadcast<V>(plus<K>(pivot, Unsigned<K>(0) - 1));
    std::int64_t count = 0;
    reached = 0;
    for (std::int64_t i = 0; i < n; i += L) {
        const V keys = load<V>(from + i);
        const Mask all = n - i < L ? (Mask(1) << (n - i)) - 1 : static_cast<Mask>((std::uint64_t(1) << L) - 1);
        const Mask inside = all & ~(above<K>(keys, highs) | above<K>(lows, keys));
        reached += count_of(inside & above<K>(keys, under));
        count += compress(to + count, inside, keys);
    }
    store(to + count, broadcast<V>(least_key<K>));
    return count;
}

// The k-th largest key, from n keys among which it is known to be.
template <class K>
Verdict<K> decide(const K* keys, std::int64_t n, K* candidates, std::int64_t k, Range<K> range) {
    for (int step = 0;; ++step) {
        if (range.from_low == k) return {range.low, n};  // exactly those from low on
        if (range.low == range.high) return {range.low, k - range.above_high};
        const std::int64_t inside = range.from_low - range.above_high;
        const Unsigned<K> width = distance(range.high, range.low);
        const bool few = inside <= key_lanes<K>;
        // Every third pivot halves the range, so that no distribution takes more than a few steps per bit.
        const double share =
            step % 3 == 2 ? 0.5 : (static_cast<double>(k - range.above_high) - 0.25) / static_cast<double>(inside);
        Unsigned<K> drop = static_cast<Unsigned<K>>(static_cast<double>(width) * share);
        if (drop >= width) drop = width - 1;
        const K pivot = down<K>(range.high, drop);
        std::int64_t reached;
        n = narrow<K>(keys, n, candidates, range.low, range.high, few ? plus<K>(range.low, 1) : pivot, reached);
        keys = candidates;
        if (few) return rank_few(candidates, n, k - range.above_high);
        if (range.above_high + reached >= k)
            range.low = pivot, range.from_low = range.above_high + reached;
        else
            range.high = plus<K>(pivot, Unsigned<K>(0) - 1), range.above_high += reached;
    }
}

// The rank-th largest of a few vectors of keys, rounded down by dropping low bits: a guess, for a window's edge.
template <class K, int n>
CS_INLINE K guess(const Keys<K> (&keys)[n], int rank, K least, K greatest) {
    using V = Keys<K>;
    const Unsigned<K> width = distance(greatest, least);
    Unsigned<K> found = 0;
    Unsigned<K> bit = 1;
    while (bit <= width / 2) bit *= 2;
    for (int step = 0; step < 12 && bit != 0; ++step, bit /= 2) {
        const Unsigned<K> next = found + bit;
        if (next > width || next == 0) continue;
        const V under = broadcast<V>(plus<K>(least, next - 1));
        int count = 0;
        for (int i = 0; i < n; ++i) count += count_of(above<K>(keys[i], under));
        if (count >= rank) found = next;
    }
    return plus<K>(least, found);
}

// All of n keys.
template <class K>
CS_INLINE Range<K> range_of(const K* keys, std::int64_t n) {
    using V = Keys<K>;
    constexpr int L = key_lanes<K>;
    V lows = broadcast<V>(keys[0]), highs = lows;
    std::int64_t i = 0;
    for (; i + L <= n; i += L) {
        const V found = load<V>(keys + i);
        lows = lesser_of(lows, found), highs = greater_of(highs, found);
    }
    Range<K> range{lows[0], highs[0], n, 0};
    auto include = [&range](K low, K high) {
        range.low = low < range.low ? low : range.low;
        range.high = high > range.high ? high : range.high;
    };
    for (int lane = 1; lane < L; ++lane) include(lows[lane], highs[lane]);
    for (; i < n; ++i) include(keys[i], keys[i]);
    return range;
}

template <class K>
struct Bracket {
    K low, high;
};

template <class T>
CS_INLINE Keys<Key<T>> keys_at(const T* x, const T* bias, const T* boost) {
    auto values = load_ranked<T>(x);
    if (bias != nullptr) values = values + load_ranked<T>(bias);
    if (boost != nullptr) values = values * load_ranked<T>(boost);
    return keys_of<T>(values);
}

inline constexpr int sample_vectors = 4;

// From a sample: the ranks where k should lie, with three standard deviations to either side.
template <class T>
CS_INLINE Bracket<Key<T>> sampled_window(const T* x, const T* bias, const T* boost, std::int64_t n, std::int64_t k) {
    using K = Key<T>;
    constexpr int L = key_lanes<K>, drawn = sample_vectors * L;
    Keys<K> sample[sample_vectors];
    for (int i = 0; i < sample_vectors; ++i) {
        const std::int64_t at = (n - L) * i / (sample_vectors - 1);
        sample[i] = keys_at<T>(x + at, bias ? bias + at : nullptr, boost ? boost + at : nullptr);
    }
    Keys<K> greatest = sample[0], least = sample[0];
    for (int i = 1; i < sample_vectors; ++i)
        greatest = greater_of(greatest, sample[i]), least = lesser_of(least, sample[i]);
    K first = least[0], last = greatest[0];
    for (int lane = 1; lane < L; ++lane) {
        first = least[lane] < first ? least[lane] : first;
        last = greatest[lane] > last ? greatest[lane] : last;
    }
    const float share = static_cast<float>(k) / static_cast<float>(n), middle = share * drawn;
    // sqrt by its bound: deviations need no precision
    const float variance = middle * (1 - share);
    float deviation = variance / 2 + 0.5f;
    for (int i = 0; i < 3; ++i) deviation = (deviation + variance / deviation) / 2;
    const int low_rank = static_cast<int>(middle + 2.5f * deviation) + 1;
    const int high_rank = static_cast<int>(middle - 2.5f * deviation);
    Bracket<K> window{least_key<K>, std::numeric_limits<K>::max()};
    if (low_rank <= drawn) window.low = guess<K>(sample, low_rank, first, last);
    if (high_rank >= 1) {
        // One step of the guess's rounding higher, so that a rounded edge keeps the rank inside.
        const Unsigned<K> step = distance(last, first) >> 11;
        window.high = up<K>(guess<K>(sample, high_rank, first, last), step);
    }
    return window;
}

// How many keys the first pass found above the window, and inside.
struct WindowCounts {
    std::int64_t above = 0, inside = 0;
};

// The k-th largest of n keys: among the candidates if the window held it, else on the side where it lies.
template <class K>
CS_INLINE Verdict<K> decide_by_window(const K* keys, std::int64_t n, K* candidates, std::int64_t k, Bracket<K> window,
                                      WindowCounts counts) {
    const std::int64_t from_window = counts.above + counts.inside;
    if (counts.above >= k)
        return decide<K>(keys, n, candidates, k,
                         {plus<K>(window.high, 1), std::numeric_limits<K>::max(), counts.above, 0});
    if (from_window < k)
        return decide<K>(keys, n, candidates, k,
                         {least_key<K>, plus<K>(window.low, Unsigned<K>(0) - 1), n, from_window});
    store(candidates + counts.inside, broadcast<Keys<K>>(least_key<K>));
    return decide<K>(candidates, counts.inside, candidates, k, {window.low, window.high, from_window, counts.above});
}

// The next window: as wide as it takes for a few hundred keys at most.
template <class K>
CS_INLINE void learn(ContestHint& hint, const ContestArgs& args, K threshold, Bracket<K> window, WindowCounts counts) {
    const bool held = counts.above < args.k && counts.above + counts.inside >= args.k;
    std::uint64_t spread = hint.spread;
    if (spread == 0) spread = distance(window.high, window.low) / 4;
    if (!held)
        spread = spread < std::uint64_t(1) << 60 ? spread * 4 : spread;
    else if (counts.inside > args.wanted_candidates)
        spread -= spread / 4;
    else
        spread += spread / 8;
    hint.threshold = threshold;
    hint.spread = spread + (spread == 0);
}

// The second pass: the winners, in their order.
template <class T>
CS_INLINE void write_winners(ContestArgs& args, const T* x, const Key<T>* keys, Verdict<Key<T>> verdict) {
    using K = Key<T>;
    using V = Keys<K>;
    using Values = vec<Ranked<T>, key_lanes<K>>;
    constexpr int L = key_lanes<K>;
    const std::int64_t n = args.n;
    T* const values_out = static_cast<T*>(args.values);
    const V thresholds = broadcast<V>(verdict.threshold);
    std::int64_t ties = verdict.ties, count = 0;
    V places;
    for (int lane = 0; lane < L; ++lane) places[lane] = lane;
    for (std::int64_t i = 0; i < n; i += L, places += L) {
        const V found = load<V>(keys + i);
        Mask winners = above<K>(found, thresholds), equal = same<K>(found, thresholds);
        if (i + L > n) equal &= (Mask(1) << (n - i)) - 1, winners &= (Mask(1) << (n - i)) - 1;
        if (equal != 0) {
            if (count_of(equal) > ties) equal = lowest(equal, ties);
            ties -= count_of(equal);
            winners |= equal;
        }
        if (winners == 0) continue;
        if constexpr (std::is_floating_point_v<T>) {
            Values values;
            if (i + L <= n) {
                values = load<Values>(x + i);
            } else {
                values = Values{};
                std::memcpy(&values, x + i, static_cast<std::size_t>(n - i) * sizeof(T));
            }
            if (args.relu) winners &= above<K>(keys_of<T>(values), V{});
            compress(values_out + count, winners, values);
        } else {
            if (args.relu) winners &= above<K>(found, V{});
            compress(values_out + count, winners, found);
        }
        count += compress(args.indices + count, winners, places);
    }
    args.count = count;
}

template <class T>
void contest(ContestArgs& args) {
    using K = Key<T>;
    using V = Keys<K>;
    using Values = vec<Ranked<T>, key_lanes<K>>;
    constexpr int L = key_lanes<K>;
    const T *x = static_cast<const T*>(args.x), *bias = static_cast<const T*>(args.bias);
    const T* const boost = static_cast<const T*>(args.boost);
    K *const keys = static_cast<K*>(args.keys), *const candidates = static_cast<K*>(args.candidates);
    const std::int64_t n = args.n, k = args.k;
    ContestHint& hint = *args.hint;

    Bracket<K> window{least_key<K>, std::numeric_limits<K>::max()};
    const bool large = n >= 4 * sample_vectors * L;
    if (large && hint.spread != 0)
        window = {down<K>(static_cast<K>(hint.threshold), static_cast<Unsigned<K>>(hint.spread)),
                  up<K>(static_cast<K>(hint.threshold), static_cast<Unsigned<K>>(hint.spread))};
    else if (large)
        window = sampled_window<T>(x, bias, boost, n, k);

    // First pass. The last, incomplete vector is read from a copy; the keys behind it are the least.
    T* const sums = static_cast<T*>(args.sums);
    const V lows = broadcast<V>(window.low), highs = broadcast<V>(window.high);
    WindowCounts counts;
    auto step = [&](const T* values_at, const T* bias_at, const T* boost_at, std::int64_t i, Mask all, T* sums_at) {
        Values values = load_ranked<T>(values_at);
        if (bias_at != nullptr) {
            values = values + load_ranked<T>(bias_at);
            if constexpr (sizeof(T) == sizeof(K)) store(sums_at, values);
        }
        if (boost_at != nullptr) values = values * load_ranked<T>(boost_at);
        const V found = keys_of<T>(values);
        store(keys + i, found);
        const Mask over = all & above<K>(found, highs);
        counts.above += count_of(over);
        if (large) counts.inside += compress(candidates + counts.inside, all & ~over & ~above<K>(lows, found), found);
    };
    constexpr Mask whole = static_cast<Mask>((std::uint64_t(1) << L) - 1);
    std::int64_t i = 0;
    for (; i + L <= n; i += L)
        step(x + i, bias ? bias + i : nullptr, boost ? boost + i : nullptr, i, whole, sums + (bias ? i : 0));
    if (i < n) {
        T rest[3][L] = {};
        const std::size_t bytes = static_cast<std::size_t>(n - i) * sizeof(T);
        std::memcpy(rest[0], x + i, bytes);
        if (bias != nullptr) std::memcpy(rest[1], bias + i, bytes);
        if (boost != nullptr) std::memcpy(rest[2], boost + i, bytes);
        step(rest[0], bias ? rest[1] : nullptr, boost ? rest[2] : nullptr, i, (Mask(1) << (n - i)) - 1,
             sums + (bias ? i : 0));
    }
    if (bias != nullptr) x = sums;

    Verdict<K> verdict{least_key<K>, n};
    if (k < n)
        verdict = large ? decide_by_window<K>(keys, n, candidates, k, window, counts)
                        : decide<K>(keys, n, candidates, k, range_of(keys, n));
    if (large && k < n) learn<K>(hint, args, verdict.threshold, window, counts);
    write_winners<T>(args, x, keys, verdict);
}

template <class T>
inline constexpr ContestRow contest_row{type_of<T>, contest<T>};
template <class T>
inline constexpr ContestRow byte_contest_row{type_of<T>, contest_bytes<T>, bytes_in_register};

static constexpr ContestRow contest_of_every_level[] = {
    contest_row<float>,        contest_row<double>,       byte_contest_row<std::int8_t>, byte_contest_row<std::uint8_t>,
    contest_row<std::int32_t>, contest_row<std::int64_t>,
};
template <>
struct EveryLevel<ContestRow> {
    static constexpr Rows<ContestRow> rows = table_rows(contest_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
