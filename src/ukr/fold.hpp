// SPDX-License-Identifier: BSD-3-Clause
// Folding, bound by loads. Steps of two, which most pools have, are two vectors and a shuffle.
#pragma once

#include "kernels/fold.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

struct Larger {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return (b > a) | (b != b) ? b : a;  // a NaN in a stays: nothing is larger. | because || would branch
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

template <class Op, int Step, class V, class T>
CS_INLINE V fold_window(const FoldArgs& args, const T* from) {
    V all = load_apart<V, Step>(from);
    for (std::int64_t b = 1; b < args.cols; ++b) all = Op::of(all, load_apart<V, Step>(from + b * args.col_step));
    for (std::int64_t a = 1; a < args.rows; ++a)
        for (std::int64_t b = 0; b < args.cols; ++b)
            all = Op::of(all, load_apart<V, Step>(from + a * args.row_step + b * args.col_step));
    return Op::end(all, static_cast<T>(args.divisor));
}

// Outputs from i on, L at a time; returns the first that is left.
template <class Op, int L, class T>
CS_INLINE std::int64_t fold_some(const FoldArgs& args, std::int64_t i) {
    using V = vec<T, L>;
    const T* const from = static_cast<const T*>(args.from);
    T* const to = static_cast<T*>(args.to);
    if (args.step == 1)
        for (; i + L <= args.n; i += L) store(to + i, fold_window<Op, 1, V>(args, from + i));
    else if constexpr (sizeof(T) >= 4)
        for (; args.step == 2 && i + L < args.n; i += L)  // the last vector would read behind the last element
            store(to + i, fold_window<Op, 2, V>(args, from + 2 * i));
    return i;
}

template <class Op, class T>
void fold(const FoldArgs& args) {
    constexpr int L = native<T>;
    std::int64_t i = fold_some<Op, L, T>(args, 0);
    if constexpr (L >= 8) i = fold_some<Op, L / 2, T>(args, i);
    if constexpr (L >= 16) i = fold_some<Op, L / 4, T>(args, i);
    for (; i < args.n; ++i)
        static_cast<T*>(args.to)[i] = fold_window<Op, 1, T>(args, static_cast<const T*>(args.from) + i * args.step);
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
