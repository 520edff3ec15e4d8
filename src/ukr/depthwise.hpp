// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of channels by filters of their own: a tile of positions and one vector, so that a weight is read once
// for all positions. Bound by loads: one for each product, from L1.
#pragma once

#include "kernels/depthwise.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Whether lanes are stored by themselves. AVX-512 knows the first lanes of narrower registers, too, if they are floats.
template <class V, class T>
inline constexpr bool stores_first =
    has_first_lanes<V> || (vector_bytes == 64 && sizeof(V) >= 16 && std::is_same_v<T, float>);

// Positions [i, i + Positions), lanes [l, l + L), of which `count` are stored.
template <class T, int L, int Positions, bool of_lanes>
CS_INLINE void depthwise_tile(const DepthwiseArgs& args, std::int64_t i, std::int64_t l, std::int64_t count) {
    using V = vec<T, L>;
    const T *const x = static_cast<const T*>(args.x) + i * args.x_step + l,
                   *weights = static_cast<const T*>(args.weights);
    const T* const bias = static_cast<const T*>(args.bias);
    V sums[Positions];
    for (int k = 0; k < Positions; ++k) sums[k] = V{};
    for (std::int64_t t = 0; t < args.taps; ++t, weights += args.weight_step) {
        V weight;
        if constexpr (of_lanes)
            weight = load<V>(weights + l);
        else
            weight = broadcast<V>(*weights);
        const T* from = x + args.offsets[t];
        for (int k = 0; k < Positions; ++k, from += args.x_step) sums[k] = fma(load<V>(from), weight, sums[k]);
    }
    const V least = broadcast<V>(static_cast<T>(args.least)), most = broadcast<V>(static_cast<T>(args.most));
    V added{};
    if (bias != nullptr) {
        if constexpr (of_lanes)
            added = load<V>(bias + l);
        else
            added = broadcast<V>(*bias);
    }
    T* to = static_cast<T*>(args.y) + i * args.y_step + l;
    for (int k = 0; k < Positions; ++k, to += args.y_step) {
        V sum = static_cast<V>(sums[k] + added);  // NaN stays
        sum = sum < least ? least : sum;
        sum = sum > most ? most : sum;
        if constexpr (!of_lanes && stores_first<V, T>) {
            if (count < L) {
                store_first<V>(to, count, sum);
                continue;
            }
        }
        store(to, sum);
    }
}

// All positions; the last tile begins earlier, where fewer are left.
template <class T, int L, int Positions, bool of_lanes>
CS_INLINE void depthwise_positions(const DepthwiseArgs& args, std::int64_t l, std::int64_t count) {
    if constexpr (Positions > 1) {
        if (args.positions < Positions) return depthwise_positions<T, L, Positions / 2, of_lanes>(args, l, count);
    }
    std::int64_t i = 0;
    for (; i + Positions <= args.positions; i += Positions)
        depthwise_tile<T, L, Positions, of_lanes>(args, i, l, count);
    if (i < args.positions) depthwise_tile<T, L, Positions, of_lanes>(args, args.positions - Positions, l, count);
}

template <class T, int L, bool of_lanes>
void depthwise_lanes(const DepthwiseArgs& args) {
    constexpr int positions = 8;
    constexpr bool in_part = !of_lanes && stores_first<vec<T, L>, T>;
    if constexpr (L > 1) {
        constexpr bool narrower_in_part = !of_lanes && stores_first<vec<T, L / 2>, T>;
        if (in_part && narrower_in_part ? args.lanes <= L / 2 : !in_part && args.lanes < L)
            return depthwise_lanes<T, L / 2, of_lanes>(args);
    }
    std::int64_t l = 0;
    for (; l + L <= args.lanes; l += L) depthwise_positions<T, L, positions, of_lanes>(args, l, L);
    if (l == args.lanes) return;
    if (args.lanes >= L)
        depthwise_positions<T, L, positions, of_lanes>(args, args.lanes - L, L);
    else
        depthwise_positions<T, L, positions, of_lanes>(args, 0, args.lanes);
}

template <class T>
void depthwise(const DepthwiseArgs& given) {
    const DepthwiseArgs args = given;  // which no store may change
    if (args.of_lanes)
        depthwise_lanes<T, native<T>, true>(args);
    else
        depthwise_lanes<T, native<T>, false>(args);
}

static constexpr DepthwiseRow depthwise_of_every_level[] = {{type_of<float>, depthwise<float>},
                                                            {type_of<double>, depthwise<double>}};
template <>
struct EveryLevel<DepthwiseRow> {
    static constexpr Rows<DepthwiseRow> rows = table_rows(depthwise_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
