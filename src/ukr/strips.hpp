// SPDX-License-Identifier: BSD-3-Clause
// spmv on strips: the lanes of a vector are rows that share their columns.
//
// A column costs one broadcast of x and, for each vector of the strip, one load of values and one FMA; a quad of
// columns costs one index. The values' way from L2 bounds it: a cache line for each sixteen multiplications in float32.
#pragma once

#include "kernels/strips.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T, int L>
void strips(const StripsArgs& args) {
    using V = vec<T, L>;
    constexpr int parts = strip_rows / L;
    // Sums of their own for as many columns of a quad as it takes to hide the latency of the FMA.
    constexpr int chains = parts >= 8 ? 1 : parts >= 4 ? 2 : strip_cols;
    const T* const x = static_cast<const T*>(args.x);
    const auto finish = Finish<T>::of(args.finish);
    T* const y = static_cast<T*>(args.y);
    const T* values = static_cast<const T*>(args.values);
    const std::uint16_t* columns = args.columns;
    for (std::int64_t strip = 0; strip < args.n_strips; ++strip) {
        V sum[chains][parts]{};
#pragma GCC unroll 1
        for (std::uint32_t left = args.counts[strip]; left > 0; --left) {
            const T* const quad = x + *columns++;
#pragma GCC unroll 4
            for (int c = 0; c < strip_cols; ++c) {
                const V activation = broadcast<V>(quad[c]);
#pragma GCC unroll 8
                for (int p = 0; p < parts; ++p)
                    sum[c % chains][p] = fma(load<V>(values + p * L), activation, sum[c % chains][p]);
                values += strip_rows;
            }
        }
        const std::int64_t first = strip * strip_rows;
        T sums[strip_rows];
        for (int p = 0; p < parts; ++p) {
            for (int c = chains / 2; c > 0; c /= 2)
                for (int i = 0; i < c; ++i) sum[i][p] = sum[i][p] + sum[i + c][p];
            const V row = finish.rows(sum[0][p], first + p * L);
            store(args.y_stride == 1 ? y + first + p * L : sums + p * L, row);
        }
        if (args.y_stride != 1)
            for (int r = 0; r < strip_rows; ++r) y[(first + r) * args.y_stride] = sums[r];
    }
}

template <class T, int L>
inline constexpr StripsRow strips_row{uniform(type_of<T>), strips<T, L>};

static constexpr StripsRow strips_of_every_level[] = {
    strips_row<float, native<float>>,
    strips_row<double, native<double>>,
};
template <>
struct EveryLevel<StripsRow> {
    static constexpr Rows<StripsRow> rows = table_rows(strips_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
