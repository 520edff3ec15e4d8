// SPDX-License-Identifier: BSD-3-Clause
// spmv on windows: eight rows in lanes.
//
// Loads bound the gather step: 8 of x, 1 of values, 2 of columns. A tile step needs 4 loads (2 windows, values, picks)
// and three in-register operations for up to 8 entries, so the packer puts what it can into tiles. Tiles are bound by
// the shuffle ports and gathers by the load ports: blocks of four tiles and pairs of gathers alternate to use both.
#pragma once

#include "core/microkernel.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// One value per lane of a group; as many registers as the type needs.
template <class T>
struct Lanes {
    static constexpr int width = native<T> < window_lanes ? native<T> : window_lanes;
    static constexpr int n = window_lanes / width;
    using V = vec<T, width>;
    V part[n];

    static Lanes load_from(const T* from) {
        Lanes lanes;
        for (int i = 0; i < n; ++i) lanes.part[i] = load<V>(from + i * width);
        return lanes;
    }
    void add(const Lanes& other) {
        for (int i = 0; i < n; ++i) part[i] += other.part[i];
    }
    // this += value * x; masked: only in lanes that hold an entry.
    template <bool Masked>
    void multiply_add(const Lanes& value, Lanes x) {
        for (int i = 0; i < n; ++i) {
            if constexpr (Masked) x.part[i] = keep(x.part[i], value.part[i]);
            part[i] = fma(value.part[i], x.part[i], part[i]);
        }
    }

   private:
    // x where the value is not the padding -0.0, else 0.
    static V keep(V x, V value) {
        if constexpr (std::is_floating_point_v<T>) {
            using Bits = decltype(value < x);  // the integer vector of the same width
            using Bit = std::remove_reference_t<decltype(Bits{}[0])>;
            constexpr Bit padding = static_cast<Bit>(std::uint64_t{1} << (8 * sizeof(T) - 1));  // the bits of -0.0
            return (V)((Bits)x & ((Bits)value != padding));
        } else {
            return x;
        }
    }
};

// x at eight columns. Two 64-bit loads bring the columns; rotating them costs the load ports nothing.
template <class T>
inline Lanes<T> gather(const T* x, const std::uint16_t* columns) {
    std::uint64_t half[2] = {load<std::uint64_t>(columns), load<std::uint64_t>(columns + 4)};
    Lanes<T> lanes;
    auto at = [&](int l) -> const T* {
        const std::uint64_t packed = half[l / 4];
        const int shift = 16 * (l % 4);
        if (shift == 0) return x + static_cast<std::uint16_t>(packed);
        if (shift == 48) return x + (packed >> 48);
        return x + static_cast<std::uint16_t>((packed >> shift) | (packed << (64 - shift)));
    };
#ifdef __AVX2__
    if constexpr (std::is_same_v<T, float>) {
        // Written out because GCC 12 builds the vector from pairs, with twice the shuffles.
        auto four = [&](int l) {
            __m128i v = _mm_castps_si128(_mm_load_ss(at(l)));
            v = _mm_insert_epi32(v, load<int>(at(l + 1)), 1);
            v = _mm_insert_epi32(v, load<int>(at(l + 2)), 2);
            return _mm_insert_epi32(v, load<int>(at(l + 3)), 3);
        };
        lanes.part[0] = _mm256_castsi256_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(four(0)), four(4), 1));
        return lanes;
    }
#endif
#pragma GCC unroll 8
    for (int l = 0; l < window_lanes; ++l) lanes.part[l / Lanes<T>::width][l % Lanes<T>::width] = *at(l);
    return lanes;
}

#ifdef __AVX2__
// Tile j of a block: each lane's column out of its window.
template <int Windows>
inline Lanes<float> pick(const float* x, const std::uint8_t* picks, const std::uint16_t* bases) {
    const __m256i control = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(picks));
    auto window = [&](std::uint64_t base) {
        return _mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(x + base)), control);
    };
    const __m256 first_bit = _mm256_castsi256_ps(control);
    if constexpr (Windows == 2) {
        const auto base = load<std::uint32_t>(bases);
        return {{_mm256_blendv_ps(window(base & 0xffff), window(base >> 16), first_bit)}};
    } else {
        const auto base = load<std::uint64_t>(bases);
        const __m256 low = _mm256_blendv_ps(window(base & 0xffff), window((base >> 16) & 0xffff), first_bit);
        const __m256 second_bit = _mm256_castsi256_ps(_mm256_slli_epi32(control, 1));
        return {{_mm256_blendv_ps(low, window((base >> 32) & 0xffff), second_bit)}};
    }
}
#else
template <int Windows>
Lanes<float> pick(const float*, const std::uint8_t*, const std::uint16_t*) = delete;  // tiles need AVX2's permutes
#endif

template <class T, int Windows, bool Masked>
void spmv_groups(const SpmvArgs& args) {
    const T* const x = static_cast<const T*>(args.x);
    const T* const bias = static_cast<const T*>(args.bias);
    T* const y = static_cast<T*>(args.y);
    const std::uint32_t* rows = args.rows;
    for (const WindowGroup* group = args.groups; group != args.groups + args.n_groups; ++group, rows += window_lanes) {
        const std::uint8_t* picks = args.picks + group->first_block * block_picks;
        const std::uint16_t* bases = args.bases + group->first_block * block_tiles * tile_bases(Windows);
        const T* tile_values =
            static_cast<const T*>(args.tile_values) + group->first_block * block_tiles * window_lanes;
        const std::uint16_t* columns = args.columns + group->first_step * window_lanes;
        const T* values = static_cast<const T*>(args.values) + group->first_step * window_lanes;

        Lanes<T> tile_sum[2]{}, gather_sum[2]{};
        auto tile_step = [&](auto tile) {
            constexpr int j = decltype(tile)::value;
            if constexpr (Windows > 0)
                tile_sum[j % 2].template multiply_add<Masked>(
                    Lanes<T>::load_from(tile_values + j * window_lanes),
                    pick<Windows>(x, picks + j, bases + j * tile_bases(Windows)));
        };
        auto gather_step = [&](int which) {
            gather_sum[which].template multiply_add<Masked>(Lanes<T>::load_from(values), gather(x, columns));
            columns += window_lanes;
            values += window_lanes;
        };
        auto next_block = [&] {
            picks += block_picks;
            bases += block_tiles * tile_bases(Windows);
            tile_values += block_tiles * window_lanes;
        };
        using std::integral_constant;
        std::uint32_t blocks = group->blocks, steps = group->steps;
        if constexpr (Windows > 0) {
            for (; blocks > 0 && steps >= 2; --blocks, steps -= 2) {
                tile_step(integral_constant<int, 0>{});
                tile_step(integral_constant<int, 1>{});
                gather_step(0);
                tile_step(integral_constant<int, 2>{});
                tile_step(integral_constant<int, 3>{});
                gather_step(1);
                next_block();
            }
            for (; blocks > 0; --blocks) {
                tile_step(integral_constant<int, 0>{});
                tile_step(integral_constant<int, 1>{});
                tile_step(integral_constant<int, 2>{});
                tile_step(integral_constant<int, 3>{});
                next_block();
            }
        }
        for (; steps >= 2; steps -= 2) {
            gather_step(0);
            gather_step(1);
        }
        if (steps > 0) gather_step(0);

        tile_sum[0].add(tile_sum[1]);
        gather_sum[0].add(gather_sum[1]);
        tile_sum[0].add(gather_sum[0]);
        T sums[window_lanes];
        for (int i = 0; i < Lanes<T>::n; ++i) store(sums + i * Lanes<T>::width, tile_sum[0].part[i]);
        for (int l = 0; l < window_lanes; ++l) {
            if (rows[l] == no_row) break;
            T sum = sums[l];
            if (bias) sum += bias[rows[l]];
            if (args.relu) sum = sum < T{} ? T{} : sum;
            y[rows[l] * args.y_stride] = sum;
        }
    }
}

template <class T, int Windows>
void spmv(const SpmvArgs& args) {
    if (args.masked)
        spmv_groups<T, Windows, true>(args);
    else
        spmv_groups<T, Windows, false>(args);
}

// x * 0 is 0 for finite x and NaN otherwise; NaN stays in the sum.
template <class T>
bool all_finite(const void* from, std::int64_t n) {
    if constexpr (std::is_floating_point_v<T>) {
        using V = vec<T, native<T>>;
        constexpr int L = native<T>;
        const T* const x = static_cast<const T*>(from);
        V sum[4]{};
        std::int64_t i = 0;
        for (; i + 4 * L <= n; i += 4 * L)
            for (int j = 0; j < 4; ++j) sum[j] = fma(load<V>(x + i + j * L), V{}, sum[j]);
        T rest{};
        for (; i < n; ++i) rest += x[i] * T{};
        const V all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        for (int l = 0; l < L; ++l) rest += all[l];
        return rest == rest;
    } else {
        return true;
    }
}

template <class T, int Windows>
inline constexpr SpmvRow spmv_row{TypeOf<T>::type, Windows, spmv<T, Windows>, all_finite<T>};

}  // namespace cs::ukr::CS_ISA
