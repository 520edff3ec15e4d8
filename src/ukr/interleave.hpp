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

// The first 1 to 15 of sixteen bytes, zeros behind them: no other memory is touched.
CS_INLINE vec<std::uint8_t, 16> load_few(const std::uint8_t* from, std::int64_t count) {
    using Bytes = vec<std::uint8_t, 16>;
#ifdef __AVX512BW__
    return (Bytes)_mm_maskz_loadu_epi8(static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count))), from);
#else
    // The ends of what is there, which may overlap; bits of theirs that do are the same.
    const auto ends = [&](auto part) {
        using Part = decltype(part);
        const auto last = count - std::int64_t{sizeof(Part)};
        return std::uint64_t{load<Part>(from)} | std::uint64_t{load<Part>(from + last)} << 8 * last;
    };
    vec<std::uint64_t, 2> words{};
    if (count > 8) {
        words[0] = load<std::uint64_t>(from);
        words[1] = load<std::uint64_t>(from + count - 8) >> 8 * (16 - count);
    } else if (count >= 4) {
        words[0] = ends(std::uint32_t{});
    } else if (count >= 2) {
        words[0] = ends(std::uint16_t{});
    } else {
        words[0] = *from;
    }
    return reinterpret_cast<Bytes>(words);
#endif
}

// L columns of four rows become so many units, four vectors of them.
template <int L>
CS_INLINE void interleave_vectors(const vec<std::uint8_t, L> (&rows)[4], vec<std::uint8_t, L> (&quads)[4]) {
    using V = vec<std::uint8_t, L>;
    const V low_pairs = unpack<std::uint8_t, false>(rows[0], rows[1]);
    const V high_pairs = unpack<std::uint8_t, true>(rows[0], rows[1]);
    const V other_low = unpack<std::uint8_t, false>(rows[2], rows[3]);
    const V other_high = unpack<std::uint8_t, true>(rows[2], rows[3]);
    quads[0] = unpack<std::uint16_t, false>(low_pairs, other_low);
    quads[1] = unpack<std::uint16_t, true>(low_pairs, other_low);
    quads[2] = unpack<std::uint16_t, false>(high_pairs, other_high);
    quads[3] = unpack<std::uint16_t, true>(high_pairs, other_high);
    if constexpr (L == 64) transpose_parts<L>(quads);
}

// Four rows, of which `rows` are there: as many whole vectors of columns from `c` on as there are. Returns the next.
template <int L>
CS_INLINE std::int64_t interleave_whole(const InterleaveArgs& args, const std::uint8_t* from, std::int64_t rows,
                                        std::int64_t c, std::uint32_t* to) {
    using V = vec<std::uint8_t, L>;
    const V flip = broadcast<V>(args.flip);
    for (; c + L <= args.cols; c += L) {
        V v[4]{}, quads[4];
        for (int r = 0; r < 4; ++r)
            if (r < rows) v[r] = load<V>(from + r * args.stride + c) ^ flip;
        interleave_vectors<L>(v, quads);
        for (int i = 0; i < 4; ++i) store(to + c + i * L / 4, quads[i]);
    }
    return c;
}

template <int L>
CS_INLINE void interleave_quad(const InterleaveArgs& args, const std::uint8_t* from, std::int64_t rows,
                               std::uint32_t* to) {
    using V = vec<std::uint8_t, 16>;
    std::int64_t c = interleave_whole<L>(args, from, rows, 0, to);
    if constexpr (L > 16) c = interleave_whole<16>(args, from, rows, c, to);
    if (const std::int64_t left = args.cols - c; left > 0) {
        std::uint8_t flips[16];
        std::memset(flips, args.flip, sizeof flips);
        const V flip = load_few(flips, left);
        V v[4]{}, quads[4];
        for (int r = 0; r < 4; ++r)
            if (r < rows) v[r] = load_few(from + r * args.stride + c, left) ^ flip;
        interleave_vectors<16>(v, quads);
        const std::int64_t units = args.width - c;
        if (units >= 16) {
            for (int i = 0; i < 4; ++i) store(to + c + 4 * i, quads[i]);
        } else {
            std::uint32_t last[16];
            for (int i = 0; i < 4; ++i) store(last + 4 * i, quads[i]);
            std::memcpy(to + c, last, static_cast<std::size_t>(units) * sizeof *to);
        }
        c += 16;
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
