// SPDX-License-Identifier: BSD-3-Clause
// spmv on whole 4 x 4 blocks: the lanes of a vector are the four columns of a block, for as many rows as fit.
//
// A block costs two loads (its values, and four of x that are broadcast to all rows on the way from memory) and one FMA
// for each vector of it; no index arithmetic, no permute. The loads bound it: one cycle a block at 512 bits.
#pragma once

#include "kernels/squares.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/unpack.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Four floats, repeated.
template <int L>
CS_INLINE vec<float, L> repeat4(const float* from) {
#ifdef __AVX512F__
    if constexpr (L == 16) return _mm512_maskz_broadcast_f32x4(0xffff, load<__m128>(from));
#endif
#ifdef __AVX__
    if constexpr (L == 8) return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(from));
#endif
    if constexpr (L == 4) return load<vec<float, 4>>(from);
}

template <int L>
void squares(const SquaresArgs& args) {
    using V = vec<float, L>;
    using Row = vec<float, square_side>;
    constexpr int of_block = square_side * square_side, parts = of_block / L;  // vectors in a block
    const float* const x = static_cast<const float*>(args.x);
    float* const y = static_cast<float*>(args.y);
    const auto finish = Finish<float>::of(args.finish);
    const float* values = static_cast<const float*>(args.values);
    const std::uint16_t* columns = args.columns;
    for (std::int64_t group = 0; group < args.n_groups; ++group) {
        V sum[parts][rows_at_once]{};
        for (std::uint32_t left = args.counts[group]; left > 0; --left) {
#pragma GCC unroll 4
            for (int q = 0; q < rows_at_once; ++q) {
                const V activations = repeat4<L>(x + std::size_t{square_side} * columns[q]);
#pragma GCC unroll 4
                for (int p = 0; p < parts; ++p)
                    sum[p][q] = fma(load<V>(values + q * of_block + p * L), activations, sum[p][q]);
            }
            columns += rows_at_once;
            values += rows_at_once * of_block;
        }
        // Lane (row, column) of each row of blocks: added up over columns, with the rows of blocks in their place.
        float sums[of_block];  // [row][row of blocks]
        for (int p = 0; p < parts; ++p) {
            unpack_quads<L, rows_at_once>(sum[p]);
            store(sums + p * L, (sum[p][0] + sum[p][1]) + (sum[p][2] + sum[p][3]));
        }
        vec<float, 4> part[square_side];
        for (int r = 0; r < square_side; ++r) part[r] = load<vec<float, 4>>(sums + r * rows_at_once);
        unpack_quads<4, square_side>(part);
        for (int q = 0; q < rows_at_once; ++q) {
            const std::uint32_t first = args.first_rows[group * rows_at_once + q];
            if (first == no_row) break;
            const Row row = finish.rows(part[q], first);
            if (args.y_stride == 1)
                store(y + first, row);
            else
                for (int r = 0; r < square_side; ++r)
                    y[(first + static_cast<std::uint32_t>(r)) * args.y_stride] = row[r];
        }
    }
}

template <int L>
inline constexpr SquaresRow squares_row{uniform(Type::f32), squares<L>};

static constexpr SquaresRow squares_of_every_level[] = {squares_row<native<float>>};
template <>
struct EveryLevel<SquaresRow> {
    static constexpr Rows<SquaresRow> rows = table_rows(squares_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
