// SPDX-License-Identifier: BSD-3-Clause
// spmm on chunks: tile registers of sixteen rows of 64 bytes. A chunk against sixteen columns is one instruction of
// sixteen cycles, of 16,384 products of bytes or half as many of bfloat16.
//
// Units of a chunk are anywhere in x, and tiles are loaded from rows a stride apart: so a chunk's units are copied
// first, a load and a store for each of them and sixteen columns. That is done a chunk ahead, a tile as soon as the
// one of this chunk has been loaded: by the time that it is loaded itself, its stores have left the store buffer,
// from which tiles cannot be loaded, and other stores to the same place of another page, which would be waited for too.
//
// The instructions are written out, because GCC 12's intrinsics do not say that they read and write memory.
#pragma once

#include "kernels/chunks.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

#ifdef __AMX_TILE__
#include <utility>

namespace cs::ukr::CS_ISA {

// Palette 1, and every tile whole.
struct alignas(64) TileConfiguration {
    std::uint8_t palette = 1, start_row = 0, reserved[14]{};
    std::uint16_t bytes_of_row[16]{64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16]{16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfiguration whole_tiles;

// Tile registers are configured while this lives.
class TileRegisters {
   public:
    CS_INLINE TileRegisters() { asm volatile("ldtilecfg %0" ::"m"(whole_tiles)); }
    CS_INLINE ~TileRegisters() { asm volatile("tilerelease"); }
    TileRegisters(const TileRegisters&) = delete;
    TileRegisters& operator=(const TileRegisters&) = delete;
};

template <int Tile>
CS_INLINE void zero_tile() {
    asm volatile("tilezero %%tmm%c0" ::"i"(Tile));
}
template <int Tile>
CS_INLINE void load_tile(const void* from, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
CS_INLINE void store_tile(void* to, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(Tile) : "memory");
}
// Sums += weights times x, tiles all.
template <class X, int Sums, int Weights, int Units>
CS_INLINE void dot_tiles() {
    if constexpr (std::is_same_v<X, Bfloat16>)
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sums), "i"(Weights), "i"(Units));
    else if constexpr (std::is_signed_v<X>)
        asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sums), "i"(Weights), "i"(Units));
    else
        asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sums), "i"(Weights), "i"(Units));
}

template <class X, int Tiles>
struct Chunks {
    using V = vec<std::uint8_t, 64>;
    static constexpr int weights_tile = 4, units_tile = 5;  // sums are in those before
    static_assert(Tiles <= weights_tile, "a register for each tile of sums");

    const ChunksArgs args;

    template <class Body>
    static CS_INLINE void for_tiles(Body body) {
        for_tiles(body, std::make_integer_sequence<int, Tiles>{});
    }
    template <class Body, int... T>
    static CS_INLINE void for_tiles(Body body, std::integer_sequence<int, T...>) {
        (body(std::integral_constant<int, T>{}), ...);
    }

    CS_INLINE const char* x_of(std::int64_t unit) const {
        return static_cast<const char*>(args.x) + unit * args.unit_step;
    }
    // `count` of a chunk's units of x, of tile t; the weights of others are zero.
    CS_INLINE void copy_units(std::int64_t chunk, int count, int t) const {
        const std::uint32_t* const units = args.units + chunk * chunk_units;
        char* const to = static_cast<char*>(args.copies) + t * chunk_bytes;
        for (int first = 0; first < count; first += units_at_once)
#pragma GCC unroll 4
            for (int i = first; i < first + units_at_once; ++i) store(to + i * 64, load<V>(x_of(units[i]) + t * 64));
    }

    CS_INLINE void multiply(std::int64_t chunk, int copied_next) const {
        load_tile<weights_tile>(static_cast<const char*>(args.weights) + chunk * chunk_bytes, 64);
        const bool in_place = args.copied[chunk] == 0;
        const char* const from =
            in_place ? x_of(args.units[chunk * chunk_units]) : static_cast<const char*>(args.copies);
        const std::int64_t stride = in_place ? args.unit_step : 64, of_tile = in_place ? 64 : chunk_bytes;
        for_tiles([&](auto t) {
            constexpr int units = units_tile + t() % 3;
            load_tile<units>(from + t() * of_tile, stride);
            dot_tiles<X, t(), weights_tile, units>();
            copy_units(chunk + 1, copied_next, t());
        });
    }

    CS_INLINE void run() const {
        const TileRegisters registers;
        std::int64_t chunk = args.first_chunks[0];
        const std::int64_t last = args.first_chunks[args.n_blocks];
        const auto copied = [&](std::int64_t next) { return next < last ? args.copied[next] : 0; };
        for_tiles([&](auto t) { copy_units(chunk, copied(chunk), t()); });
        char* to = static_cast<char*>(args.to);
        for (std::int64_t block = 0; block < args.n_blocks; ++block, to += block_rows * args.to_stride) {
            for_tiles([](auto t) { zero_tile<t()>(); });
            for (; chunk < args.first_chunks[block + 1]; ++chunk) multiply(chunk, copied(chunk + 1));
            for_tiles([&](auto t) { store_tile<t()>(to + t() * 64, args.to_stride); });
        }
    }
};

template <class X>
void chunks(const ChunksArgs& args) {
    switch (args.tiles) {
        case 1:
            return Chunks<X, 1>{args}.run();
        case 2:
            return Chunks<X, 2>{args}.run();
        case 3:
            return Chunks<X, 3>{args}.run();
        default:
            return Chunks<X, 4>{args}.run();
    }
}

template <class X>
inline constexpr ChunksRow chunks_row{dots_of<X>, 4, chunks<X>};

}  // namespace cs::ukr::CS_ISA
#endif
