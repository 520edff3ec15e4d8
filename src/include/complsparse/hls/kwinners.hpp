// SPDX-License-Identifier: BSD-3-Clause
// k winners of a vector: its k largest values and where they stand. Of equal values the first win, as in
// complsparse.kwta. A winner that `relu` drops keeps its place with value 0, so that there are always k.
#pragma once

#include "complsparse/arith.hpp"
#include "complsparse/hls/types.hpp"

namespace complsparse {
namespace hls {

// A contest `C`: size, winners, relu, value_bits, index_bits, value_t (8 bits, signed or not), index_t.
template <class C>
struct Contest {
    static constexpr int places = 1 << bits_up_to(C::size - 1);
    static constexpr int key_bits = C::value_bits + 1 + bits_up_to(C::size - 1);
    static constexpr int bins = 256;

    typedef typename Signed<key_bits>::type key_t;
    typedef typename Unsigned<bits_up_to(C::size)>::type count_t;

    static_assert(C::size >= 1 && C::winners >= 1 && C::winners <= C::size, "winners must be from 1 to the size");
    static_assert(C::value_bits == 8, "values of a contest have 8 bits");
    static_assert(C::index_bits >= bits_up_to(C::size - 1), "index_bits is too narrow: indices count the entries");
    static_assert(C::size <= 65536, "a contest has at most 65,536 entries");
};

template <class C>
inline typename C::value_t kept(typename C::value_t value) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    return C::relu && !(value > typename C::value_t(0)) ? typename C::value_t(0) : value;
}

// One comparator of a sorting network.
template <class Key>
inline void order(Key& a, Key& b, bool descending) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    const bool swap = descending ? a < b : b < a;
    const Key first = swap ? b : a;
    const Key second = swap ? a : b;
    a = first;
    b = second;
}

// The contest of one pixel, in one clock: a bitonic network sorts keys of value and place, which all differ. Winners
// leave in the order of their rank, size * log2(size)**2 / 4 comparators.
template <class C>
inline void sorted_winners(const typename C::value_t (&x)[C::size], typename C::value_t (&values)[C::winners],
                           typename C::index_t (&indices)[C::winners]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Contest<C>::key_t key_t;
    constexpr int places = Contest<C>::places;
    constexpr int stages = bits_up_to(places) - 1;
    key_t keys[places];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = keys complete dim = 0
#endif
    for (int i = 0; i < places; ++i) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        const key_t least = key_t(-256 * places);
        keys[i] = i < C::size ? arith::contest_key<key_t, stages>(x[i < C::size ? i : 0], i) : least;
    }
    for (int stage = 0; stage < stages; ++stage) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int substage = 0; substage < stages; ++substage) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            for (int i = 0; i < places; ++i) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                const int distance = (1 << stage) >> substage;
                if (distance > 0 && (i & distance) == 0) {
                    order(keys[i], keys[i | distance], ((i >> (stage + 1)) & 1) == 0);
                }
            }
        }
    }
    for (int i = 0; i < C::winners; ++i) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        values[i] = kept<C>(typename C::value_t(keys[i] >> (stages)));
        indices[i] = typename C::index_t(places - 1 - int(keys[i] & key_t(places - 1)));
    }
}

// The contests of `Vectors` pixels, one in a clock. Places count the entries of a pixel, or, where they are `flat`, of
// all.
template <class C, int Vectors, bool Flat>
inline void pixel_winners(const typename C::value_t x[Vectors][C::size],
                          typename C::value_t values[Vectors][C::winners],
                          typename C::place_t places[Vectors][C::winners]) {
    for (int vector = 0; vector < Vectors; ++vector) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        typename C::index_t indices[C::winners];
        sorted_winners<C>(x[vector], values[vector], indices);
        for (int i = 0; i < C::winners; ++i) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            places[vector][i] = typename C::place_t((Flat ? vector * C::size : 0) + int(indices[i]));
        }
    }
}

// ---- of a whole layer: a histogram of 256 bins finds the value of the last winner and how many of that value win,
// then the winners leave in the order of their places. The bins are registers, because a memory would be read one clock
// too late where two neighbours are equal. A contest `C` has per_clock, the values that it takes in a clock, too.

template <class C>
struct Histogram {
    static constexpr int words = parts(C::size, C::per_clock);
    static constexpr int clocks = 2 * words + Contest<C>::bins;

    static_assert(C::per_clock >= 1 && C::per_clock <= C::size, "values in a clock must be from 1 to the size");
};

// What has been found so far of the value of the last winner.
template <class C>
struct Threshold {
    typename Contest<C>::count_t above;  // values above the bins that have been seen
    typename Contest<C>::count_t ties;   // winners of exactly the value
    typename Unsigned<8>::type value;
};

// bins + the values of a clock, those of `there` places. The bin of the least value is 0.
template <class C>
inline void count_values(const typename Unsigned<8>::type (&bin_of)[C::per_clock],
                         const typename Unsigned<1>::type (&there)[C::per_clock],
                         const typename Contest<C>::count_t (&counts)[Contest<C>::bins],
                         typename Contest<C>::count_t (&next)[Contest<C>::bins]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Contest<C>::count_t count_t;
    typedef typename Unsigned<8>::type bin_t;
    for (int bin = 0; bin < Contest<C>::bins; ++bin) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        count_t count = counts[bin];
        for (int lane = 0; lane < C::per_clock; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            const bool mine = (there[lane] != typename Unsigned<1>::type(0)) & (bin_of[lane] == bin_t(bin));
            count = count_t(count + count_t(mine ? 1 : 0));
        }
        next[bin] = count;
    }
}

// A bin is seen, from the largest value down.
template <class C>
inline void see_bin(typename Unsigned<8>::type bin, typename Contest<C>::count_t count, Threshold<C>& found) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Contest<C>::count_t count_t;
    const int above = int(found.above);
    const bool here = above < C::winners && above + int(count) >= C::winners;
    found.value = here ? bin : found.value;
    found.ties = here ? count_t(C::winners - above) : found.ties;
    found.above = count_t(above + int(count));
}

// Which values of a clock win: those above the threshold, and of its ties the first ones.
template <class C>
inline void choose(const typename Unsigned<8>::type (&bin_of)[C::per_clock],
                   const typename Unsigned<1>::type (&there)[C::per_clock], typename Unsigned<8>::type threshold,
                   typename Contest<C>::count_t ties, typename Unsigned<1>::type (&wins)[C::per_clock],
                   typename Contest<C>::count_t& ties_left) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    typedef typename Contest<C>::count_t count_t;
    typedef typename Unsigned<1>::type bit_t;
    for (int lane = 0; lane < C::per_clock; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        const bool is_there = there[lane] != bit_t(0);
        const bool tie = is_there & (bin_of[lane] == threshold) & (ties != count_t(0));
        const bool above = is_there & (bin_of[lane] > threshold);
        wins[lane] = bit_t((above | tie) ? 1 : 0);
        ties = count_t(ties - count_t(tie ? 1 : 0));
    }
    ties_left = ties;
}

template <class C>
inline void histogram_winners(const typename C::value_t (&x)[C::size], typename C::value_t (&values)[C::winners],
                              typename C::index_t (&indices)[C::winners]) {
    typedef typename Contest<C>::count_t count_t;
    typedef typename Unsigned<8>::type bin_t;
    typedef typename Unsigned<1>::type bit_t;
    constexpr int words = Histogram<C>::words;
    constexpr int bins = Contest<C>::bins;
    const int least = typename C::value_t(-1) < typename C::value_t(0) ? -128 : 0;
    count_t counts[bins];
    count_t next[bins];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = counts complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#endif
    for (int bin = 0; bin < bins; ++bin) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        counts[bin] = 0;
    }
    Threshold<C> threshold = {0, 0, 0};
    count_t ties = 0;
    int found = 0;
    for (int clock = 0; clock < Histogram<C>::clocks; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        const bool counting = clock < words;
        const bool searching = !counting && clock < words + bins;
        const bool emitting = !counting && !searching;
        const int word = counting ? clock : emitting ? clock - words - bins : 0;
        bin_t bin_of[C::per_clock];
        bit_t there[C::per_clock];
        for (int lane = 0; lane < C::per_clock; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            const int place = word * C::per_clock + lane;
            bin_of[lane] = bin_t(int(x[place < C::size ? place : 0]) - least);
            there[lane] = bit_t(place < C::size ? 1 : 0);
        }
        if (counting) {
            count_values<C>(bin_of, there, counts, next);
            for (int bin = 0; bin < bins; ++bin) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                counts[bin] = next[bin];
            }
        }
        if (searching) {
            const int bin = bins - 1 - (clock - words);
            see_bin<C>(bin_t(bin), counts[bin], threshold);
            ties = threshold.ties;
        }
        if (emitting) {
            bit_t wins[C::per_clock];
            count_t left;
            choose<C>(bin_of, there, threshold.value, ties, wins, left);
            ties = left;
            for (int lane = 0; lane < C::per_clock; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                if (wins[lane] != bit_t(0)) {
                    const int place = word * C::per_clock + lane;
                    values[found] = kept<C>(x[place]);
                    indices[found] = typename C::index_t(place);
                    ++found;
                }
            }
        }
    }
}

}  // namespace hls
}  // namespace complsparse
