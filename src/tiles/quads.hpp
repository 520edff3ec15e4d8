// SPDX-License-Identifier: BSD-3-Clause
// Activations of 8 bits, four features as one quad of 32 bits.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/interleave.hpp"
#include "tiles/source.hpp"

namespace cs {

// Of a source of bytes. Signed ones may be moved by 128: as unsigned numbers they are x + 128 with the upper bit
// flipped. Features beyond the last are zero, as are columns beyond.
template <class X>
class QuadsSource final : public Source<std::int32_t> {
   public:
    QuadsSource(const Source<X>& bytes, const InterleaveRow& interleave, const MoveRow& move,
                std::uint8_t flip = std::is_signed_v<X> ? 0x80 : 0)
        : Source<std::int32_t>((bytes.rows() + 3) / 4, nullptr),
          bytes_(bytes),
          interleave_(interleave),
          move_(move),
          flip_(flip) {}

    void pack_tile(Range rows, Range cols, std::int64_t width, const std::int32_t*, std::int32_t* to) const override {
        const Range features{4 * rows.first, std::min(4 * rows.count, bytes_.rows() - 4 * rows.first)};
        const DenseView* const x = bytes_.view();
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
    static constexpr std::int64_t buffer_bytes = 16384;

    void interleave(const X* from, std::int64_t rows, std::int64_t stride, std::int64_t cols, std::int64_t width,
                    std::int32_t* to) const {
        interleave_.function({reinterpret_cast<const std::uint8_t*>(from), reinterpret_cast<std::uint32_t*>(to), rows,
                              cols, stride, width, flip_});
    }

    // Of vectors that lie in memory one by one: four of their bytes are a quad already. Where they are not as such are
    // stored (at multiples of four bytes, unsigned), some of them are copied first.
    void transpose(const DenseView& x, Range features, Range cols, std::int64_t width, std::int32_t* to) const {
        const std::int64_t quads = (features.count + 3) / 4;
        const X* const from = element<const X>(x, features.first, cols.first);
        if (cols.count < width) std::memset(to, 0, static_cast<std::size_t>(quads * width) * sizeof *to);
        if (flip_ == 0 && features.count % 4 == 0 && x.col_stride % 4 == 0 &&
            reinterpret_cast<std::uintptr_t>(from) % 4 == 0) {
            move_.transpose({from, to, cols.count, quads, x.col_stride / 4, width});
            return;
        }
        constexpr std::int64_t vectors = 64, of_vector = buffer_bytes / vectors / 4;
        std::array<std::int32_t, vectors * of_vector> some;
        for (std::int64_t q = 0; q < quads; q += of_vector)
            for (std::int64_t j = 0; j < cols.count; j += vectors) {
                const std::int64_t n = std::min(vectors, cols.count - j), n_quads = std::min(of_vector, quads - q);
                const std::int64_t bytes = std::min(4 * n_quads, features.count - 4 * q);
                for (std::int64_t i = 0; i < n; ++i) {
                    auto* const vector = reinterpret_cast<std::uint8_t*>(some.data() + i * of_vector);
                    std::memcpy(vector, from + (j + i) * x.col_stride + 4 * q, static_cast<std::size_t>(bytes));
                    for (std::int64_t b = 0; b < bytes; ++b) vector[b] ^= flip_;
                    std::fill(vector + bytes, vector + 4 * n_quads, std::uint8_t{0});
                }
                move_.transpose({some.data(), to + q * width + j, n, n_quads, of_vector, width});
            }
    }

    // Of whatever the source is: tiles of bytes, some features at a time.
    void from_tiles(Range features, Range cols, std::int64_t width, std::int32_t* to) const {
        std::array<X, buffer_bytes> some;
        const std::int64_t at_once = std::max<std::int64_t>(buffer_bytes / width / 4 * 4, 4);
        for (std::int64_t first = 0; first < features.count; first += at_once) {
            const std::int64_t n = std::min(at_once, features.count - first);
            bytes_.pack_tile({features.first + first, n}, cols, width, nullptr, some.data());
            interleave(some.data(), n, width, cols.count, width, to + first / 4 * width);
        }
    }

    const Source<X>& bytes_;
    const InterleaveRow& interleave_;
    const MoveRow& move_;
    const std::uint8_t flip_;
};

}  // namespace cs
