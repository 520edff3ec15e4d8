// SPDX-License-Identifier: BSD-3-Clause
// Into tiles that may be wider than what there is: rows with zeros behind them, of their own type or of bfloat16, whose
// numbers are the upper halves of floats; and bfloat16 that is turned on the way.
#pragma once

#include "base/types.hpp"
#include "kernels/move.hpp"
#include "ukr/transpose.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Lanes of T, or one, from memory that has them as From.
template <class V, class From>
CS_INLINE V load_wide(const From* from) {
    if constexpr (!std::is_same_v<From, Bfloat16>) {
        return load<V>(from);
    } else if constexpr (std::is_arithmetic_v<V>) {
        const std::uint32_t bits = static_cast<std::uint32_t>(*from) << 16;
        return load<V>(&bits);
    } else {
        constexpr int n = sizeof(V) / sizeof(float);
        const auto halves = load<vec<std::uint16_t, n>>(from);
        return reinterpret_cast<V>(__builtin_convertvector(halves, vec<std::uint32_t, n>) << 16);
    }
}

#if defined(__AVX512BW__)
inline constexpr bool masks_halves = true;
#else
inline constexpr bool masks_halves = false;
#endif
template <class V, class From>
inline constexpr bool has_first_wide = has_first_lanes<V> && (masks_halves || !std::is_same_v<From, Bfloat16>);
// The first lanes, zeros in the others.
template <class V, class From>
CS_INLINE V load_first_wide(const From* from, std::int64_t count) {
#if defined(__AVX512BW__)
    if constexpr (std::is_same_v<From, Bfloat16>) {
        const auto first = static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count)));
        const auto halves = (vec<std::uint16_t, 16>)_mm256_maskz_loadu_epi16(first, from);
        return reinterpret_cast<V>(__builtin_convertvector(halves, vec<std::uint32_t, 16>) << 16);
    }
#endif
    return load_first<V>(from, count);
}

// Numbers [i, n) that lie one behind the other: whole vectors, then ever narrower ones.
template <class T, int Lanes, class From>
CS_INLINE void widen_run(const From* from, T* to, std::int64_t i, std::int64_t n) {
    for (; i + Lanes <= n; i += Lanes) store(to + i, load_wide<vec<T, Lanes>>(from + i));
    if constexpr (Lanes > 1) widen_run<T, (Lanes > 4 ? Lanes / 2 : 1)>(from, to, i, n);
}

// Whole vectors are stored, the last of them with zeros in it; a masked load needs none written before.
template <class T, class From>
void widen(const WidenArgs& given) {
    const WidenArgs args = given;  // which no store may change
    using V = vec<T, native<T>>;
    const From* from = static_cast<const From*>(args.from);
    T* to = static_cast<T*>(args.to);
    if (args.cols == args.width && args.from_stride == args.width)
        return widen_run<T, native<T>>(from, to, 0, args.rows * args.width);
    if constexpr (has_first_wide<V, From>) {
        if (args.width % native<T> == 0) {
            const std::int64_t full = args.cols / native<T> * native<T>, ragged = args.cols - full;
            for (std::int64_t r = 0; r < args.rows; ++r, from += args.from_stride, to += args.width) {
                std::int64_t c = 0;
                for (; c < full; c += native<T>) store(to + c, load_wide<V>(from + c));
                if (ragged > 0) store(to + c, load_first_wide<V>(from + c, ragged)), c += native<T>;
                for (; c < args.width; c += native<T>) store(to + c, V{});
            }
            return;
        }
        if (args.width < native<T>) {
            for (std::int64_t r = 0; r < args.rows; ++r, from += args.from_stride, to += args.width)
                store_first<V>(to, args.width, load_first_wide<V>(from, args.cols));
            return;
        }
    }
    std::memset(to, 0, static_cast<std::size_t>(args.rows * args.width) * sizeof(T));
    for (std::int64_t r = 0; r < args.rows; ++r, from += args.from_stride, to += args.width)
        widen_run<T, native<T>>(from, to, 0, args.cols);
}

// Two columns are one of 32 bits until they are turned: half as many registers as float32 takes.
template <int L>
CS_INLINE void transpose_halves_square(const Bfloat16* from, std::int64_t from_stride, float* to,
                                       std::int64_t to_stride) {
    vec<std::uint32_t, L> pairs[L];
    for (int r = 0; r < L; ++r) pairs[r] = load<vec<std::uint32_t, L>>(from + r * from_stride);
    transpose_registers(pairs);
    for (int c = 0; c < L; ++c) {
        store(to + 2 * c * to_stride, pairs[c] << 16);
        store(to + (2 * c + 1) * to_stride, pairs[c] & 0xffff0000u);
    }
}

inline void transpose_halves(const TransposeArgs& args);

// Whole squares of at least one; the last ones overlap those before. Few rows that are left are turned as such.
template <int L>
inline void transpose_halves_squares(const TransposeArgs& args) {
    const auto* const from = static_cast<const Bfloat16*>(args.from);
    auto* const to = static_cast<float*>(args.to);
    for (std::int64_t r = 0; r < args.rows; r += L) {
        const std::int64_t left = args.rows - r, row = left >= L ? r : args.rows - L;
        if (left <= L / 2)
            return transpose_halves(
                {from + r * args.from_stride, to + r, left, args.cols, args.from_stride, args.to_stride});
        for (std::int64_t c = 0; c < args.cols; c += 2 * L) {
            const std::int64_t col = c + 2 * L <= args.cols ? c : args.cols - 2 * L;
            transpose_halves_square<L>(from + row * args.from_stride + col, args.from_stride,
                                       to + col * args.to_stride + row, args.to_stride);
        }
    }
}

inline void transpose_halves(const TransposeArgs& args) {
    const std::int64_t side = args.rows < args.cols / 2 ? args.rows : args.cols / 2;
    if constexpr (native<float> >= 16)
        if (side >= 16) return transpose_halves_squares<16>(args);
    if constexpr (native<float> >= 8)
        if (side >= 8) return transpose_halves_squares<8>(args);
    if (side >= 4) return transpose_halves_squares<4>(args);
    if (args.rows == 0 || args.cols == 0) return;
    // Few rows or columns are widened first, some at a time.
    constexpr std::int64_t most = 1024;
    alignas(vector_bytes) float some[most];
    const std::int64_t rows_at_once = args.rows < 4 ? args.rows : most / args.cols,
                       cols_at_once = args.rows < 4 ? most / args.rows : args.cols;
    for (std::int64_t r = 0; r < args.rows; r += rows_at_once)
        for (std::int64_t c = 0; c < args.cols; c += cols_at_once) {
            const std::int64_t rows = args.rows - r < rows_at_once ? args.rows - r : rows_at_once,
                               cols = args.cols - c < cols_at_once ? args.cols - c : cols_at_once;
            widen<float, Bfloat16>({static_cast<const Bfloat16*>(args.from) + r * args.from_stride + c, some, rows,
                                    cols, args.from_stride, cols});
            transpose<float>(
                {some, static_cast<float*>(args.to) + c * args.to_stride + r, rows, cols, cols, args.to_stride});
        }
}

}  // namespace cs::ukr::CS_ISA
