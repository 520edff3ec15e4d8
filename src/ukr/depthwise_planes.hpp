// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of planes by square filters of their own: a vector of columns and a few rows of outputs; of narrow
// planes a vector has the columns of two. A row of the image is loaded once for each place that a tap may have in it,
// and serves all rows of outputs that it meets; what lies beside the plane is lanes that are not loaded, and rows that
// are passed over. Bound by loads and FMAs: 0.3 to 0.4 loads for each, which mostly cross a cache line, and 0.6 to 0.7
// where strides are 2 or planes are narrow. Only for levels that have masks.
#pragma once

#include "kernels/depthwise_planes.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

#if defined(__AVX2__)
// Lanes of two vectors, `Step` apart and from the first on: as many of either, where Halves, else in a row.
template <class T, int First, int Step, class V>
CS_INLINE V lanes_of_two(V a, V b) {
    constexpr int n = sizeof(V) / sizeof(T);
    vec<std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>, n> index;
    for (int i = 0; i < n; ++i) index[i] = First + (Step == 1 && i >= n / 2 ? n / 2 + i : Step * i);
    return __builtin_shuffle(a, b, index);
}

// The same lanes of both halves.
template <class T>
CS_INLINE vec<T, native<T>> of_halves(T lower, T upper) {
    using V = vec<T, native<T>>;
    return lanes_of_two<T, 0, 1>(broadcast<V>(lower), broadcast<V>(upper));
}

// Columns of the outputs that are a vector: which lanes there are, of each vector that is loaded and of those stored.
// P planes, each in as many lanes.
template <class T, int K, int S, int P>
struct PlaneColumns {
    static constexpr int L = native<T>, steps = S == 1 ? K : (K + 1) / 2, loads = S == 1 ? P : 2;
    using V = vec<T, L>;

    PlaneColumns(const DepthwisePlanesArgs& args, std::int64_t first) : col(first) {
        for (int plane = 0; plane < P; ++plane) {
            const std::int64_t lane = plane * L / P;
            stored[plane] = lanes_between<V>(lane, lane + args.out_cols - first);
        }
        for (int step = 0; step < steps; ++step)
            for (int i = 0; i < loads; ++i) {
                const std::int64_t at = first * S + S * step + (P == 1 ? i * L : 0) - args.left;
                loaded[step][i] = lanes_between<V>(-at, args.width - at);
            }
    }

    CS_INLINE void keep() {
        for (int step = 0; step < steps; ++step)
            for (int i = 0; i < loads; ++i) keep_mask(loaded[step][i]);
    }
    // What the taps of a row, from `line` on, meet; the next plane is x_step away.
    CS_INLINE void load(const T* line, std::int64_t x_step, V (&x)[K]) const {
        const T* const next = P == 1 ? line + L : line + x_step;
#pragma GCC unroll 8
        for (int step = 0; step < steps; ++step) {
            const V a = load_lanes<V>(line + S * step, loaded[step][0]);
            if constexpr (loads == 1) {
                x[step] = a;
            } else {
                const V b = load_lanes<V>(next + S * step, loaded[step][1]);
                x[S * step] = lanes_of_two<T, 0, S>(a, b);
                if (S == 2 && 2 * step + 1 < K) x[2 * step + 1] = lanes_of_two<T, S - 1, S>(a, b);
            }
        }
    }
    CS_INLINE void store(T* to, std::int64_t y_step, V sums) const {
        store_lanes<V>(to, stored[0], sums);
        if constexpr (P == 2) store_lanes<V>(to + y_step - L / 2, stored[1], sums);
    }

    std::int64_t col;
    LaneMask<V> stored[P], loaded[steps][loads];
};

// What is convolved: one plane, or two, x_step and y_step apart.
template <class T, int K>
struct PlaneFilters {
    using V = vec<T, native<T>>;
    const T* x;
    T* y;
    std::int64_t x_step, y_step;
    V weights[K * K], bias;
};

// Rows [row, row + R).
template <class T, int K, int S, int P, int R>
CS_INLINE void plane_tile(const DepthwisePlanesArgs& args, const PlaneFilters<T, K>& with, std::int64_t row,
                          PlaneColumns<T, K, S, P> columns) {
    using V = vec<T, native<T>>;
    columns.keep();
    const std::int64_t height = args.height, width = args.width;
    V sums[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sums[r] = with.bias;
    const std::int64_t top = row * S - args.top;
    const T* line = with.x + top * width + columns.col * S - args.left;
#pragma GCC unroll 16
    for (int i = 0; i < (R - 1) * S + K; ++i, line += width) {
        if (top + i < 0 || top + i >= height) continue;
        V taps[K];
        columns.load(line, with.x_step, taps);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const int a = i - r * S;
            if (a < 0 || a >= K) continue;
#pragma GCC unroll 8
            for (int b = 0; b < K; ++b) sums[r] = fma(taps[b], with.weights[a * K + b], sums[r]);
        }
    }
    const V least = broadcast<V>(static_cast<T>(args.least)), most = broadcast<V>(static_cast<T>(args.most));
    T* to = with.y + row * args.out_cols + columns.col;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r, to += args.out_cols) {
        V sum = sums[r];  // NaN stays
        sum = sum < least ? least : sum;
        sum = sum > most ? most : sum;
        columns.store(to, with.y_step, sum);
    }
}

// From `row` on; where fewer rows are left than a tile has, it begins earlier, or has half as many.
template <class T, int K, int S, int P, int R>
CS_INLINE void plane_rows(const DepthwisePlanesArgs& args, const PlaneFilters<T, K>& with, std::int64_t row,
                          const PlaneColumns<T, K, S, P>& columns) {
    for (; row + R <= args.out_rows; row += R) plane_tile<T, K, S, P, R>(args, with, row, columns);
    const std::int64_t rest = args.out_rows - row;
    if (rest == 0) return;
    if constexpr (R > 1) {
        if (rest <= R / 2 || args.out_rows < R) return plane_rows<T, K, S, P, R / 2>(args, with, row, columns);
    }
    plane_tile<T, K, S, P, R>(args, with, args.out_rows - R, columns);
}

template <class T, int K, int S, int P>
void planes_together(const DepthwisePlanesArgs& args) {
    // Sums enough to wait for none of them; weights that find no register beside them are operands in memory. Rows of
    // 7 << n pixels are whole tiles.
    constexpr int rows = 7;
    const T* weights = static_cast<const T*>(args.weights);
    const T* const bias = static_cast<const T*>(args.bias);
    PlaneFilters<T, K> with{static_cast<const T*>(args.x), static_cast<T*>(args.y), args.x_step, args.y_step, {}, {}};
    PlaneColumns<T, K, S, P> columns(args, 0);
    for (std::int64_t plane = 0; plane < args.planes; plane += P) {
        std::int64_t next = P - 1;
        if (plane + next >= args.planes) next = with.x_step = with.y_step = 0;  // the last one, twice
        for (int tap = 0; tap < K * K; ++tap)
            with.weights[tap] = of_halves<T>(weights[tap], weights[next * K * K + tap]);
        if (bias != nullptr) with.bias = of_halves<T>(bias[plane], bias[plane + next]);
        for (std::int64_t col = 0; col < args.out_cols; col += native<T>) {
            if (columns.col != col) columns = PlaneColumns<T, K, S, P>(args, col);
            plane_rows<T, K, S, P, rows>(args, with, 0, columns);
        }
        with.x += P * args.x_step;
        with.y += P * args.y_step;
        weights += P * K * K;
    }
}

template <class T, int K, int S>
void depthwise_planes(const DepthwisePlanesArgs& given) {
    const DepthwisePlanesArgs args = given;  // which no store may change
    if (args.out_cols <= native<T> / 2)
        planes_together<T, K, S, 2>(args);
    else
        planes_together<T, K, S, 1>(args);
}

template <class T, int K, int S>
inline constexpr DepthwisePlanesRow depthwise_planes_row{type_of<T>, K, S, depthwise_planes<T, K, S>};

static constexpr DepthwisePlanesRow depthwise_planes_of_every_level[] = {
    depthwise_planes_row<float, 3, 1>,  depthwise_planes_row<float, 3, 2>,  depthwise_planes_row<float, 5, 1>,
    depthwise_planes_row<float, 5, 2>,  depthwise_planes_row<double, 3, 1>, depthwise_planes_row<double, 3, 2>,
    depthwise_planes_row<double, 5, 1>, depthwise_planes_row<double, 5, 2>,
};
template <>
struct EveryLevel<DepthwisePlanesRow> {
    static constexpr Rows<DepthwisePlanesRow> rows = table_rows(depthwise_planes_of_every_level);
};
#endif

}  // namespace cs::ukr::CS_ISA
