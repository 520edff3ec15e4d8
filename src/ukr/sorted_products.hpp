// SPDX-License-Identifier: BSD-3-Clause
// The products of a row in the order of their columns: by sorting networks, or where those are not, by counting how
// many come before each. Those of one column are then neighbours, which are added up.
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
class SortedProducts {
    static constexpr int lanes = native<T>, column_lanes = native<std::int32_t>;

   public:
    SortedProducts(std::int32_t* to_columns, T* to_values) : to_columns_(to_columns), to_values_(to_values) {}

#if defined(__AVX512F__)
    // Into the order of columns, those of one column in their own; whether a column came twice or a product is zero.
    // Keys are columns, and behind them the products' places: those sort with them, and say afterwards where from.
    // Columns and products are read as far as the registers go; nothing is written beyond the n products.
    template <int Registers>
    CS_INLINE bool in_network(const std::int32_t* columns, const T* products, int n) const {
        constexpr int place_bits = Registers == 1 ? 4 : Registers == 2 ? 5 : Registers <= 4 ? 6 : 7;
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
            const SortKeys column = keys[i] >> place_bits, place = keys[i] & ((1 << place_bits) - 1);
            const auto previous = (SortKeys)_mm512_maskz_alignr_epi32(0xffff, (__m512i)column, (__m512i)before, 15);
            before = column;
            const Mask own = first_bits(n - 16 * i);
            const Mask zero = pick<Registers>(products, place, own, to_values_ + 16 * i);
            special |= (same<std::int32_t>(column, previous) | zero) & own;
            _mm512_mask_storeu_epi32(to_columns_ + 16 * i, static_cast<__mmask16>(own), (__m512i)column);
        }
        return special != 0;
    }
#endif

    // The same. A product's place is the number of products before it: those of lesser columns, and earlier ones of its
    // own. n: at most most_sorted.
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
            to_columns_[places[at]] = columns[at];
            to_values_[places[at]] = products[at];
            zeros += products[at] == T{};
        }
        return zeros != 0 || bits_of(again) != 0;
    }

    // Of n products in order, those of one column become one sum, and none where that is zero; how many are left.
    int add_neighbours(int n) {
        count_ = 0;
        if (vector_bytes > 16 && !has_threes(n)) {
            add_pairs(n);
            return count_;
        }
        for (int at = 0; at < n;) {
            const std::int32_t column = to_columns_[at];
            T sum{};
            for (; at < n && to_columns_[at] == column; ++at) sum = static_cast<T>(sum + to_values_[at]);
            to_columns_[count_] = column;
            to_values_[count_] = sum;
            count_ += sum != T{};
        }
        return count_;
    }

   private:
#if defined(__AVX512F__)
    // Brings 16 products from their places, and writes the own ones; which of them are zero.
    template <int Registers>
    static CS_INLINE Mask pick(const T* products, SortKeys place, Mask own, T* to) {
        const auto at = (__m512i)place;
        if constexpr (sizeof(T) == 8) {
            const __m512i none = _mm512_setzero_si512();
            const __m256i first = _mm512_maskz_extracti64x4_epi64(0xff, at, 0);
            const __m256i second = _mm512_maskz_extracti64x4_epi64(0xff, at, 1);
            const auto low = (vec<T, 8>)_mm512_mask_i32gather_epi64(none, 0xff, first, products, 8);
            const auto high = (vec<T, 8>)_mm512_mask_i32gather_epi64(none, 0xff, second, products, 8);
            _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(own), (__m512i)low);
            _mm512_mask_storeu_epi64(to + 8, static_cast<__mmask8>(own >> 8), (__m512i)high);
            return ~(nonzeros(low) | nonzeros(high) << 8);
        } else {
            const __m512i found = picked<Registers>(products, at);
            _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(own), found);
            return ~nonzeros((vec<T, 16>)found);
        }
    }

    template <int Registers>
    static CS_INLINE __m512i picked(const T* products, __m512i at) {
        const auto from = [&](int i) { return load<__m512i>(products + 16 * i); };
        if constexpr (Registers == 1) return _mm512_maskz_permutexvar_epi32(0xffff, at, from(0));
        if constexpr (Registers > 6)
            return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), 0xffff, at, products, 4);
        __m512i found = _mm512_permutex2var_epi32(from(0), at, from(1));
        for (int pair = 1; pair < (Registers + 1) / 2; ++pair) {
            const __m512i others = _mm512_permutex2var_epi32(from(2 * pair), at, from(2 * pair + 1));
            found = _mm512_mask_mov_epi32(found, _mm512_test_epi32_mask(at, _mm512_set1_epi32(32 * pair)), others);
        }
        return found;
    }
#endif

    bool has_threes(int n) const {
        bool found = false;
        for (int at = 2; at < n; ++at) found |= to_columns_[at] == to_columns_[at - 2];
        return found;
    }

    // Where no column came more often than twice, a vector at a time: its first product takes the second, which goes.
    void add_pairs(int n) {
        using K = Key<T>;
        using Wide = vec<K, lanes>;
        using Narrow = vec<std::int32_t, lanes>;
        Wide lane;
        for (int l = 0; l < lanes; ++l) lane[l] = l;
        Mask second = 0;
        for (int first = 0; first < n; first += column_lanes) {
            const auto columns = load<vec<std::int32_t, column_lanes>>(to_columns_ + first);
            const int written = count_;
            Mask kept = 0;
            vec<T, lanes> sums[column_lanes / lanes];
            for (int part = 0; part < column_lanes; part += lanes) {
                const int at = first + part;
                const auto own = __builtin_convertvector(load<Narrow>(to_columns_ + at), Wide),
                           next = __builtin_convertvector(load<Narrow>(to_columns_ + at + 1), Wide);
                const auto is_pair = (own == next) & (lane < static_cast<K>(n - 1 - at));
                const auto others = (Wide)load<vec<T, lanes>>(to_values_ + at + 1) & is_pair;
                sums[part / lanes] = load<vec<T, lanes>>(to_values_ + at) + (vec<T, lanes>)others;
                const Mask pairs = bits_of(is_pair);
                kept |= (nonzeros(sums[part / lanes]) & ~(pairs << 1 | second) & first_bits(n - at)) << part;
                second = pairs >> (lanes - 1);
            }
            for (int part = 0; part < column_lanes; part += lanes)
                count_ += compress(to_values_ + count_, kept >> part & first_bits(lanes), sums[part / lanes]);
            compress(to_columns_ + written, kept, columns);
        }
    }

    std::int32_t* const to_columns_;
    T* const to_values_;
    int count_ = 0;
};

}  // namespace cs::ukr::CS_ISA
