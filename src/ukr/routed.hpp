// SPDX-License-Identifier: BSD-3-Clause
// spmm on routed layers: members in lanes.
//
// Per layer and unit: one permute of the window's registers, one load of weights and one FMA for each row of the
// member, one shift of the ids. Permutes and FMAs share the vector ports, so the bound is (1 + rows) / 2 cycles a layer
// where the permute is one instruction; from L2 on, the weights' bytes are. For one column the windows of a superlayer
// stay in registers; for more of them they are read from L1, where each serves group_units units.
#pragma once

#include "kernels/routed.hpp"
#include "ukr/finish.hpp"
#include "ukr/unpack.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// A value that the compiler may not take apart: it would turn chains into recomputation, and sums of addresses that fit
// an instruction into more loop invariants than there are registers.
template <class V>
CS_INLINE V opaque(V v) {
    if constexpr (std::is_pointer_v<V>)
        asm("" : "+r"(v));
    else
#ifdef __AVX512F__
        asm("" : "+v"(v));
#elif defined(__SSE__)
        asm("" : "+x"(v));
#else
        asm("" : "+w"(v));
#endif
    return v;
}

// A window of x, and its routing: lane l gets column ids[l] (low id_bits bits; what lies above is ignored).
template <int L, int Columns>
struct Window {
    using V = vec<float, L>;
    using Ids = vec<std::uint32_t, L>;
    const float* x;
    static CS_INLINE Window at(const float* from) { return {from}; }
    CS_INLINE V route(Ids ids) const {
        constexpr std::uint32_t columns = 1u << id_bits(Columns);
        V routed;
        for (int l = 0; l < L; ++l) routed[l] = x[ids[l] % columns];
        return routed;
    }
};

#ifdef __AVX2__
template <int Columns>
struct Window<8, Columns> {
    static_assert(Columns == 8 || Columns == 16 || Columns == 32, "one, two or four registers");
    static constexpr int n = Columns / 8;
    using V = vec<float, 8>;
    using Ids = vec<std::uint32_t, 8>;
    __m256 x[n];
    static CS_INLINE Window at(const float* from) {
        Window window;
        for (int i = 0; i < n; ++i) window.x[i] = _mm256_loadu_ps(from + 8 * i);
        return window;
    }
    CS_INLINE V route(Ids ids) const {
        const auto control = (__m256i)ids;
        auto from = [&](int i) { return _mm256_permutevar8x32_ps(x[i], control); };
        // A select looks at the sign: bit 3 of an id says which of two registers, bit 4 which pair.
        auto either = [&](__m256 a, __m256 b, int bit) {
            return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(control, 31 - bit)));
        };
        if constexpr (n == 1) return from(0);
        if constexpr (n == 2) return either(from(0), from(1), 3);
        if constexpr (n == 4) return either(either(from(0), from(1), 3), either(from(2), from(3), 3), 4);
    }
};
#endif

#ifdef __AVX512F__
template <int Columns>
struct Window<16, Columns> {
    static_assert(Columns == 16 || Columns == 32 || Columns == 64, "one, two or four registers");
    static constexpr int n = Columns / 16;
    using V = vec<float, 16>;
    using Ids = vec<std::uint32_t, 16>;
    __m512 x[n];
    static CS_INLINE Window at(const float* from) {
        Window window;
        for (int i = 0; i < n; ++i) window.x[i] = _mm512_loadu_ps(from + 16 * i);
        return window;
    }
    CS_INLINE V route(Ids ids) const {
        const auto control = (__m512i)ids;
        if constexpr (n == 1) return _mm512_maskz_permutexvar_ps(0xffff, control, x[0]);
        if constexpr (n == 2) return _mm512_permutex2var_ps(x[0], control, x[1]);
        if constexpr (n == 4) {
            const __mmask16 second = _mm512_test_epi32_mask(control, _mm512_set1_epi32(32));
            return _mm512_mask_blend_ps(second, _mm512_permutex2var_ps(x[0], control, x[1]),
                                        _mm512_permutex2var_ps(x[2], control, x[3]));
        }
    }
};
#endif

// The weights of one superlayer of one unit.
template <Weights W, int L, int BlockRows>
struct SuperlayerValues {
    static constexpr int words_per_pair = W == Weights::bf16 ? 1 : 2;  // 32-bit words that two layers take
    static constexpr int words(int layers) { return layers * words_per_pair * BlockRows * L / 2; }
    const std::uint32_t* at;

    CS_INLINE vec<float, L> get(int layer, int row) const {
        if constexpr (W == Weights::bf16) {
            const auto pair = load<vec<std::uint32_t, L>>(at + (layer / 2 * BlockRows + row) * L);
            return (vec<float, L>)(layer % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
        } else {
            return load<vec<float, L>>(at + (layer * BlockRows + row) * L);
        }
    }
};

template <Weights W, int L, int Columns, int BlockRows, int TileCols>
struct Routed {
    using V = vec<float, L>;
    using Ids = vec<std::uint32_t, L>;
    using Values = SuperlayerValues<W, L, BlockRows>;
    using At = Window<L, Columns>;
    static constexpr int layers = superlayer(Columns), bits = id_bits(Columns);
    static constexpr int unit_rows = L * BlockRows;
    // Units taken together: as many as give independent sums enough for the latency of the FMA and stay in registers.
    static constexpr int most_sums = L == 16 ? 16 : 8;
    static constexpr int units = most_sums / (BlockRows * TileCols) < 1 ? 1
                                 : most_sums / (BlockRows * TileCols) > group_units
                                     ? group_units
                                     : most_sums / (BlockRows * TileCols);

    const RoutedArgs& args;
    V not_finite{};  // sum * 0 is 0 for a finite sum and NaN otherwise; NaN stays

    // sum += weights of layer j * routed windows.
    template <bool Masked>
    static CS_INLINE void layer(V (&sum)[BlockRows][TileCols], Values weights, int j, const V (&routed)[TileCols]) {
#pragma GCC unroll 4
        for (int r = 0; r < BlockRows; ++r) {
            const V weight = weights.get(j, r);
#pragma GCC unroll 8
            for (int c = 0; c < TileCols; ++c) {
                V activation = routed[c];
                if constexpr (Masked) activation = (V)((Ids)activation & (Ids)((Ids)weight != 0x80000000u));
                sum[r][c] = fma(weight, activation, sum[r][c]);
            }
        }
    }

    // A whole superlayer of one column, unrolled: its windows stay in registers for all units.
    template <int Units, bool Masked>
    CS_INLINE void multiply_column(V (&sum)[Units][BlockRows][TileCols], const std::uint32_t* bases,
                                   const std::uint32_t* ids, const std::uint32_t* values) const {
        At window[layers];
#pragma GCC unroll 8
        for (int j = 0; j < layers; ++j) window[j] = At::at(x() + bases[j]);
#pragma GCC unroll 4
        for (int u = 0; u < Units; ++u) {
            Ids id = load<Ids>(ids + u * L);
#pragma GCC unroll 8
            for (int j = 0; j < layers; ++j) {
                const V routed[1] = {window[j].route(id)};
                layer<Masked>(sum[u], Values{values + u * Values::words(layers)}, j, routed);
                id = opaque(id >> bits);  // chained: faster than shifting the first by a multiple
            }
        }
    }

    // n layers of a superlayer, n even: the windows of a layer stay in registers for all units.
    template <int Units, bool Masked>
    CS_INLINE void multiply(V (&sum)[Units][BlockRows][TileCols], int n, const std::uint32_t* bases,
                            const std::uint32_t* ids, const std::uint32_t* values) const {
        Ids id[Units];
        for (int u = 0; u < Units; ++u) id[u] = load<Ids>(ids + u * L);
        const int of_unit = Values::words(n);
#pragma GCC unroll 1
        for (int j = 0; j < n; j += 2, values += Values::words(2)) {
#pragma GCC unroll 2
            for (int k = 0; k < 2; ++k) {
                At window[TileCols];
                for (int c = 0; c < TileCols; ++c) window[c] = At::at(x() + bases[j + k] + c * args.x_stride);
#pragma GCC unroll 4
                for (int u = 0; u < Units; ++u) {
                    V routed[TileCols];
                    for (int c = 0; c < TileCols; ++c) routed[c] = window[c].route(id[u]);
                    layer<Masked>(sum[u], Values{values + u * of_unit}, k, routed);
                    id[u] = opaque(id[u] >> bits);
                }
            }
        }
    }

    // Units [first, first + Units) of a group of in_group.
    template <int Units, bool Masked>
    CS_INLINE void run_units(std::int64_t group, int first, int in_group) {
        V sum[Units][BlockRows][TileCols]{};
        const std::int64_t n_super = (args.n_layers + layers - 1) / layers;
        const std::uint32_t* bases = args.bases;
        const std::uint32_t* ids = args.ids + group * group_units * n_super * L + first * L;
        const std::uint32_t* values = static_cast<const std::uint32_t*>(args.values) +
                                      group * group_units * values_of_unit() + first * Values::words(layers);
        std::int64_t left = args.n_layers;
        for (; left >= layers; left -= layers) {
            if constexpr (TileCols == 1)
                multiply_column<Units, Masked>(sum, bases, ids, opaque(values));
            else
                multiply<Units, Masked>(sum, layers, bases, ids, values);
            bases += layers;
            ids += in_group * L;
            values += in_group * Values::words(layers);
        }
        if (left > 0) {
            const auto n = static_cast<int>(left);
            multiply<Units, Masked>(sum, n, bases, ids, values + first * (Values::words(n) - Values::words(layers)));
        }
        const std::int64_t unit = group * group_units + first;
#pragma GCC unroll 8
        for (int u = 0; u < Units; ++u) write(unit + u, sum[u]);
    }

    const float* x() const { return static_cast<const float*>(args.x); }
    std::int64_t values_of_unit() const { return args.n_layers / 2 * Values::words(2); }

    CS_INLINE void write(std::int64_t unit, V (&sum)[BlockRows][TileCols]) {
        const std::int64_t first_row = unit * unit_rows;
        const std::int64_t n = args.n_rows - first_row;
        const auto finish = Finish<float>::of(args.finish);
#pragma GCC unroll 8
        for (int c = 0; c < TileCols; ++c) {
            V rows[BlockRows];
            for (int r = 0; r < BlockRows; ++r) {
                rows[r] = sum[r][c];
                not_finite = fma(rows[r], V{}, not_finite);
            }
            unpack_quads<L, BlockRows>(rows);  // lanes are members: interleaved, the rows are in order
            float* const y = static_cast<float*>(args.y) + first_row + c * args.y_stride;
            if (n >= unit_rows) {
                for (int r = 0; r < BlockRows; ++r) store(y + r * L, finish.rows(rows[r], first_row + r * L));
            } else {
                float values[unit_rows];
                for (int r = 0; r < BlockRows; ++r) store(values + r * L, rows[r]);
#pragma GCC unroll 1
                for (std::int64_t i = 0; i < n; ++i) y[i] = finish.rows(values[i], first_row + i);
            }
        }
    }

    // Returns whether all sums are finite. The masked variant, seldom needed, takes one unit at a time.
    template <bool Masked>
    bool run() {
        constexpr int at_once = Masked ? 1 : units;
        for (std::int64_t unit = 0; unit < args.n_units; unit += group_units) {
            const auto in_group =
                static_cast<int>(args.n_units - unit < group_units ? args.n_units - unit : group_units);
            const std::int64_t group = unit / group_units;
            int first = 0;
            for (; first + at_once <= in_group; first += at_once) run_units<at_once, Masked>(group, first, in_group);
            // What is left takes the masked variant too, whose results are as good: one body less to compile.
            if constexpr (at_once > 1)
                for (; first < in_group; ++first) run_units<1, true>(group, first, in_group);
        }
        for (int l = 0; l < L; ++l)
            if (not_finite[l] != 0) return false;
        return true;
    }
};

// A product of padding and a non-finite x is NaN, and then so is a sum: finite sums are right as they are.
template <Weights W, int L, int Columns, int BlockRows, int TileCols>
void routed(const RoutedArgs& args) {
    using Kernel = Routed<W, L, Columns, BlockRows, TileCols>;
    if (!Kernel{args}.template run<false>() && args.padded) Kernel{args}.template run<true>();
}

template <Weights W, int L, int Columns, int BlockRows, int TileCols>
inline constexpr RoutedRow routed_row{
    uniform(Type::f32), W, L, Columns, BlockRows, TileCols, routed<W, L, Columns, BlockRows, TileCols>};

}  // namespace cs::ukr::CS_ISA
