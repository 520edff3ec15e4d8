// SPDX-License-Identifier: BSD-3-Clause
// Transposes, in registers: squares of as many rows as a register has lanes, and what bytes, fours and pairs of columns
// have besides.
#pragma once

#include "kernels/move.hpp"
#include "ukr/unpack.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Rows of an L x L square exchange halves of 1, 2, 4, ... lanes: after log2(L) rounds it is transposed.
template <int L, class V>
CS_INLINE void transpose_registers(V (&row)[L]) {
    auto exchange = [&row](auto half) {
        constexpr int h = decltype(half)::value;
        using Index = decltype(row[0] < row[1]);
        using Place = std::remove_reference_t<decltype(Index{}[0])>;
        Index low, high;  // lanes of (a, b): the blocks of h lanes with an even number, those with an odd number
        for (int i = 0; i < L; ++i) {
            const bool second = (i / h) % 2 != 0;
            low[i] = static_cast<Place>(second ? L + i - h : i);
            high[i] = static_cast<Place>(second ? L + i : i + h);
        }
        for (int r = 0; r < L; ++r)
            if ((r / h) % 2 == 0) {
                const V a = row[r], b = row[r + h];
                row[r] = __builtin_shuffle(a, b, low);
                row[r + h] = __builtin_shuffle(a, b, high);
            }
    };
    if constexpr (L >= 2) exchange(std::integral_constant<int, 1>{});
    if constexpr (L >= 4) exchange(std::integral_constant<int, 2>{});
    if constexpr (L >= 8) exchange(std::integral_constant<int, 4>{});
    if constexpr (L >= 16) exchange(std::integral_constant<int, 8>{});
}

template <class T, int L>
void transpose_square(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride) {
    vec<T, L> row[L];
    for (int r = 0; r < L; ++r) row[r] = load<vec<T, L>>(from + r * from_stride);
    transpose_registers(row);
    for (int r = 0; r < L; ++r) store(to + r * to_stride, row[r]);
}

// Sixteen bytes each from `step` bytes apart, and back. Intrinsics, because GCC 12 joins parts by shuffles alone, which
// the transposes are bound by; an insert from memory takes other ports too.
template <class V>
CS_INLINE V load_parts(const void* first, [[maybe_unused]] std::int64_t step) {
#ifdef __AVX__
    [[maybe_unused]] const auto part = [&](int i) {
        return _mm_loadu_ps(reinterpret_cast<const float*>(static_cast<const char*>(first) + i * step));
    };
#endif
#ifdef __AVX512F__
    if constexpr (sizeof(V) == 64) {
        const __m512 two = _mm512_maskz_insertf32x4(0xffff, _mm512_zextps128_ps512(part(0)), part(1), 1);
        return (V)_mm512_maskz_insertf32x4(0xffff, _mm512_maskz_insertf32x4(0xffff, two, part(2), 2), part(3), 3);
    }
#endif
#ifdef __AVX__
    if constexpr (sizeof(V) == 32) return (V)_mm256_insertf128_ps(_mm256_zextps128_ps256(part(0)), part(1), 1);
#endif
    if constexpr (sizeof(V) == 16) return load<V>(first);
}

template <int L>
CS_INLINE void store_quads(float* to, [[maybe_unused]] std::int64_t step, vec<float, L> quads) {
#ifdef __AVX512F__
    if constexpr (L == 16) {
        _mm_storeu_ps(to, _mm512_maskz_extractf32x4_ps(0xf, quads, 0));
        _mm_storeu_ps(to + step, _mm512_maskz_extractf32x4_ps(0xf, quads, 1));
        _mm_storeu_ps(to + 2 * step, _mm512_maskz_extractf32x4_ps(0xf, quads, 2));
        _mm_storeu_ps(to + 3 * step, _mm512_maskz_extractf32x4_ps(0xf, quads, 3));
    }
#endif
#ifdef __AVX__
    if constexpr (L == 8) {
        _mm_storeu_ps(to, _mm256_castps256_ps128(quads));
        _mm_storeu_ps(to + step, _mm256_extractf128_ps(quads, 1));
    }
#endif
    if constexpr (L == 4) store(to, quads);
}

// A column of L / 4 squares of 4 x 4 becomes a row of them (Down), or a row of them a column.
template <int L, bool Down>
CS_INLINE void transpose_quads(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
    using V = vec<float, L>;
    V v[4];
    for (int r = 0; r < 4; ++r) {
        const float* const at = from + r * from_stride;
        v[r] = Down ? load_parts<V>(at, 16 * from_stride) : load<V>(at);
    }
    unpack_quads<L, 4>(v);
    for (int r = 0; r < 4; ++r) {
        float* const at = to + r * to_stride;
        if constexpr (Down)
            store(at, v[r]);
        else
            store_quads<L>(at, 4 * to_stride, v[r]);
    }
}

// A part whose sides are multiples of four: as many squares at once along its longer side as a register holds.
inline void transpose_fours(const TransposeArgs& args, std::int64_t row, std::int64_t last_row, std::int64_t col,
                            std::int64_t last_col) {
    constexpr int L = native<float>;
    const float* const from = static_cast<const float*>(args.from);
    float* const to = static_cast<float*>(args.to);
    auto squares = [&](auto lanes, auto down, std::int64_t r, std::int64_t c) {
        transpose_quads<lanes(), down()>(from + r * args.from_stride + c, args.from_stride, to + c * args.to_stride + r,
                                         args.to_stride);
    };
    if (last_row - row >= last_col - col) {
        for (; last_row - row >= L; row += L)
            for (std::int64_t c = col; c < last_col; c += 4)
                squares(std::integral_constant<int, L>{}, std::true_type{}, row, c);
    } else {
        for (; last_col - col >= L; col += L)
            for (std::int64_t r = row; r < last_row; r += 4)
                squares(std::integral_constant<int, L>{}, std::false_type{}, r, col);
    }
    for (std::int64_t r = row; r < last_row; r += 4)
        for (std::int64_t c = col; c < last_col; c += 4)
            squares(std::integral_constant<int, 4>{}, std::true_type{}, r, c);
}

// Two floats each from `step` elements apart, and back. A wider register than four floats takes them only where they
// lie one behind the other.
template <int L>
CS_INLINE vec<float, L> load_pairs(const float* from, [[maybe_unused]] std::int64_t step) {
    if constexpr (L > 4) {
        return load<vec<float, L>>(from);
    } else {
        double first, second;  // stay in vector registers
        std::memcpy(&first, from, sizeof first);
        std::memcpy(&second, from + step, sizeof second);
        return reinterpret_cast<vec<float, 4>>(vec<double, 2>{first, second});
    }
}

template <int L>
CS_INLINE void store_pairs(float* to, [[maybe_unused]] std::int64_t step, vec<float, L> v) {
    if constexpr (L > 4) {
        store(to, v);
    } else {
        const auto pairs = reinterpret_cast<vec<double, 2>>(v);
        const double first = pairs[0], second = pairs[1];
        std::memcpy(to, &first, sizeof first);
        std::memcpy(to + step, &second, sizeof second);
    }
}

// Two columns of n become two rows (Down), or two rows two columns.
template <bool Down>
inline void transpose_pairs(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                            std::int64_t n) {
    std::int64_t i = 0;
    auto some = [&](auto lanes) {
        constexpr int L = lanes();
        using V = vec<float, L>;
        const std::int64_t half = L / 2, step = Down ? from_stride : to_stride;
        const V a = Down ? load_pairs<L>(from + i * step, step) : load<V>(from + i);
        const V b = Down ? load_pairs<L>(from + (i + half) * step, step) : load<V>(from + from_stride + i);
        using Index = decltype(a < b);
        Index first, second;  // lanes of (a, b): the first and the second of each pair; or pairs of the first half, ...
        for (int lane = 0; lane < L; ++lane) {
            first[lane] = Down ? 2 * lane : lane / 2 + lane % 2 * L;
            second[lane] = first[lane] + (Down ? 1 : L / 2);
        }
        const V c = __builtin_shuffle(a, b, first), d = __builtin_shuffle(a, b, second);
        if constexpr (Down) {
            store(to + i, c);
            store(to + to_stride + i, d);
        } else {
            store_pairs<L>(to + i * step, step, c);
            store_pairs<L>(to + (i + half) * step, step, d);
        }
        i += L;
    };
    if ((Down ? from_stride : to_stride) == 2)
        while (i + native<float> <= n) some(std::integral_constant<int, native<float>>{});
    while (i + 4 <= n) some(std::integral_constant<int, 4>{});
    for (; i < n; ++i)
        for (std::int64_t j = 0; j < 2; ++j)
            if constexpr (Down)
                to[j * to_stride + i] = from[i * from_stride + j];
            else
                to[i * to_stride + j] = from[j * from_stride + i];
}

// Two to four columns of bytes become rows, as many squares of 4 x 4 at once as a register holds: bytes change places
// within sixteen, then quads of them. Returns the first row that is left. Four bytes of a row are read, of fewer
// columns where the next row lies behind them.
template <class T>
inline std::int64_t transpose_few_columns(const TransposeArgs& args) {
    constexpr int lanes = vector_bytes / 4;  // rows
    using Bytes = vec<std::uint8_t, vector_bytes>;
    using Quads = vec<std::int32_t, lanes>;
    const T* const from = static_cast<const T*>(args.from);
    T* const to = static_cast<T*>(args.to);
    const std::int64_t cols = args.cols, step = args.from_stride;
    if (cols < 4 && step < cols) return 0;
    const std::int64_t rows = cols < 4 ? args.rows - 1 : args.rows;
    Bytes within;
    Quads across;
    for (int i = 0; i < vector_bytes; ++i) within[i] = static_cast<std::uint8_t>(i / 16 * 16 + i % 4 * 4 + i / 4 % 4);
    for (int i = 0; i < lanes; ++i) across[i] = i % (lanes / 4) * 4 + i / (lanes / 4);
    std::int64_t row = 0;
    for (; row + lanes <= rows; row += lanes) {
        Bytes bytes;
        if (step == 4) {
            bytes = load<Bytes>(from + 4 * row);
        } else {
            std::int32_t some[lanes];
            for (int i = 0; i < lanes; ++i) some[i] = load<std::int32_t>(from + (row + i) * step);
            bytes = load<Bytes>(some);
        }
        const Quads quads = reinterpret_cast<Quads>(__builtin_shuffle(bytes, within));
        const Quads columns = __builtin_shuffle(quads, across);
        for (std::int64_t c = 0; c < cols; ++c)
            std::memcpy(to + c * args.to_stride + row, reinterpret_cast<const char*>(&columns) + c * lanes,
                        static_cast<std::size_t>(lanes));
    }
    return row;
}

// As many rows of bytes as a register has, and 16 columns: parts of a register are squares of 16 x 16.
template <int L>
CS_INLINE void transpose_sixteen_columns(const std::uint8_t* from, std::int64_t from_stride, std::uint8_t* to,
                                         std::int64_t to_stride) {
    using V = vec<std::uint8_t, L>;
    V v[16];
    for (int r = 0; r < 16; ++r) v[r] = load_parts<V>(from + r * from_stride, 16 * from_stride);
    unpack_bytes(v);
    for (int c = 0; c < 16; ++c) store(to + c * to_stride, v[c]);
}

// Bytes of at least 16 rows and columns: the last squares overlap those before.
inline void transpose_bytes(const TransposeArgs& args) {
    const std::uint8_t* const from = static_cast<const std::uint8_t*>(args.from);
    std::uint8_t* const to = static_cast<std::uint8_t*>(args.to);
    const auto rows_from = [&](auto lanes, std::int64_t row) {
        for (std::int64_t c = 0; c < args.cols; c += 16) {
            const std::int64_t col = c + 16 <= args.cols ? c : args.cols - 16;
            transpose_sixteen_columns<lanes()>(from + row * args.from_stride + col, args.from_stride,
                                               to + col * args.to_stride + row, args.to_stride);
        }
    };
    std::int64_t row = 0;
    for (; row + vector_bytes <= args.rows; row += vector_bytes)
        rows_from(std::integral_constant<int, vector_bytes>{}, row);
    for (; row < args.rows; row += 16)
        rows_from(std::integral_constant<int, 16>{}, row + 16 <= args.rows ? row : args.rows - 16);
}

// Rows [row, last_row) and columns [col, last_col): squares of L, what is left by ever smaller ones.
template <class T, int L>
inline void transpose_part(const TransposeArgs& args, std::int64_t row, std::int64_t last_row, std::int64_t col,
                           std::int64_t last_col) {
    const T* const from = static_cast<const T*>(args.from);
    T* const to = static_cast<T*>(args.to);
    auto square = [&](std::int64_t r, std::int64_t c) {
        if constexpr (L > 1)
            transpose_square<T, L>(from + r * args.from_stride + c, args.from_stride, to + c * args.to_stride + r,
                                   args.to_stride);
        else
            to[c * args.to_stride + r] = from[r * args.from_stride + c];
    };
    const std::int64_t end_row = last_row - (last_row - row) % L, end_col = last_col - (last_col - col) % L;
    if constexpr (L == 4 && std::is_same_v<T, float>) {
        transpose_fours(args, row, end_row, col, end_col);
    } else if constexpr (L == 2 && std::is_same_v<T, float>) {
        if (last_row - row >= last_col - col)
            for (std::int64_t c = col; c < end_col; c += 2)
                transpose_pairs<true>(from + row * args.from_stride + c, args.from_stride,
                                      to + c * args.to_stride + row, args.to_stride, end_row - row);
        else
            for (std::int64_t r = row; r < end_row; r += 2)
                transpose_pairs<false>(from + r * args.from_stride + col, args.from_stride,
                                       to + col * args.to_stride + r, args.to_stride, end_col - col);
    } else if (args.from_stride >= args.to_stride) {
        // Along the long side of the operand with long rows: its cache lines are used up before the next ones come.
        for (std::int64_t r = row; r < end_row; r += L)
            for (std::int64_t c = col; c < end_col; c += L) square(r, c);
    } else {
        for (std::int64_t c = col; c < end_col; c += L)
            for (std::int64_t r = row; r < end_row; r += L) square(r, c);
    }
    if constexpr (L > 1) {
        // Vectors of less than 16 bytes do not pay, pairs of floats do: of many rows or columns. Where more than half
        // of a square is left, a last one that overlaps those before takes less than ever smaller ones.
        constexpr int smaller = sizeof(T) * L > 16 || (std::is_same_v<T, float> && L == 4) ? L / 2 : 1;
        const auto overlaps = [](std::int64_t first, std::int64_t end, std::int64_t last) {
            return last - end > L / 2 && last - first >= L;
        };
        if (overlaps(row, end_row, last_row))
            transpose_part<T, L>(args, last_row - L, last_row, col, end_col);
        else if (end_row < last_row)
            transpose_part<T, smaller>(args, end_row, last_row, col, end_col);
        if (overlaps(col, end_col, last_col))
            transpose_part<T, L>(args, row, last_row, last_col - L, last_col);
        else if (end_col < last_col)
            transpose_part<T, smaller>(args, row, last_row, end_col, last_col);
    }
}

// Sixteen columns at once, those that are left by fours: or as sixteen, where they are more than half of that.
template <class T>
inline void transpose_columns_of_bytes(const TransposeArgs& args) {
    const std::int64_t left = args.cols % 16, squares = left > 8 ? args.cols : args.cols - left;
    const bool by_sixteen = args.rows >= 16 && squares >= 16;
    if (by_sixteen) transpose_bytes({args.from, args.to, args.rows, squares, args.from_stride, args.to_stride});
    std::int64_t c = by_sixteen ? squares : 0;
    const T* from = static_cast<const T*>(args.from) + c;
    T* to = static_cast<T*>(args.to) + c * args.to_stride;
    for (; c < args.cols; c += 4, from += 4, to += 4 * args.to_stride) {
        const std::int64_t cols = args.cols - c < 4 ? args.cols - c : 4;
        const TransposeArgs few{from, to, args.rows, cols, args.from_stride, args.to_stride};
        transpose_part<T, 1>(few, cols > 1 ? transpose_few_columns<T>(few) : 0, args.rows, 0, cols);
    }
}

template <class T>
void transpose(const TransposeArgs& args) {
    constexpr int side = native<T> < 16 ? native<T> : 16;  // larger squares do not fit the registers
    if constexpr (sizeof(T) == 1)
        if (args.rows >= vector_bytes / 4) return transpose_columns_of_bytes<T>(args);
    transpose_part<T, side>(args, 0, args.rows, 0, args.cols);
}

}  // namespace cs::ukr::CS_ISA
