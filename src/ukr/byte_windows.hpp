// SPDX-License-Identifier: BSD-3-Clause
// Byte windows: activations permuted to the weights of each row, quads of products added up by one instruction.
//
// A step of 64 slots takes three loads (places, weights, a window of x) and two instructions where the level has vpermb
// and vpdpbusd; weights and places pass through L1 once, so that they bound it: 128 bytes a step, or 96 where places
// are of four bits, which two instructions more spread. Without vpermb each 16 columns of a window take a shuffle and
// three instructions to find who asks for them. Without vpdpbusd a product of quads takes eight.
#pragma once

#include "kernels/byte_windows.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

#ifdef __AVX2__

template <int Lanes>
using Sums = vec<std::int32_t, Lanes>;

// Bytes at places within 16 neighbouring ones from 16 * Segment on; zero elsewhere. A shuffle gives zero where the top
// bit of its control is set, which saturating addition sets for all places beyond: the others become 0x70 to 0x7f, of
// which it reads the low four bits.
template <int Segment, int Lanes>
CS_INLINE Sums<Lanes> pick_segment(const std::uint8_t* x, Sums<Lanes> places) {
    const __m128i segment = load<__m128i>(x + 16 * Segment);
#ifdef __AVX512BW__
    if constexpr (Lanes == 16) {
        const __m512i within = _mm512_sub_epi8((__m512i)places, _mm512_set1_epi8(16 * Segment));
        const __m512i control = _mm512_adds_epu8(within, _mm512_set1_epi8(0x70));
        return (Sums<16>)_mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(0xffff, segment), control);
    }
#endif
    if constexpr (Lanes == 8) {
        const __m256i within = _mm256_sub_epi8((__m256i)places, _mm256_set1_epi8(16 * Segment));
        const __m256i control = _mm256_adds_epu8(within, _mm256_set1_epi8(0x70));
        return (Sums<8>)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(segment), control);
    }
}

template <int Lanes, int Window, int Segment = 0>
CS_INLINE Sums<Lanes> pick_by_segments(const std::uint8_t* x, Sums<Lanes> places) {
    const Sums<Lanes> picked = pick_segment<Segment, Lanes>(x, places);
    if constexpr (16 * (Segment + 1) < Window)
        return picked | pick_by_segments<Lanes, Window, Segment + 1>(x, places);
    else
        return picked;
}

// The bytes of a window at the places given.
template <int Lanes, int Window>
CS_INLINE Sums<Lanes> pick_bytes(const std::uint8_t* x, Sums<Lanes> given) {
#ifdef __AVX512VBMI__
    const __m512i places = (__m512i)given;
    auto pick_pair = [&](const std::uint8_t* from) {
        return _mm512_permutex2var_epi8(load<__m512i>(from), places, load<__m512i>(from + 64));
    };
    if constexpr (Window == 64)
        return (Sums<Lanes>)_mm512_maskz_permutexvar_epi8(~__mmask64{0}, places, load<__m512i>(x));
    else if constexpr (Window == 128)
        return (Sums<Lanes>)pick_pair(x);
    else
        return (Sums<Lanes>)_mm512_mask_blend_epi8(_mm512_movepi8_mask(places), pick_pair(x), pick_pair(x + 128));
#else
    return pick_by_segments<Lanes, Window>(x, given);
#endif
}

// sums += the four products of unsigned x and signed w in each lane, modulo 2^32.
template <int Lanes>
CS_INLINE Sums<Lanes> add_quads(Sums<Lanes> sums, Sums<Lanes> x, Sums<Lanes> w) {
#ifdef __AVX512VNNI__
    if constexpr (Lanes == 16) return (Sums<16>)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)x, (__m512i)w);
#endif
    if constexpr (Lanes == 8) {
#ifdef __AVXVNNI__
        return (Sums<8>)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)x, (__m256i)w);
#else
        // vpmaddubsw saturates the sum of two products at 16 bits. Those of 7 bits of x lie within 2 * 127 * 128, those
        // of its top bit within -2 * 128 * 128 = -2^15 and 2 * 128 * 127: neither saturates.
        const __m256i top = _mm256_set1_epi8(-128), ones = _mm256_set1_epi16(1);
        const __m256i low_pairs = _mm256_maddubs_epi16(_mm256_andnot_si256(top, (__m256i)x), (__m256i)w);
        const __m256i top_pairs = _mm256_maddubs_epi16(_mm256_and_si256(top, (__m256i)x), (__m256i)w);
        return sums + ((Sums<8>)_mm256_madd_epi16(low_pairs, ones) + (Sums<8>)_mm256_madd_epi16(top_pairs, ones));
#endif
    }
}

// The sums of a unit's rows, finished, into a column of y.
template <int Lanes>
CS_INLINE void write_unit(const ByteWindowsArgs& args, Finish<std::int32_t> finish, std::int64_t unit, std::int32_t* y,
                          Sums<Lanes> sums) {
    const std::int64_t first = unit * Lanes;
    if (args.rows == nullptr && first + Lanes <= args.n_rows) return store(y + first, finish.rows(sums, first));
    std::int32_t apart[Lanes];
    store(apart, sums);
    for (int l = 0; l < Lanes; ++l) {
        const std::int64_t row = args.rows == nullptr ? first + l : args.rows[first + l];
        if (args.rows == nullptr ? row < args.n_rows : args.rows[first + l] != no_row)
            y[row] = finish.rows(apart[l], row);
    }
}

// What of steps is fetched ahead of them, where weights do not stay in L2: a stream of its own is not kept up with.
inline constexpr int fetched_ahead = 1536;

template <int Lanes, int Window, int N, bool Quarters = false>
void byte_windows(const ByteWindowsArgs& given) {
    constexpr int chains = N == 1 ? 4 : N == 2 ? 2 : 1;  // of sums that do not wait for each other
    constexpr std::int64_t quads = Lanes * byte_quad;
    using V = Sums<Lanes>;
    const ByteWindowsArgs args = given;  // which no store may change
    const auto finish = Finish<std::int32_t>::of(args.finish);
    for (std::int64_t unit = 0; unit < args.n_units; ++unit) {
        V sums[chains][N]{};
        if (args.starts != nullptr)
            for (int n = 0; n < N; ++n) sums[0][n] = load<V>(args.starts + unit * Lanes);
        std::int64_t step = args.first_steps[unit];
        const std::int64_t last = args.first_steps[unit + 1];
        auto add = [&](std::int64_t at, V places, const std::uint8_t* from, V* to) {
            const std::uint8_t* const x = args.x + args.bases[at];
            const V weights = load<V>(from);
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n)
                to[n] = add_quads<Lanes>(to[n], pick_bytes<Lanes, Window>(x + n * args.x_stride, places), weights);
        };
        if constexpr (Quarters) {
            auto add_two = [&](std::int64_t at, V* first, V* second) {
                const std::uint8_t* const from = args.steps + at * bytes_of_step(Lanes, true);
                for (int line = 0; line < 3; ++line) __builtin_prefetch(from + fetched_ahead + line * quads);
                const V places = load<V>(from), quarters = broadcast<V>(0x30201000);
                add(at, (places & 0x0f0f0f0f) | quarters, from + quads, first);
                add(at + 1, ((places >> 4) & 0x0f0f0f0f) | quarters, from + 2 * quads, second);
            };
            constexpr int at_once = chains < 2 ? 2 : chains;
            for (; step + at_once <= last; step += at_once)
                for (int chain = 0; chain < at_once; chain += 2)
                    add_two(step + chain, sums[chain], sums[chains < 2 ? 0 : chain + 1]);
            for (; step < last; step += 2) add_two(step, sums[0], sums[chains < 2 ? 0 : 1]);
        } else {
            auto add_one = [&](std::int64_t at, V* to) {
                const std::uint8_t* const from = args.steps + at * bytes_of_step(Lanes, false);
                add(at, load<V>(from), from + quads, to);
            };
            for (; step + chains <= last; step += chains)
#pragma GCC unroll 4
                for (int chain = 0; chain < chains; ++chain) add_one(step + chain, sums[chain]);
            for (; step < last; ++step) add_one(step, sums[0]);
        }
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
            for (int chain = 1; chain < chains; ++chain) sums[0][n] += sums[chain][n];
            write_unit<Lanes>(args, finish, unit, args.y + n * args.y_stride, sums[0][n]);
        }
    }
}

inline void move_bytes(const void* from, void* to, std::int64_t n, std::uint8_t flip) {
    using V = vec<std::uint8_t, native<std::uint8_t>>;
    const auto* const bytes = static_cast<const std::uint8_t*>(from);
    auto* const moved = static_cast<std::uint8_t*>(to);
    std::int64_t i = 0;
    for (; i + native<std::uint8_t> <= n; i += native<std::uint8_t>)
        store(moved + i, load<V>(bytes + i) ^ broadcast<V>(flip));
    for (; i < n; ++i) moved[i] = static_cast<std::uint8_t>(bytes[i] ^ flip);
}

#ifdef __AVX512VBMI__
constexpr int picking_operations(int window) { return window == 64 ? 1 : window == 128 ? 2 : 6; }
#else
constexpr int picking_operations(int window) { return window / 16 * 4; }
#endif
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
inline constexpr int adding_operations = 1;
#else
inline constexpr int adding_operations = 8;
#endif

// Columns of a window, and whether a step takes one entry of each quarter.
template <int Columns, bool Quarters = false>
struct ByteWindow {
    static constexpr int columns = Columns;
    static constexpr bool quarters = Quarters;
};

template <class X, int Lanes, class W, int N>
inline constexpr ByteWindowsRow byte_windows_row{{Type::s8, type_of<X>, Type::s32},
                                                 Lanes,
                                                 W::columns,
                                                 N,
                                                 picking_operations(W::columns) + adding_operations,
                                                 byte_windows<Lanes, W::columns, N, W::quarters>,
                                                 move_bytes,
                                                 up_to_relu6,
                                                 W::quarters};

// Windows of some kinds, for both kinds of activations and all numbers of columns.
template <int Lanes, class... Windows>
inline constexpr ByteWindowsRow byte_windows_rows[] = {
    byte_windows_row<std::uint8_t, Lanes, Windows, 1>..., byte_windows_row<std::uint8_t, Lanes, Windows, 2>...,
    byte_windows_row<std::uint8_t, Lanes, Windows, 4>..., byte_windows_row<std::uint8_t, Lanes, Windows, 8>...,
    byte_windows_row<std::int8_t, Lanes, Windows, 1>...,  byte_windows_row<std::int8_t, Lanes, Windows, 2>...,
    byte_windows_row<std::int8_t, Lanes, Windows, 4>...,  byte_windows_row<std::int8_t, Lanes, Windows, 8>...,
};

#endif

}  // namespace cs::ukr::CS_ISA
