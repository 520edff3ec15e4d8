// SPDX-License-Identifier: BSD-3-Clause
// Sums of 8-bit products as outputs of 8 bits, while they are in registers: 64 at a time, by float32 as enclose.hpp
// has it. A permute of bytes puts them in order and leaves out those that are none; so a run of elements of which some
// are margins of an image is one masked store of outputs that lie one behind the other.
#pragma once

#include "kernels/planes.hpp"
#include "ukr/parts.hpp"
#include "ukr/requantize.hpp"

namespace cs::ukr::CS_ISA {

#ifdef __AVX512VBMI__

template <int NV>
struct Outputs {
    static constexpr bool stores = false;
    using Sums = vec<std::int32_t, 16>;
    static constexpr int n_pieces = (NV + 3) / 4;
    static_assert(n_pieces <= PlanesOutputs::most_pieces);
    static constexpr int vectors_of(int piece) { return NV - 4 * piece < 4 ? NV - 4 * piece : 4; }
    // A piece of one vector or of two leaves room for those of other rows beside it.
    static constexpr int rows_of_block(int piece) { return vectors_of(piece) > 2 ? 1 : 4 / vectors_of(piece); }
    static constexpr int row_step(int piece) { return 64 / rows_of_block(piece); }

    const std::int32_t* bias;
    Factors factors;
    std::uint8_t* to;
    std::int64_t to_stride;
    RequantizedRange range;
    bool is_signed, small;
    // Of each piece: which packed byte is which output, of each row of a block; which bytes of a row are outputs; how
    // many come before.
    __m512i orders[n_pieces], places[n_pieces];
    __mmask64 kept[n_pieces];
    std::int64_t before[n_pieces];

    static CS_INLINE Outputs of(const PlanesOutputs& given) {
        const RequantizeArgs& how = *given.how;
        Outputs outputs{how.bias + how.feature,
                        Factors::of(how, how.feature),
                        static_cast<std::uint8_t*>(how.to),
                        how.to_stride,
                        range_of(how),
                        how.least < 0,
                        how.small_factors,
                        {},
                        {},
                        {},
                        {}};
        std::int64_t before = 0;
#pragma GCC unroll 2
        for (int p = 0; p < n_pieces; ++p) {
            alignas(64) std::uint8_t packed[64];
            for (int i = 0; i < 64; ++i) packed[i] = static_cast<std::uint8_t>(packed_place(i / 16, i % 16));
            const PlanesOutputs::Piece& piece = given.pieces[p];
            outputs.places[p] = load<__m512i>(piece.places);
            __m512i order = outputs.places[p];
            if (rows_of_block(p) > 1) {
                const int step = row_step(p);
                alignas(64) std::uint8_t of_rows[64];
                for (int i = 0; i < 64; ++i)
                    of_rows[i] = static_cast<std::uint8_t>(piece.places[i % step] + i / step * step);
                order = load<__m512i>(of_rows);
            }
            outputs.orders[p] = _mm512_maskz_permutexvar_epi8(~std::uint64_t{0}, order, load<__m512i>(packed));
            outputs.kept[p] = piece.count == 0 ? 0 : ~std::uint64_t{0} >> (64 - piece.count);
            outputs.before[p] = before;
            before += piece.count;
        }
        return outputs;
    }

    static CS_INLINE std::int64_t row_of(std::uint16_t listed) { return listed & (has_tail - 1); }

    template <int P, class Bytes>
    CS_INLINE void store_row(std::uint16_t listed, Bytes bytes) const {
        std::uint8_t* const at = to + row_of(listed) * to_stride + before[P];
        if constexpr (sizeof bytes == 64)
            _mm512_mask_storeu_epi8(at, kept[P], (__m512i)bytes);
        else if constexpr (sizeof bytes == 32)
            _mm256_mask_storeu_epi8(at, static_cast<__mmask32>(kept[P]), (__m256i)bytes);
        else
            _mm_mask_storeu_epi8(at, static_cast<__mmask16>(kept[P]), (__m128i)bytes);
    }

    // One of the rows, by float64.
    template <int P>
    __attribute__((noinline)) void exactly(std::uint16_t listed, const std::int32_t* sums) const {
        alignas(64) std::int8_t bytes[64]{};
        const std::int64_t row = row_of(listed);
        for (int v = 0; v < vectors_of(P); ++v) {
            const auto some =
                requantize_vector<false, std::int8_t>(sums + 16 * v, bias + row, factors.exact + row, range);
            store(bytes + 16 * v, some);
        }
        store_row<P>(listed, _mm512_maskz_permutexvar_epi8(~std::uint64_t{0}, places[P], load<__m512i>(bytes)));
    }

    // Rows of a block from `rows` on, of which `Count` are there.
    template <int P, int Count>
    CS_INLINE void block(const std::uint16_t* rows, const Sums (*sum)[NV]) const {
        constexpr int each = vectors_of(P);
        const auto of = [&](auto i) {
            constexpr int in_block = decltype(i)::value / each, r = in_block < Count ? in_block : 0;
            const std::int64_t row = row_of(rows[r]);
            return part_of_feature(sum[r][4 * P + decltype(i)::value % each], bias[row], factors, row);
        };
        __m512i packed;
        if (__builtin_expect(!enclose(of, is_signed, small, range, &packed), 0)) {
            alignas(64) std::int32_t sums[16 * each];
            for (int r = 0; r < Count; ++r) {
                for (int v = 0; v < each; ++v) store(sums + 16 * v, sum[r][4 * P + v]);
                exactly<P>(rows[r], sums);
            }
            return;
        }
        const __m512i bytes = _mm512_maskz_permutexvar_epi8(~std::uint64_t{0}, orders[P], packed);
        if constexpr (rows_of_block(P) == 1)
            store_row<P>(rows[0], bytes);
        else
            for_parts<vec<float, 16>, rows_of_block(P)>((vec<float, 16>)bytes, [&](int r, auto of_row) {
                if (r < Count) store_row<P>(rows[r], of_row);
            });
    }

    template <int P, int Rows>
    CS_INLINE void piece(const std::uint16_t* rows, const Sums (*sum)[NV]) const {
        constexpr int each = rows_of_block(P) < Rows ? rows_of_block(P) : Rows;
        static_assert(Rows % each == 0);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; r += each) block<P, each>(rows + r, sum + r);
    }

    template <int Rows>
    CS_INLINE void rows(const std::uint16_t* listed, const Sums (*sum)[NV]) const {
        piece<0, Rows>(listed, sum);
        if constexpr (n_pieces > 1) piece<1, Rows>(listed, sum);
    }
};

#endif

}  // namespace cs::ukr::CS_ISA
