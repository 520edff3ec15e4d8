// SPDX-License-Identifier: BSD-3-Clause
// Transposes inside parts of 16 bytes, by the unpack instructions that every ISA has.
#pragma once

#include <type_traits>
#include <utility>

#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// n = 4: within each four lanes, lane k of vector r goes to lane r of vector k. n = 2: the two vectors' lanes
// alternate, those of the first half of each four lanes in the first. n = 1: nothing.
template <int L, int n>
CS_INLINE void unpack_quads(vec<float, L> (&v)[n]) {
    static_assert(n == 1 || n == 2 || n == 4, "pairs or quads");
    using V = vec<float, L>;
    using Index = vec<std::int32_t, L>;
    // Single lanes or pairs of a and b alternate, from the first or the second half of each four lanes.
    auto unpack = [](V a, V b, int half, int size) {
        Index index;
        for (int l = 0; l < L; ++l) {
            const int k = l % 4, within = size == 1 ? k / 2 : k % 2;
            const bool second = (size == 1 ? k % 2 : k / 2) != 0;
            index[l] = l / 4 * 4 + 2 * half + within + (second ? L : 0);
        }
        return __builtin_shuffle(a, b, index);
    };
    if constexpr (n == 2) {
        const V a = v[0], b = v[1];
        v[0] = unpack(a, b, 0, 1);
        v[1] = unpack(a, b, 1, 1);
    } else if constexpr (n == 4) {
        const V low01 = unpack(v[0], v[1], 0, 1), high01 = unpack(v[0], v[1], 1, 1);
        const V low23 = unpack(v[2], v[3], 0, 1), high23 = unpack(v[2], v[3], 1, 1);
        v[0] = unpack(low01, low23, 0, 2);
        v[1] = unpack(low01, low23, 1, 2);
        v[2] = unpack(high01, high23, 0, 2);
        v[3] = unpack(high01, high23, 1, 2);
    }
}

// Elements of T, taken by turns from the lower (or upper) halves of each 16 bytes of a and b.
template <class T, bool Upper, class V>
CS_INLINE V unpack(V a, V b) {
    constexpr int n = sizeof(V) / sizeof(T), of_part = 16 / sizeof(T);
    using Elements = vec<T, n>;
    using Index = vec<std::conditional_t<sizeof(T) == 1, std::uint8_t, std::uint16_t>, n>;
    Index index;
    for (int i = 0; i < n; ++i) {
        const int part = i / of_part * of_part, at = i % of_part / 2 + (Upper ? of_part / 2 : 0);
        index[i] = static_cast<std::remove_reference_t<decltype(index[0])>>(part + at + i % 2 * n);
    }
    return (V)__builtin_shuffle((Elements)a, (Elements)b, index);
}

// Within each 16 bytes, byte k of register r goes to byte r of register k: four times over, registers eight apart
// alternate, as a pack of cards is shuffled.
template <class V>
CS_INLINE void unpack_bytes(V (&v)[16]) {
    for (int round = 0; round < 4; ++round) {
        V mixed[16];
        for (int i = 0; i < 8; ++i) {
            mixed[2 * i] = unpack<std::uint8_t, false>(v[i], v[i + 8]);
            mixed[2 * i + 1] = unpack<std::uint8_t, true>(v[i], v[i + 8]);
        }
        for (int i = 0; i < 16; ++i) v[i] = mixed[i];
    }
}

}  // namespace cs::ukr::CS_ISA
