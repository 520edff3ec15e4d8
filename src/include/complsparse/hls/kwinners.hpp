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

// The contest of a whole layer: a histogram of 256 bins finds the value of the last winner and how many of that value
// win, then the winners leave in the order of their places. 2 * size + 256 clocks for a vector, one value in each of
// the first and of the last `size`; the bins are registers, because a memory would be read one clock too late where two
// neighbours are equal.
template <class C>
inline void histogram_winners(const typename C::value_t (&x)[C::size], typename C::value_t (&values)[C::winners],
                              typename C::index_t (&indices)[C::winners]) {
    typedef typename Contest<C>::count_t count_t;
    constexpr int bins = Contest<C>::bins;
    // The bin of the least value is 0.
    const int least = typename C::value_t(-1) < typename C::value_t(0) ? -128 : 0;
    count_t counts[bins];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = counts complete dim = 0
#endif
    for (int bin = 0; bin < bins; ++bin) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        counts[bin] = 0;
    }
    int above = 0;  // values above the bins that have been seen
    int threshold = 0;
    int ties = 0;  // winners of exactly the threshold
    int found = 0;
    for (int clock = 0; clock < 2 * C::size + bins; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        const bool counting = clock < C::size;
        const bool searching = !counting && clock < C::size + bins;
        const int place = counting ? clock : searching ? 0 : clock - C::size - bins;
        const int value = int(x[place]) - least;
        const int seen = searching ? bins - 1 - (clock - C::size) : 0;
        const int count = int(counts[seen]);
        for (int bin = 0; bin < bins; ++bin) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            counts[bin] = count_t(counts[bin] + count_t(counting && bin == value ? 1 : 0));
        }
        const bool here = searching && above < C::winners && above + count >= C::winners;
        threshold = here ? seen : threshold;
        ties = here ? C::winners - above : ties;
        above += searching ? count : 0;

        const bool emitting = !counting && !searching;
        const bool tie = emitting && value == threshold && ties > 0;
        const bool wins = emitting && (value > threshold || tie);
        if (wins) {
            values[found] = kept<C>(x[place]);
            indices[found] = typename C::index_t(place);
        }
        ties -= tie ? 1 : 0;
        found += wins ? 1 : 0;
    }
}

}  // namespace hls
}  // namespace complsparse
