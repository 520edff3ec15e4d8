// SPDX-License-Identifier: BSD-3-Clause
// Activations as units of 32 bits: four features of 8 bits are a quad, two of bfloat16 a pair.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/interleave.hpp"
#include "tiles/source.hpp"

namespace cs {

// Of a source of such numbers. Signed bytes may be moved by 128: as unsigned numbers they are x + 128 with the upper
// bit flipped. Features beyond the last are zero, as are columns beyond.
template <class X>
class UnitsSource final : public Source<std::int32_t> {
   public:
    UnitsSource(const Source<X>& numbers, const InterleaveRow& interleave, const MoveRow& move,
                std::uint8_t flip = std::is_signed_v<X> ? 0x80 : 0)
        : Source<std::int32_t>((numbers.rows() + of_unit - 1) / of_unit, nullptr),
          numbers_(numbers),
          interleave_(interleave),
          move_(move),
          flip_(flip) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t*, std::int32_t* to) const override {
        const Range features{of_unit * rows.first,
                             std::min(of_unit * rows.count, numbers_.rows() - of_unit * rows.first)};
        const DenseView* const x = numbers_.view();
        if (x != nullptr && x->col_stride == 1)
            interleave(element<const X>(*x, features.first, cols.first), features.count, x->row_stride, cols.count,
                       width, to);
        else if (x != nullptr && x->row_stride == 1)
            transpose(*x, features, cols, width, to);
        else
            from_tiles(features, cols, width, to);
    }
    // Loops read tiles.
    void pack_columns(Range, std::int64_t, std::int32_t*) const override {}

   private:
    static constexpr std::int64_t of_unit = unit_bytes / std::int64_t{sizeof(X)}, buffer_bytes = 16384;

    void interleave(const X* from, std::int64_t rows, std::int64_t stride, std::int64_t cols, std::int64_t width,
                    std::int32_t* to) const {
        interleave_.function({from, reinterpret_cast<std::uint32_t*>(to), rows, cols, stride, width, flip_});
    }

    // Of vectors that lie in memory one by one: neighbours are a unit already. Where they are not as such are stored
    // (at multiples of four bytes, nothing to flip), some of them are copied first.
    void transpose(const DenseView& x, Range features, Range cols, std::int64_t width, std::int32_t* to) const {
        const std::int64_t units = (features.count + of_unit - 1) / of_unit;
        const X* const from = element<const X>(x, features.first, cols.first);
        if (flip_ == 0 && features.count % of_unit == 0 && x.col_stride % of_unit == 0 &&
            reinterpret_cast<std::uintptr_t>(from) % unit_bytes == 0)
            return write_tile(to, units, width, cols.count == width, [&](std::int64_t first, std::int64_t count) {
                move_.transpose(
                    {from + of_unit * first, to + first * width, cols.count, count, x.col_stride / of_unit, width});
            });
        if (cols.count < width) std::memset(to, 0, static_cast<std::size_t>(units * width) * sizeof *to);
        constexpr std::int64_t vectors = 64, of_vector = buffer_bytes / vectors / unit_bytes;
        std::array<std::int32_t, vectors * of_vector> some;
        for (std::int64_t q = 0; q < units; q += of_vector)
            for (std::int64_t j = 0; j < cols.count; j += vectors) {
                const std::int64_t n = std::min(vectors, cols.count - j), n_units = std::min(of_vector, units - q);
                const std::int64_t bytes =
                    std::min(of_unit * n_units, features.count - of_unit * q) * std::int64_t{sizeof(X)};
                for (std::int64_t i = 0; i < n; ++i) {
                    auto* const vector = reinterpret_cast<std::uint8_t*>(some.data() + i * of_vector);
                    std::memcpy(vector, from + (j + i) * x.col_stride + of_unit * q, static_cast<std::size_t>(bytes));
                    for (std::int64_t b = 0; b < bytes; ++b) vector[b] ^= flip_;
                    std::fill(vector + bytes, vector + unit_bytes * n_units, std::uint8_t{0});
                }
                move_.transpose({some.data(), to + q * width + j, n, n_units, of_vector, width});
            }
    }

    // Of whatever the source is: tiles of its numbers, some features at a time.
    void from_tiles(Range features, Range cols, std::int64_t width, std::int32_t* to) const {
        std::array<X, buffer_bytes / sizeof(X)> some;
        const std::int64_t at_once = std::max<std::int64_t>(buffer_bytes / unit_bytes / width, 1) * of_unit;
        for (std::int64_t first = 0; first < features.count; first += at_once) {
            const std::int64_t n = std::min(at_once, features.count - first);
            numbers_.pack_tile({features.first + first, n}, cols, width, nullptr, some.data());
            interleave(some.data(), n, width, cols.count, width, to + first / of_unit * width);
        }
    }

    const Source<X>& numbers_;
    const InterleaveRow& interleave_;
    const MoveRow& move_;
    const std::uint8_t flip_;
};

}  // namespace cs
