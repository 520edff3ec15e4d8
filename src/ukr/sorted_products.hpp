// SPDX-License-Identifier: BSD-3-Clause
// The products of a row in the order of their columns: by sorting networks, or where those are not, by counting how
// many come before each.
#pragma once

#include <limits>

#include "kernels/sparse_rows.hpp"
#include "ukr/keys.hpp"
#include "ukr/levels.hpp"
#include "ukr/networks.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Lanes that are not zero; NaN is not.
template <class V>
CS_INLINE Mask nonzeros(V lanes) {
#if defined(__AVX512F__)
    using T = std::remove_const_t<std::remove_reference_t<decltype(lanes[0])>>;
    if constexpr (std::is_same_v<T, float>) return _mm512_cmp_ps_mask(lanes, V{}, _CMP_NEQ_UQ);
    if constexpr (std::is_same_v<T, double>) return _mm512_cmp_pd_mask(lanes, V{}, _CMP_NEQ_UQ);
    if constexpr (std::is_same_v<T, std::int64_t>) return _mm512_test_epi64_mask((__m512i)lanes, (__m512i)lanes);
    if constexpr (std::is_same_v<T, std::int32_t>) return _mm512_test_epi32_mask((__m512i)lanes, (__m512i)lanes);
#else
    return bits_of(lanes != V{});
#endif
}

// As many of the lowest bits as there are lanes left.
CS_INLINE Mask first_bits(std::int64_t count) {  // sixteen at most
    return count >= 16 ? 0xffff : count <= 0 ? 0 : (Mask{1} << count) - 1;
}

template <class T>
struct SortedProducts {
    std::int32_t* const to_columns;
    T* const to_values;

    // Into the order of columns, those of one column in their own; whether no column came twice and none is zero.
    // n: at most most_sorted, or most_in_network by networks; n_words: 64 columns each.
    CS_INLINE bool take(const std::int32_t* columns, const T* products, int n,
                        [[maybe_unused]] std::int64_t n_words) const {
#if defined(__AVX512F__)
        if (n_words <= most_network_columns / 64) {
            if (n <= 16) return in_network<1>(columns, products, n);
            if (n <= 32) return in_network<2>(columns, products, n);
            if (n <= 64) return in_network<4>(columns, products, n);
            return in_network<8>(columns, products, n);
        }
#endif
        return by_places(columns, products, n);
    }

   private:
    static constexpr int column_lanes = native<std::int32_t>;

#if defined(__AVX512F__)
    // Keys are columns, and behind them the products' places: those sort with them, and say afterwards where from.
    template <int Registers>
    CS_INLINE bool in_network(const std::int32_t* columns, const T* products, int n) const {
        constexpr int capacity = 16 * Registers;
        constexpr int place_bits = Registers == 1 ? 4 : Registers == 2 ? 5 : Registers == 4 ? 6 : 7;
        SortKeys keys[Registers], lane{};
        for (int l = 0; l < 16; ++l) lane[l] = l;
        for (int i = 0; i < Registers; ++i) {
            const SortKeys place = lane + 16 * i;
            const SortKeys key = load<SortKeys>(columns + 16 * i) << place_bits | place;
            keys[i] = place < n ? key : broadcast<SortKeys>(std::numeric_limits<std::int32_t>::max());
        }
        sort<Registers>(keys);
        SortKeys before = broadcast<SortKeys>(-1);
        Mask special = 0;
        for (int i = 0; i < Registers; ++i) {
            const SortKeys column = keys[i] >> place_bits, place = keys[i] & (capacity - 1);
            const auto previous = (SortKeys)_mm512_maskz_alignr_epi32(0xffff, (__m512i)column, (__m512i)before, 15);
            before = column;
            const Mask zero = pick<Registers>(products, place, to_values + 16 * i);
            special |= (same<std::int32_t>(column, previous) | zero) & first_bits(n - 16 * i);
            store(to_columns + 16 * i, column);
        }
        return special == 0;
    }

    // Brings 16 products from their places; which of them are zero.
    template <int Registers>
    static CS_INLINE Mask pick(const T* products, SortKeys place, T* to) {
        const auto at = (__m512i)place;
        if constexpr (sizeof(T) == 8) {
            const __m512i none = _mm512_setzero_si512();
            const __m256i first = _mm512_maskz_extracti64x4_epi64(0xff, at, 0);
            const __m256i second = _mm512_maskz_extracti64x4_epi64(0xff, at, 1);
            const auto low = (vec<T, 8>)_mm512_mask_i32gather_epi64(none, 0xff, first, products, 8);
            const auto high = (vec<T, 8>)_mm512_mask_i32gather_epi64(none, 0xff, second, products, 8);
            store(to, low);
            store(to + 8, high);
            return ~(nonzeros(low) | nonzeros(high) << 8);
        } else {
            const auto from = [&](int i) { return load<__m512i>(products + 16 * i); };
            __m512i found;
            if constexpr (Registers == 1) found = _mm512_maskz_permutexvar_epi32(0xffff, at, from(0));
            if constexpr (Registers == 2) found = _mm512_permutex2var_epi32(from(0), at, from(1));
            if constexpr (Registers == 4) {
                const __m512i second = _mm512_permutex2var_epi32(from(2), at, from(3));
                const __mmask16 is_second = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
                found = _mm512_mask_mov_epi32(_mm512_permutex2var_epi32(from(0), at, from(1)), is_second, second);
            }
            if constexpr (Registers == 8)
                found = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, at, products, 4);
            store(to, found);
            return ~nonzeros((vec<T, 16>)found);
        }
    }
#endif

    // A product's place is the number of products before it: those of lesser columns, and earlier ones of its own.
    CS_INLINE bool by_places(const std::int32_t* columns, const T* products, int n) const {
        using Columns = vec<std::int32_t, column_lanes>;
        std::int32_t places[most_sorted];
        Columns again{};
        for (int start = 0; start < n; start += column_lanes) {
            const auto own = load<Columns>(columns + start);
            Columns lane, place{};
            for (int l = 0; l < column_lanes; ++l) lane[l] = start + l;
            for (int other = 0; other < n; ++other) {
                const Columns earlier = (own == columns[other]) & (lane > other);
                again |= earlier & (lane < n);
                place -= (own > columns[other]) | earlier;
            }
            store(places + start, place);
        }
        int zeros = 0;
        for (int at = 0; at < n; ++at) {
            to_columns[places[at]] = columns[at];
            to_values[places[at]] = products[at];
            zeros += products[at] == T{};
        }
        return zeros == 0 && bits_of(again) == 0;
    }
};

}  // namespace cs::ukr::CS_ISA
