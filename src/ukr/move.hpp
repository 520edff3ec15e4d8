// SPDX-License-Identifier: BSD-3-Clause
// Bringing dense operands into tiles and out again: transposes (batch-major activations), epilogue copies.
#pragma once

#include "core/microkernel.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Rows of an L x L square exchange halves of 1, 2, 4, ... lanes: after log2(L) rounds it is transposed.
template <class T, int L>
void transpose_square(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride) {
    using V = vec<T, L>;
    V row[L];
    for (int r = 0; r < L; ++r) row[r] = load<V>(from + r * from_stride);
    auto exchange = [&row](auto half) {
        constexpr int h = decltype(half)::value;
        using Index = decltype(row[0] < row[1]);
        Index low, high;  // lanes of (a, b): the blocks of h lanes with an even number, those with an odd number
        for (int i = 0; i < L; ++i) {
            const bool second = (i / h) % 2 != 0;
            low[i] = second ? L + i - h : i;
            high[i] = second ? L + i : i + h;
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
    for (int r = 0; r < L; ++r) store(to + r * to_stride, row[r]);
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
    // Walk along the long side of the operand with long rows: its cache lines are used up before the next ones come.
    if (args.from_stride >= args.to_stride) {
        for (std::int64_t r = row; r < end_row; r += L)
            for (std::int64_t c = col; c < end_col; c += L) square(r, c);
    } else {
        for (std::int64_t c = col; c < end_col; c += L)
            for (std::int64_t r = row; r < end_row; r += L) square(r, c);
    }
    if constexpr (L > 1) {
        constexpr int smaller = sizeof(T) * L > 16 ? L / 2 : 1;  // vectors of less than 16 bytes do not pay
        if (end_row < last_row) transpose_part<T, smaller>(args, end_row, last_row, col, end_col);
        if (end_col < last_col) transpose_part<T, smaller>(args, row, last_row, end_col, last_col);
    }
}

template <class T>
void transpose(const TransposeArgs& args) {
    transpose_part<T, native<T>>(args, 0, args.rows, 0, args.cols);
}

// Columns [c, cols) of one row, by ever narrower parts of the same body.
template <class T, int Lanes>
inline void epilogue_row(const T* from, T* to, std::int64_t c, std::int64_t cols, const T* bias, bool with_relu) {
    using V = vec<T, Lanes>;
    for (; c + Lanes <= cols; c += Lanes) {
        V v = load<V>(from + c);
        if (bias != nullptr) v += broadcast<V>(*bias);
        store(to + c, with_relu ? relu(v) : v);
    }
    if constexpr (Lanes > 1) {
        if (c < cols) epilogue_row<T, Lanes / 2>(from, to, c, cols, bias, with_relu);
    }
}

template <class T, int Lanes>
void epilogue_rows(const EpilogueArgs& args) {
    if constexpr (Lanes > 1) {
        if (args.cols < Lanes) return epilogue_rows<T, Lanes / 2>(args);  // start no wider than a row is
    }
    for (std::int64_t r = 0; r < args.rows; ++r)
        epilogue_row<T, Lanes>(static_cast<const T*>(args.from) + r * args.from_stride,
                               static_cast<T*>(args.to) + r * args.to_stride, 0, args.cols,
                               args.bias ? static_cast<const T*>(args.bias) + r : nullptr, args.relu);
}

template <class T>
void epilogue(const EpilogueArgs& args) {
    epilogue_rows<T, native<T>>(args);
}

template <class T>
inline constexpr MoveRow move_row{type_of<T>, native<T>, transpose<T>, epilogue<T>};

}  // namespace cs::ukr::CS_ISA
