// SPDX-License-Identifier: BSD-3-Clause
// sampled products: one dot product per stored entry.
#pragma once

#include "kernels/sampled.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T>
void sampled(const SampledArgs& args) {
    using V = vec<T, native<T>>;
    constexpr int L = native<T>;
    const T* const p = static_cast<const T*>(args.p);
    T* const out = static_cast<T*>(args.out);
    for (std::int64_t i = 0; i < args.n_columns; ++i) {
        const T* const q = static_cast<const T*>(args.q) + args.columns[i] * args.depth;
        V sum[4]{};
        std::int64_t r = 0;
        for (; r + 4 * L <= args.depth; r += 4 * L)
            for (int j = 0; j < 4; ++j) sum[j] = fma(load<V>(p + r + j * L), load<V>(q + r + j * L), sum[j]);
        for (; r + L <= args.depth; r += L) sum[0] = fma(load<V>(p + r), load<V>(q + r), sum[0]);
        const V all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        T total{};
        for (int l = 0; l < L; ++l) total = static_cast<T>(total + all[l]);
        for (; r < args.depth; ++r) total = static_cast<T>(total + p[r] * q[r]);
        out[i] = total;
    }
}

template <class T>
inline constexpr SampledRow sampled_row{uniform(type_of<T>), sampled<T>};

static constexpr SampledRow sampled_of_every_level[] = {
    sampled_row<float>,
    sampled_row<double>,
    sampled_row<std::int64_t>,
    sampled_row<std::int32_t>,
};
template <>
struct EveryLevel<SampledRow> {
    static constexpr Rows<SampledRow> rows = table_rows(sampled_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
