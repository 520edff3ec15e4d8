// SPDX-License-Identifier: BSD-3-Clause
// Folding, bound by loads. Steps of two, which most pools have, are two vectors and a shuffle.
#pragma once

#include <utility>

#include "kernels/fold.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

struct Larger {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        const V larger = greater_of(b, a);  // a NaN in a stays: nothing is larger
        return b != b ? b : larger;
    }
    template <class V, class T>
    static CS_INLINE V end(V all, T) {
        return all;
    }
};
struct Mean {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return static_cast<V>(a + b);
    }
    template <class V, class T>
    static CS_INLINE V end(V all, T divisor) {
        return static_cast<V>(all / divisor);
    }
};

// Step elements apart, from `from` on. Steps of two read the element behind the last, too.
template <class V, int Step, class T>
CS_INLINE V load_apart(const T* from) {
    if constexpr (Step == 1) {
        return load<V>(from);
    } else {
        constexpr int L = sizeof(V) / sizeof(T);
        vec<std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>, L> even;
        for (int l = 0; l < L; ++l) even[l] = 2 * l;
        return __builtin_shuffle(load<V>(from), load<V>(from + L), even);
    }
}

// One column of the window. Rows: how many it has, where the compiler is to know; else 0.
template <class Op, int Rows, int Step, class V, class T>
CS_INLINE V fold_column(const FoldArgs& args, const T* from) {
    V all = load_apart<V, Step>(from);
    if constexpr (Rows == 2) return Op::of(all, load_apart<V, Step>(from + args.row_step));
    for (std::int64_t a = 1; a < args.rows; ++a) all = Op::of(all, load_apart<V, Step>(from + a * args.row_step));
    return all;
}

template <class Op, int Rows, int Step, class V, class T>
CS_INLINE V fold_window(const FoldArgs& args, const T* from) {
    V all = fold_column<Op, Rows, Step, V>(args, from);
    for (std::int64_t b = 1; b < args.cols; ++b)
        all = Op::of(all, fold_column<Op, Rows, Step, V>(args, from + b * args.col_step));
    return Op::end(all, static_cast<T>(args.divisor));
}

// Two vectors of columns, folded as one where they are pairs. The numbers of lanes are written out: as a loop, GCC
// counts them anew for each pair where it did not unroll it.
template <class Op, class V, int... l>
CS_INLINE V fold_pair(V low, V high, std::integer_sequence<int, l...>) {
    using Index = vec<std::conditional_t<sizeof(low[0]) == 4, std::int32_t, std::int64_t>, sizeof...(l)>;
    return Op::of(__builtin_shuffle(low, high, Index{(2 * l)...}), __builtin_shuffle(low, high, Index{(2 * l + 1)...}));
}
template <class Op, class V>
CS_INLINE V fold_pair(V low, V high) {
    return fold_pair<Op>(low, high, std::make_integer_sequence<int, sizeof(V) / sizeof(low[0])>{});
}

// Windows of two neighbouring columns that do not overlap: columns are folded before they part.
template <class Op, int Rows, class V, class T>
CS_INLINE V fold_pairs(const FoldArgs& args, const T* from) {
    constexpr int L = sizeof(V) / sizeof(T);
    const V low = fold_column<Op, Rows, 1, V>(args, from), high = fold_column<Op, Rows, 1, V>(args, from + L);
    return Op::end(fold_pair<Op>(low, high), static_cast<T>(args.divisor));
}

inline bool are_pairs(const FoldArgs& args) { return args.step == 2 && args.cols == 2 && args.col_step == 1; }

#if defined(__AVX512F__)
// Lines of at most a vector of pairs: what is not there is not read.
template <class Op, class T>
CS_INLINE void fold_short_pairs(const FoldArgs& args, const T* from, T* to) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    LaneMask<V> of_low = lanes_between<V>(0, 2 * args.n), of_high = lanes_between<V>(0, 2 * args.n - L),
                wanted = lanes_between<V>(0, args.n);
    keep_mask(of_low), keep_mask(of_high), keep_mask(wanted);
    for (std::int64_t line = 0; line < args.lines; ++line, from += args.from_line, to += args.to_line) {
        V low = load_lanes<V>(from, of_low), high = load_lanes<V>(from + L, of_high);
        for (std::int64_t a = 1; a < args.rows; ++a) {
            const T* row = from + a * args.row_step;
            low = Op::of(low, load_lanes<V>(row, of_low)), high = Op::of(high, load_lanes<V>(row + L, of_high));
        }
        store_lanes(to, wanted, Op::end(fold_pair<Op>(low, high), static_cast<T>(args.divisor)));
    }
}
#endif

// window(V{}, i) for vectors of L outputs; the last one begins earlier, where fewer are left; of fewer outputs than a
// vector has, with narrower ones, down to `least` lanes. Returns the first output that is left.
template <class T, int L, int least, class Window>
CS_INLINE std::int64_t fold_vectors(std::int64_t n, const Window& window) {
    if constexpr (L >= least && L > 1) {
        if (n < L) return fold_vectors<T, L / 2, least>(n, window);
        std::int64_t i = 0;
        for (; i + L <= n; i += L) window(vec<T, L>{}, i);
        if (i < n) window(vec<T, L>{}, n - L);
        return n;
    }
    return 0;
}

template <class Op, int Rows, class T>
CS_INLINE void fold_line(const FoldArgs& args, const T* from, T* to) {
    constexpr int L = native<T>, least = L < 4 ? L : 4;
    std::int64_t i = 0;
    if (args.step == 1) {
        i = fold_vectors<T, L, least>(args.n, [&](auto zero, std::int64_t at) {
            store(to + at, fold_window<Op, Rows, 1, decltype(zero)>(args, from + at));
        });
    } else if constexpr (sizeof(T) >= 4) {
        if (are_pairs(args))
            i = fold_vectors<T, L, least>(args.n, [&](auto zero, std::int64_t at) {
                store(to + at, fold_pairs<Op, Rows, decltype(zero)>(args, from + 2 * at));
            });
        else if (args.step == 2)  // the last vector would read behind the last element
            i = fold_vectors<T, L, least>(args.n - 1, [&](auto zero, std::int64_t at) {
                store(to + at, fold_window<Op, Rows, 2, decltype(zero)>(args, from + 2 * at));
            });
    }
    for (; i < args.n; ++i) to[i] = fold_window<Op, Rows, 1, T>(args, from + i * args.step);
}

template <class Op, int Rows, class T>
CS_INLINE void fold_lines(const FoldArgs& given) {
    const FoldArgs args = given;  // which no store may change
    const T* from = static_cast<const T*>(args.from);
    T* to = static_cast<T*>(args.to);
#if defined(__AVX512F__)
    if constexpr (std::is_floating_point_v<T>)
        if (args.n <= native<T> && are_pairs(args)) return fold_short_pairs<Op>(args, from, to);
#endif
    for (std::int64_t line = 0; line < args.lines; ++line, from += args.from_line, to += args.to_line)
        fold_line<Op, Rows>(args, from, to);
}

template <class Op, class T>
void fold(const FoldArgs& args) {
    args.rows == 2 ? fold_lines<Op, 2, T>(args) : fold_lines<Op, 0, T>(args);
}

template <class T>
inline constexpr FoldRow fold_row{type_of<T>, fold<Larger, T>, fold<Mean, T>};

static constexpr FoldRow fold_of_every_level[] = {fold_row<float>,        fold_row<double>,
                                                  fold_row<std::int64_t>, fold_row<std::int8_t>,
                                                  fold_row<std::uint8_t>, fold_row<std::int32_t>};
template <>
struct EveryLevel<FoldRow> {
    static constexpr Rows<FoldRow> rows = table_rows(fold_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
