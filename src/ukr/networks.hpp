// SPDX-License-Identifier: BSD-3-Clause
// Sorting networks: 16 to 128 keys in registers, in as many steps as their number asks for, without a branch.
//
// Bitonic: a step compares each key with that of another lane, or of another register. Keys differ, so that no order is
// left open. AVX-512 alone: 32 registers hold eight of keys beside what a step needs.
#pragma once

#include <cstdint>
#include <utility>

#include "ukr/keys.hpp"

#if defined(__AVX512F__)
namespace cs::ukr::CS_ISA {

using SortKeys = vec<std::int32_t, 16>;

// Each lane's partner is lane ^ Distance.
template <int Distance>
CS_INLINE SortKeys partners(SortKeys keys) {
    constexpr __mmask16 all = 0xffff;
    const auto k = (__m512i)keys;
    if constexpr (Distance == 1) return (SortKeys)_mm512_maskz_shuffle_epi32(all, k, _MM_PERM_CDAB);
    if constexpr (Distance == 2) return (SortKeys)_mm512_maskz_shuffle_epi32(all, k, _MM_PERM_BADC);
    if constexpr (Distance == 3) return (SortKeys)_mm512_maskz_shuffle_epi32(all, k, _MM_PERM_ABCD);
    if constexpr (Distance == 4) return (SortKeys)_mm512_maskz_shuffle_i32x4(all, k, k, _MM_PERM_CDAB);
    if constexpr (Distance == 8) return (SortKeys)_mm512_maskz_shuffle_i32x4(all, k, k, _MM_PERM_BADC);
    if constexpr (Distance == 12) return (SortKeys)_mm512_maskz_shuffle_i32x4(all, k, k, _MM_PERM_ABCD);
    if constexpr (Distance == 7) return partners<3>(partners<4>(keys));
    if constexpr (Distance == 15) return partners<3>(partners<12>(keys));
}

// Lanes of `Greater` keep the greater key of a pair, the others the lesser.
template <int Distance, unsigned Greater>
CS_INLINE SortKeys exchange(SortKeys keys) {
    const SortKeys others = partners<Distance>(keys);
    const auto lesser = (__m512i)lesser_of(keys, others);
    return (SortKeys)_mm512_mask_max_epi32(lesser, static_cast<__mmask16>(Greater), (__m512i)keys, (__m512i)others);
}

// Of a register whose keys ascend and then descend, or the other way round.
CS_INLINE SortKeys ascending_of_bitonic(SortKeys keys) {
    return exchange<1, 0xaaaa>(exchange<2, 0xcccc>(exchange<4, 0xf0f0>(exchange<8, 0xff00>(keys))));
}

CS_INLINE SortKeys ascending(SortKeys keys) {
    keys = exchange<1, 0xaaaa>(keys);
    keys = exchange<1, 0xaaaa>(exchange<3, 0xcccc>(keys));
    keys = exchange<1, 0xaaaa>(exchange<2, 0xcccc>(exchange<7, 0xf0f0>(keys)));
    return exchange<1, 0xaaaa>(exchange<2, 0xcccc>(exchange<4, 0xf0f0>(exchange<15, 0xff00>(keys))));
}

CS_INLINE void exchange(SortKeys& low, SortKeys& high) {
    const SortKeys lesser = lesser_of(low, high);
    high = greater_of(low, high);
    low = lesser;
}

template <int Registers>
CS_INLINE void sort_bitonic(SortKeys* keys) {
    if constexpr (Registers == 1) {
        *keys = ascending_of_bitonic(*keys);
    } else {
        for (int i = 0; i < Registers / 2; ++i) exchange(keys[i], keys[i + Registers / 2]);
        sort_bitonic<Registers / 2>(keys);
        sort_bitonic<Registers / 2>(keys + Registers / 2);
    }
}

// The keys of all registers, ascending. Registers: a power of two, or the sum of two such. Those of the lesser part
// stand for as many as the greater has, the last of them full of keys that nothing exceeds.
template <int Registers>
CS_INLINE void sort(SortKeys* keys) {
    if constexpr (Registers == 1) {
        *keys = ascending(*keys);
    } else {
        constexpr int first = Registers > 4 ? 4 : Registers > 2 ? 2 : 1, rest = Registers - first;
        sort<first>(keys);
        sort<rest>(keys + first);
        SortKeys* const second = keys + first;
        for (int i = 0; i < rest; ++i) second[i] = partners<15>(second[i]);
        for (int i = 0; i < rest / 2; ++i) std::swap(second[i], second[rest - 1 - i]);
        for (int i = 0; i < rest; ++i) exchange(keys[first - rest + i], second[i]);
        sort_bitonic<first>(keys);
        sort_bitonic<rest>(second);
    }
}

}  // namespace cs::ukr::CS_ISA
#endif
