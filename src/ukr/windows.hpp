// SPDX-License-Identifier: BSD-3-Clause
// spmv on windows: eight rows in lanes.
//
// Loads bound the gather step: 8 of x, 1 of values, 2 of columns. A tile step needs 4 loads (2 windows, values, picks)
// and three in-register operations for up to 8 entries, so the packer puts what it can into tiles. Tiles are bound by
// the shuffle ports and gathers by the load ports: blocks of four tiles and pairs of gathers alternate to use both.
#pragma once

#include "kernels/windows.hpp"
#include "ukr/finish.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// One value per lane of a group; as many registers as the type needs.
template <class T>
struct Lanes {
    static constexpr int width = native<T> < window_lanes ? native<T> : window_lanes;
    static constexpr int n = window_lanes / width;
    using V = vec<T, width>;
    V part[n];

    static CS_INLINE Lanes of(const T (&values)[window_lanes]) {
        Lanes lanes;
#pragma GCC unroll 4
        for (int i = 0; i < n; ++i)
#pragma GCC unroll 8
            for (int l = 0; l < width; ++l) lanes.part[i][l] = values[i * width + l];
        return lanes;
    }
    static CS_INLINE Lanes load_from(const T* from) {
        Lanes lanes;
        for (int i = 0; i < n; ++i) lanes.part[i] = load<V>(from + i * width);
        return lanes;
    }
    void add(const Lanes& other) {
        for (int i = 0; i < n; ++i) part[i] += other.part[i];
    }
    // this += value * x; masked: only in lanes that hold an entry.
    template <bool Masked>
    CS_INLINE void multiply_add(const Lanes& value, Lanes x) {
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
template <int Lane, class T>
CS_INLINE const T* gather_at(const T* x, const std::uint64_t (&packed)[2]) {
    constexpr int shift = 16 * (Lane % 4);
    const std::uint64_t half = packed[Lane / 4];
    if constexpr (shift == 0) return x + static_cast<std::uint16_t>(half);
    if constexpr (shift == 48) return x + (half >> 48);
    return x + static_cast<std::uint16_t>((half >> shift) | (half << (64 - shift) % 64));
}

template <class T>
CS_INLINE Lanes<T> gather(const T* x, const std::uint16_t* columns) {
    const std::uint64_t packed[2] = {load<std::uint64_t>(columns), load<std::uint64_t>(columns + 4)};
#ifdef __AVX2__
    if constexpr (std::is_same_v<T, float>) {
        // Written out because GCC 12 builds the vector from pairs, with twice the shuffles.
        auto four = [](const float* a, const float* b, const float* c, const float* d) {
            __m128i v = _mm_castps_si128(_mm_load_ss(a));
            v = _mm_insert_epi32(v, load<int>(b), 1);
            v = _mm_insert_epi32(v, load<int>(c), 2);
            return _mm_insert_epi32(v, load<int>(d), 3);
        };
        const __m128i low =
            four(gather_at<0>(x, packed), gather_at<1>(x, packed), gather_at<2>(x, packed), gather_at<3>(x, packed));
        const __m128i high =
            four(gather_at<4>(x, packed), gather_at<5>(x, packed), gather_at<6>(x, packed), gather_at<7>(x, packed));
        return {{_mm256_castsi256_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1))}};
    }
#endif
    const T values[window_lanes] = {*gather_at<0>(x, packed), *gather_at<1>(x, packed), *gather_at<2>(x, packed),
                                    *gather_at<3>(x, packed), *gather_at<4>(x, packed), *gather_at<5>(x, packed),
                                    *gather_at<6>(x, packed), *gather_at<7>(x, packed)};
    return Lanes<T>::of(values);
}

#ifdef __AVX2__
// Tile j of a block: each lane's column out of its window.
template <int Windows>
CS_INLINE Lanes<float> pick(const float* x, const std::uint8_t* picks, const std::uint16_t* bases) {
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

template <class T>
CS_INLINE void write_rows(const WindowsArgs& args, bool consecutive, const std::uint32_t* rows, const Lanes<T>& lanes) {
    T* const y = static_cast<T*>(args.y);
    const auto finish = Finish<T>::of(args.finish);
    const bool plain = args.finish.changes_nothing();
    if (plain && consecutive && args.y_stride == 1) {
        for (int i = 0; i < Lanes<T>::n; ++i) store(y + rows[0] + i * Lanes<T>::width, lanes.part[i]);
        return;
    }
    T sums[window_lanes];
    for (int i = 0; i < Lanes<T>::n; ++i) store(sums + i * Lanes<T>::width, lanes.part[i]);
    int n = window_lanes;
    while (rows[n - 1] == no_row) --n;  // only the last group of a matrix has empty lanes
    if (!plain)
        for (int l = 0; l < n; ++l) sums[l] = finish.rows(sums[l], rows[l]);
    if (n == window_lanes) {
#pragma GCC unroll 8
        for (int l = 0; l < window_lanes; ++l) y[rows[l] * args.y_stride] = sums[l];
    } else {
        for (int l = 0; l < n; ++l) y[rows[l] * args.y_stride] = sums[l];
    }
}

// Returns whether all sums are finite.
template <class T, int Windows, bool Masked>
bool windows_groups(const WindowsArgs& args) {
    if (args.n_groups == 0) return true;
    Lanes<T> not_finite{};  // sum * 0 is 0 for a finite sum and NaN otherwise; NaN stays
    const T* const x = static_cast<const T*>(args.x);
    const std::uint32_t* rows = args.rows;
    constexpr int of_tile = tile_bases(Windows);  // a constant: a call would be a function that levels share
    // The groups of a call lie one after the other: all pointers only ever advance.
    const std::int64_t first_tile = args.groups->first_block * block_tiles;
    const std::int64_t first_entry = args.groups->first_step * window_lanes;
    const std::uint8_t* picks = args.picks + args.groups->first_block * block_picks;
    const std::uint16_t* bases = args.bases + first_tile * of_tile;
    const T* tile_values = static_cast<const T*>(args.tile_values) + first_tile * window_lanes;
    const std::uint16_t* columns = args.columns + first_entry;
    const T* values = static_cast<const T*>(args.values) + first_entry;
    for (const WindowGroup* group = args.groups; group != args.groups + args.n_groups; ++group, rows += window_lanes) {
        Lanes<T> tile_sum[2]{}, gather_sum[2]{};
        auto tile_step = [&](auto tile) {
            constexpr int j = decltype(tile)::value;
            if constexpr (Windows > 0)
                tile_sum[j % 2].template multiply_add<Masked>(Lanes<T>::load_from(tile_values + j * window_lanes),
                                                              pick<Windows>(x, picks + j, bases + j * of_tile));
        };
        auto gather_step = [&](int which) {
            gather_sum[which].template multiply_add<Masked>(Lanes<T>::load_from(values), gather(x, columns));
            columns += window_lanes;
            values += window_lanes;
        };
        auto next_block = [&] {
            picks += block_picks;
            bases += block_tiles * of_tile;
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
        not_finite.template multiply_add<false>(tile_sum[0], Lanes<T>{});
        write_rows<T>(args, group->consecutive, rows, tile_sum[0]);
    }
    for (int i = 0; i < Lanes<T>::n; ++i)
        for (int l = 0; l < Lanes<T>::width; ++l)
            if (not_finite.part[i][l] != T{}) return false;
    return true;
}

// A product of padding and a non-finite x is NaN, and then so is a sum. So finite sums are right as they are; if one is
// not, the masked variant finds which outputs x's own values make non-finite. The check costs one FMA a group.
template <class T, int Windows>
void windows(const WindowsArgs& args) {
    if (!windows_groups<T, Windows, false>(args)) windows_groups<T, Windows, true>(args);
}

template <class T, int Windows>
inline constexpr WindowsRow windows_row{uniform(type_of<T>), Windows, windows<T, Windows>};

}  // namespace cs::ukr::CS_ISA
