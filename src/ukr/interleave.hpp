// SPDX-License-Identifier: BSD-3-Clause
// Interleaving, by unpacks within registers: eight for four vectors of bytes, which become four of quads, and as many
// moves of 16 bytes where a register has several.
#pragma once

#include "kernels/interleave.hpp"
#include "ukr/levels.hpp"
#include "ukr/unpack.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

#ifdef __AVX512F__
template <int Which, class V>
CS_INLINE V pick_parts(V a, V b) {
    return (V)_mm512_maskz_shuffle_i32x4(0xffff, (__m512i)a, (__m512i)b, Which);
}
#endif

// Parts of 16 bytes of four registers: register i of the result has their parts i.
template <int L>
CS_INLINE void transpose_parts(vec<std::uint8_t, L> (&v)[4]) {
#ifdef __AVX512F__
    if constexpr (L == 64) {
        constexpr int low = 0x44, high = 0xee, even = 0x88, odd = 0xdd;
        const auto a = pick_parts<low>(v[0], v[1]), b = pick_parts<low>(v[2], v[3]);
        const auto c = pick_parts<high>(v[0], v[1]), d = pick_parts<high>(v[2], v[3]);
        v[0] = pick_parts<even>(a, b), v[1] = pick_parts<odd>(a, b);
        v[2] = pick_parts<even>(c, d), v[3] = pick_parts<odd>(c, d);
    }
#endif
}

// L columns of four rows.
template <int L>
CS_INLINE void interleave_vectors(const vec<std::uint8_t, L> (&rows)[4], std::uint32_t* to) {
    using V = vec<std::uint8_t, L>;
    const V low_pairs = unpack<std::uint8_t, false>(rows[0], rows[1]);
    const V high_pairs = unpack<std::uint8_t, true>(rows[0], rows[1]);
    const V other_low = unpack<std::uint8_t, false>(rows[2], rows[3]);
    const V other_high = unpack<std::uint8_t, true>(rows[2], rows[3]);
    V quads[4] = {unpack<std::uint16_t, false>(low_pairs, other_low), unpack<std::uint16_t, true>(low_pairs, other_low),
                  unpack<std::uint16_t, false>(high_pairs, other_high),
                  unpack<std::uint16_t, true>(high_pairs, other_high)};
    if constexpr (L == 64) transpose_parts<L>(quads);
    for (int i = 0; i < 4; ++i) store(to + i * L / 4, quads[i]);
}

// Four rows, of which `rows` are there, a vector of columns at a time; the last ones by way of memory that is there.
template <int L>
CS_INLINE void interleave_quad(const InterleaveArgs& args, const std::uint8_t* from, std::int64_t rows,
                               std::uint32_t* to) {
    using V = vec<std::uint8_t, L>;
    const V flip = broadcast<V>(args.flip);
    std::int64_t c = 0;
    for (; c + L <= args.cols; c += L) {
        V v[4]{};
        for (int r = 0; r < 4; ++r)
            if (r < rows) v[r] = load<V>(from + r * args.stride + c) ^ flip;
        interleave_vectors<L>(v, to + c);
    }
    if constexpr (L > 16) {
        for (; c + 16 <= args.cols; c += 16) {
            vec<std::uint8_t, 16> v[4]{};
            for (int r = 0; r < 4; ++r)
                if (r < rows)
                    v[r] = load<vec<std::uint8_t, 16>>(from + r * args.stride + c) ^
                           broadcast<vec<std::uint8_t, 16>>(args.flip);
            interleave_vectors<16>(v, to + c);
        }
    }
    for (; c < args.cols; ++c) {
        std::uint32_t quad = 0;
        for (int r = 0; r < 4 && r < rows; ++r)
            quad |= static_cast<std::uint32_t>(from[r * args.stride + c] ^ args.flip) << 8 * r;
        to[c] = quad;
    }
    for (; c < args.width; ++c) to[c] = 0;
}

inline void interleave(const InterleaveArgs& given) {
    const InterleaveArgs args = given;  // which no store may change
    const auto* const from = static_cast<const std::uint8_t*>(args.from);
    constexpr int L = vector_bytes == 64 ? 64 : 16;
    for (std::int64_t row = 0; row < args.rows; row += 4)
        interleave_quad<L>(args, from + row * args.stride, args.rows - row, args.to + row / 4 * args.width);
}

static constexpr InterleaveRow interleave_of_every_level[] = {{Type::u8, interleave}};
template <>
struct EveryLevel<InterleaveRow> {
    static constexpr Rows<InterleaveRow> rows = table_rows(interleave_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
