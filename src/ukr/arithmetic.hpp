// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic between products, bound by loads and stores. An element's result is that of IEEE operations in the order
// written here, the same for any number of lanes; but the sum of a softmax along a vector, which has a sum for each
// lane.
#pragma once

#include "kernels/arithmetic.hpp"
#include "ukr/exponential.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

CS_INLINE float square_root(float v) { return __builtin_sqrtf(v); }
CS_INLINE double square_root(double v) { return __builtin_sqrt(v); }

// body(V{}, i) for vectors of `lanes` elements from i on, then for narrower ones, down to one.
template <class T, int lanes, class Body>
CS_INLINE void for_vectors(std::int64_t i, std::int64_t n, const Body& body) {
    for (; i + lanes <= n; i += lanes) body(vec<T, lanes>{}, i);
    if constexpr (lanes > 2)
        for_vectors<T, lanes / 2>(i, n, body);
    else
        for (; i < n; ++i) body(T{}, i);
}

struct Plus {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return a + b;
    }
};
struct Times {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return a * b;
    }
};

struct Minus {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return a - b;
    }
};
struct Over {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return a / b;
    }
};

// NaN where one of them is; the larger one otherwise.
template <class V>
CS_INLINE V larger_or_nan(V a, V b) {
    return (b > a) | (b != b) ? b : a;
}

struct LargerOrNan {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return larger_or_nan(a, b);
    }
};
struct SmallerOrNan {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        return (b < a) | (b != b) ? b : a;
    }
};
struct Slope {
    template <class V>
    static CS_INLINE V of(V a, V b) {
        const V sloped = static_cast<V>(a * b);
        return a > V{} ? a : sloped;
    }
};

template <class V, bool one, class T>
CS_INLINE V load_or_spread(const T* from, std::int64_t i) {
    if constexpr (one)
        return broadcast<V>(*from);
    else
        return load<V>(from + i);
}

template <class Op, bool one_a, bool one_b, class T>
CS_INLINE void pairwise_of(const PairArgs& args) {
    const T *const a = static_cast<const T*>(args.a), *const b = static_cast<const T*>(args.b);
    T* const to = static_cast<T*>(args.to);
    for_vectors<T, native<T>>(0, args.n, [=](auto zero, std::int64_t i) {
        using V = decltype(zero);
        store(to + i, static_cast<V>(Op::of(load_or_spread<V, one_a>(a, i), load_or_spread<V, one_b>(b, i))));
    });
}

template <class Op, class T>
void pairwise(const PairArgs& args) {
    if (args.one_a)
        pairwise_of<Op, true, false, T>(args);
    else if (args.one_b)
        pairwise_of<Op, false, true, T>(args);
    else
        pairwise_of<Op, false, false, T>(args);
}

// The sum of body(V{}, i) over vectors of elements, then of its lanes.
template <class T, class Body>
CS_INLINE T sum_of(std::int64_t n, const Body& body) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    V sums{}, others{};
    std::int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        sums += body(V{}, i);
        others += body(V{}, i + L);
    }
    if (i + L <= n) {
        sums += body(V{}, i);
        i += L;
    }
    T sum{};
    for (; i < n; ++i) sum += body(T{}, i);
    sums += others;
    for (int l = 0; l < L; ++l) sum += sums[l];
    return sum;
}

// A vector's bits depend on its length alone. The mean is taken off before the squares are summed.
template <class T>
void norm(const NormArgs& args) {
    const T *const weight = static_cast<const T*>(args.weight), *const bias = static_cast<const T*>(args.bias);
    const std::int64_t n = args.n;
    for (std::int64_t r = 0; r < args.rows; ++r) {
        const T* const from = static_cast<const T*>(args.from) + r * n;
        T* const to = static_cast<T*>(args.to) + r * n;
        T mean{};
        if (args.centred) {
            mean = sum_of<T>(n, [=](auto zero, std::int64_t i) { return load<decltype(zero)>(from + i); });
            mean /= static_cast<T>(n);
        }
        const T squares = sum_of<T>(n, [=](auto zero, std::int64_t i) {
            using V = decltype(zero);
            const V off = static_cast<V>(load<V>(from + i) - broadcast<V>(mean));
            return static_cast<V>(off * off);
        });
        const T factor = T(1) / square_root(squares / static_cast<T>(n) + static_cast<T>(args.eps));
        for_vectors<T, native<T>>(0, n, [=](auto zero, std::int64_t i) {
            using V = decltype(zero);
            V v = static_cast<V>((load<V>(from + i) - broadcast<V>(mean)) * broadcast<V>(factor));
            if (weight != nullptr) v = static_cast<V>(v * load<V>(weight + i));
            if (bias != nullptr) v = static_cast<V>(v + load<V>(bias + i));
            store(to + i, v);
        });
    }
}

template <class T>
void scale(const ScaleArgs& args) {
    const T *const factors = static_cast<const T*>(args.factors), *const summands =
                                                                      static_cast<const T*>(args.summands);
    for (std::int64_t r = 0; r < args.rows; ++r) {
        const T* const from = static_cast<const T*>(args.from) + r * args.cols;
        T* const to = static_cast<T*>(args.to) + r * args.cols;
        if (args.of_columns)
            for_vectors<T, native<T>>(0, args.cols, [=](auto zero, std::int64_t i) {
                using V = decltype(zero);
                store(to + i, static_cast<V>(load<V>(from + i) * load<V>(factors + i) + load<V>(summands + i)));
            });
        else
            for_vectors<T, native<T>>(0, args.cols, [=](auto zero, std::int64_t i) {
                using V = decltype(zero);
                const V factor = broadcast<V>(factors[r]), summand = broadcast<V>(summands[r]);
                store(to + i, static_cast<V>(load<V>(from + i) * factor + summand));
            });
    }
}

// Below this e^x is zero.
template <class T>
inline constexpr T least_exponent = sizeof(T) == 4 ? T(-104) : T(-746);

// e^v for v <= 0.
template <class V>
CS_INLINE V exp_below_zero(V v) {
    using T = Element<V>;
    const V least = broadcast<V>(least_exponent<T>);
    const V high = v < least ? least : v;
    const LiftedExp<V> e = lifted_exp(high, static_cast<V>(high - high));
    return fma(e.less, e.scale, e.scale) * broadcast<V>(lowered<T>);
}

template <class T>
inline constexpr T largest_number = std::numeric_limits<T>::max();

// Along a vector: elements one behind the other.
template <class T>
CS_INLINE void softmax_along(const T* from, T* to, std::int64_t n) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    T most = from[0];
    std::int64_t i = 0;
    if (n >= L) {
        V all = load<V>(from);
        for (i = L; i + L <= n; i += L) all = larger_or_nan(all, load<V>(from + i));
        for (int l = 0; l < L; ++l) most = larger_or_nan(most, static_cast<T>(all[l]));
    }
    for (; i < n; ++i) most = larger_or_nan(most, from[i]);
    if (!(most <= largest_number<T> && most >= -largest_number<T>)) {
        for (i = 0; i < n; ++i) to[i] = std::numeric_limits<T>::quiet_NaN();
        return;
    }
    V sums{};
    for (i = 0; i + L <= n; i += L) {
        const V e = exp_below_zero(static_cast<V>(load<V>(from + i) - broadcast<V>(most)));
        store(to + i, e);
        sums += e;
    }
    T sum{};
    for (; i < n; ++i) sum += to[i] = exp_below_zero(from[i] - most);
    for (int l = 0; l < L; ++l) sum += sums[l];
    for_vectors<T, L>(0, n, [=](auto zero, std::int64_t j) {
        using U = decltype(zero);
        store(to + j, static_cast<U>(load<U>(to + j) / broadcast<U>(sum)));
    });
}

template <class T>
void softmax(const SoftmaxArgs& args) {
    const T* const from = static_cast<const T*>(args.from);
    T* const to = static_cast<T*>(args.to);
    const std::int64_t n = args.n, inner = args.inner;
    if (n == 0) return;
    if (inner == 1) return softmax_along(from, to, n);
    // Vectors side by side, a lane each.
    for_vectors<T, native<T>>(0, inner, [=](auto zero, std::int64_t j) {
        using V = decltype(zero);
        V most = load<V>(from + j), sum{};
        for (std::int64_t k = 1; k < n; ++k) most = larger_or_nan(most, load<V>(from + k * inner + j));
        const V bound = broadcast<V>(largest_number<T>);
        const V nan = broadcast<V>(std::numeric_limits<T>::quiet_NaN());
        for (std::int64_t k = 0; k < n; ++k) {
            const V e = exp_below_zero(static_cast<V>(load<V>(from + k * inner + j) - most));
            store(to + k * inner + j, e);
            sum += e;
        }
        sum = (most <= bound) & (most >= -bound) ? sum : nan;
        for (std::int64_t k = 0; k < n; ++k)
            store(to + k * inner + j, static_cast<V>(load<V>(to + k * inner + j) / sum));
    });
}

template <class T>
inline constexpr ArithmeticRow arithmetic_row{type_of<T>,
                                              pairwise<Plus, T>,
                                              pairwise<Times, T>,
                                              pairwise<Minus, T>,
                                              pairwise<Over, T>,
                                              pairwise<LargerOrNan, T>,
                                              pairwise<SmallerOrNan, T>,
                                              pairwise<Slope, T>,
                                              scale<T>,
                                              softmax<T>,
                                              norm<T>};

static constexpr ArithmeticRow arithmetic_of_every_level[] = {arithmetic_row<float>, arithmetic_row<double>};
template <>
struct EveryLevel<ArithmeticRow> {
    static constexpr Rows<ArithmeticRow> rows = table_rows(arithmetic_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
