// SPDX-License-Identifier: BSD-3-Clause
// Planes of images with what lies around them.
#pragma once

#include "kernels/move.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// A row and what fills the place behind it up to `width`, by whole vectors where these end before `end`: what they
// write too much is written again, by the row behind.
template <class T>
struct PaddedRow {
    static constexpr int L = native<T>;
    using V = vec<T, L>;

    T* to;
    std::int64_t cols, width;
    const T* end;
    T fill;

    // Columns from c on, of which there are some.
    CS_INLINE void put(std::int64_t c, V v) const {
        if (const std::int64_t n = cols - c; n < L) {
            decltype(v < v) lane;
            for (int i = 0; i < L; ++i) lane[i] = i;
            v = lane < broadcast<decltype(lane)>(static_cast<std::remove_reference_t<decltype(lane[0])>>(n))
                    ? v
                    : broadcast<V>(fill);
        }
        write(c, v);
    }
    CS_INLINE void put_rest() const {
        for (std::int64_t c = (cols + L - 1) / L * L; c < width; c += L) write(c, broadcast<V>(fill));
    }

   private:
    CS_INLINE void write(std::int64_t c, V v) const {
        if (const std::int64_t room = end - to - c; room >= L)
            store(to + c, v);
        else
            store_first<V>(to + c, room, v);
    }
};

template <class T>
CS_INLINE void pad_row(const T* from, const PaddedRow<T>& row) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    for (std::int64_t c = 0; c < row.cols; c += L) {
        const std::int64_t n = row.cols - c;
        row.put(c, n >= L ? load<V>(from + c) : load_first<V>(from + c, n));
    }
    row.put_rest();
}

// Every second element from `from` on makes a row, those between them the other one, whose columns may be none.
template <class T>
CS_INLINE void pad_halves(const T* from, const PaddedRow<T>& row, const PaddedRow<T>& other) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    const std::int64_t n = row.cols > other.cols ? row.cols : other.cols;
    const std::int64_t elements = n == other.cols ? 2 * n : 2 * n - 1;  // none is read behind the last one
    for (std::int64_t c = 0; c < n; c += L) {
        const T* const at = from + 2 * c;
        const std::int64_t reach = elements - 2 * c;
        const V a = reach >= L ? load<V>(at) : load_first<V>(at, reach);
        const V b = reach >= 2 * L ? load<V>(at + L) : reach > L ? load_first<V>(at + L, reach - L) : V{};
        decltype(a < b) even, odd;
        for (int lane = 0; lane < L; ++lane) even[lane] = 2 * lane, odd[lane] = 2 * lane + 1;
        if (c < row.cols) row.put(c, __builtin_shuffle(a, b, even));
        if (c < other.cols) other.put(c, __builtin_shuffle(a, b, odd));
    }
    row.put_rest();
    other.put_rest();
}

// A plane's rows one after the other.
template <class T>
struct PaddedPlane {
    const PadArgs& args;
    T* to;

    CS_INLINE PaddedRow<T> row(std::int64_t r) const {
        const std::int64_t first = args.before + r * args.to_row;
        return {to + first, args.cols, r < args.rows - 1 ? args.to_row : args.size - first, to + args.size, fill()};
    }
    CS_INLINE void put_before() const { PaddedRow<T>{to, 0, args.before, to + args.size, fill()}.put_rest(); }
    T fill() const { return *static_cast<const T*>(args.fill); }
};

template <class T>
void pad_planes(const PadArgs& args) {
    const T* from = static_cast<const T*>(args.from);
    T* to = static_cast<T*>(args.to);
    for (std::int64_t p = 0; p < args.planes; ++p, from += args.from_plane, to += args.to_plane) {
        const PaddedPlane<T> plane{args, to};
        plane.put_before();
        for (std::int64_t r = 0; r < args.rows; ++r) pad_row(from + r * args.from_row, plane.row(r));
    }
}

// As pad_planes of each, where elements of the one lie between those of the other.
template <class T>
void pad_planes_of_halves(const PadArgs& args, const PadArgs& others) {
    const T* from = static_cast<const T*>(args.from);
    T *to = static_cast<T*>(args.to), *other = static_cast<T*>(others.to);
    for (std::int64_t p = 0; p < args.planes;
         ++p, from += args.from_plane, to += args.to_plane, other += others.to_plane) {
        const PaddedPlane<T> plane{args, to}, behind{others, other};
        plane.put_before();
        behind.put_before();
        for (std::int64_t r = 0; r < args.rows; ++r) pad_halves(from + r * args.from_row, plane.row(r), behind.row(r));
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
    if constexpr (has_some_lanes<vec<T, native<T>>>) {
        if (args.step == 1 && args.from_row == args.cols && args.to_row == args.cols && args.rows > 1) {
            PadArgs one = args;  // row
            one.cols *= one.rows;
            one.rows = 1;
            return pad_planes<T>(one);
        }
        if (args.step == 1) return pad_planes<T>(args);
        if (args.step == 2) {
            const PadArgs none{nullptr, nullptr, args.fill, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0};
            return pad_planes_of_halves<T>(args, none);
        }
    }
    pad_by_elements<T>(args);
}

template <class T>
void pad_pair(const PadArgs& args, const PadArgs& others) {
    if constexpr (has_some_lanes<vec<T, native<T>>>) return pad_planes_of_halves<T>(args, others);
    pad_by_elements<T>(args);
    pad_by_elements<T>(others);
}

}  // namespace cs::ukr::CS_ISA
