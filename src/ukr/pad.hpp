// SPDX-License-Identifier: BSD-3-Clause
// Planes of images with what lies around them.
#pragma once

#include "kernels/move.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Lanes of every second element, of `n` that there are; zeros behind them.
template <class T, int L>
CS_INLINE vec<T, L> load_every_second(const T* from, std::int64_t n) {
    using V = vec<T, L>;
    const std::int64_t reach = 2 * n - 1;  // no element is read behind the last one
    const V a = reach >= L ? load<V>(from) : load_first<V>(from, reach);
    const V b = reach >= 2 * L ? load<V>(from + L) : reach > L ? load_first<V>(from + L, reach - L) : V{};
    using Index = decltype(a < b);
    Index even;
    for (int lane = 0; lane < L; ++lane) even[lane] = 2 * lane;
    return __builtin_shuffle(a, b, even);
}

// A row and what fills the place behind it up to `width`, by whole vectors where these end before `end`: what they
// write too much is written again, by the row behind.
template <class T, int Step>
CS_INLINE void pad_row(const T* from, std::int64_t cols, T fill, T* to, std::int64_t width, const T* end) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    const V around = broadcast<V>(fill);
    auto put = [&](std::int64_t c, V v) {
        if (const std::int64_t room = end - to - c; room >= L)
            store(to + c, v);
        else
            store_first<V>(to + c, room, v);
    };
    std::int64_t c = 0;
    for (; c < cols; c += L) {
        const std::int64_t n = cols - c;
        V v;
        if constexpr (Step == 1)
            v = n >= L ? load<V>(from + c) : load_first<V>(from + c, n);
        else
            v = load_every_second<T, L>(from + 2 * c, n);
        if (n < L) {
            decltype(v < v) lane;
            for (int i = 0; i < L; ++i) lane[i] = i;
            v = lane < broadcast<decltype(lane)>(static_cast<std::remove_reference_t<decltype(lane[0])>>(n)) ? v
                                                                                                             : around;
        }
        put(c, v);
    }
    for (; c < width; c += L) put(c, around);
}

template <class T, int Step>
void pad_planes(const PadArgs& args) {
    const T fill = *static_cast<const T*>(args.fill);
    const T* from = static_cast<const T*>(args.from);
    T* to = static_cast<T*>(args.to);
    for (std::int64_t p = 0; p < args.planes; ++p, from += args.from_plane, to += args.to_plane) {
        const T* const end = to + args.size;
        const std::int64_t last = args.before + (args.rows - 1) * args.to_row;
        pad_row<T, Step>(from, 0, fill, to, args.before, end);
        for (std::int64_t r = 0; r < args.rows; ++r)
            pad_row<T, Step>(from + r * args.from_row, args.cols, fill, to + args.before + r * args.to_row,
                             r < args.rows - 1 ? args.to_row : args.size - last, end);
    }
}

template <class T>
void pad_by_elements(const PadArgs& args) {
    const T fill = *static_cast<const T*>(args.fill);
    for (std::int64_t p = 0; p < args.planes; ++p) {
        const T* const from = static_cast<const T*>(args.from) + p * args.from_plane;
        T* const to = static_cast<T*>(args.to) + p * args.to_plane;
        for (std::int64_t i = 0; i < args.size; ++i) to[i] = fill;
        for (std::int64_t r = 0; r < args.rows; ++r)
            for (std::int64_t c = 0; c < args.cols; ++c)
                to[args.before + r * args.to_row + c] = from[r * args.from_row + c * args.step];
    }
}

template <class T>
void pad(const PadArgs& args) {
    if constexpr (has_first_lanes<vec<T, native<T>>>) {
        if (args.step == 1 && args.from_row == args.cols && args.to_row == args.cols && args.rows > 1) {
            PadArgs one = args;  // row
            one.cols *= one.rows;
            one.rows = 1;
            return pad_planes<T, 1>(one);
        }
        if (args.step == 1) return pad_planes<T, 1>(args);
        if (args.step == 2) return pad_planes<T, 2>(args);
    }
    pad_by_elements<T>(args);
}

}  // namespace cs::ukr::CS_ISA
