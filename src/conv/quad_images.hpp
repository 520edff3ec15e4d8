// SPDX-License-Identifier: BSD-3-Clause
// Images of 8-bit numbers as images of quads: four channels of a pixel, or four pixels, in 32 bits.
#pragma once

#include <cstdint>

#include "base/views.hpp"
#include "kernels/interleave.hpp"
#include "tiles/source.hpp"

namespace cs {

// Whether channels come in fours that lie together and aligned: quads as they are.
bool are_quads(const ImagesView& bytes);
// Those.
ImagesView as_quads(const ImagesView& bytes);
// A copy in this memory: channels together where they are so in `bytes`, else pixels.
ImagesView quads_in(const ImagesView& bytes, void* memory);
// Some rows of four channels of an image, the first of which is 4 * quad, as rows of quads. Channels beyond the last
// are zero.
void interleave_rows(const ImagesView& bytes, std::int64_t image, std::int64_t quad, Range rows, std::uint8_t flip,
                     const InterleaveRow& row, std::uint32_t* to, std::int64_t row_stride, std::int64_t col_stride);
// Fills the copy; each number ^ flip. Channels beyond the last are zero.
void interleave_images(const ImagesView& bytes, const ImagesView& quads, std::uint8_t flip, const InterleaveRow& row,
                       int threads);
// Fills the copy of images of one channel: each pixel with the three that follow it, `step` apart, in a row; beyond the
// row's end they are any numbers.
void quads_of_neighbours(const ImagesView& bytes, const ImagesView& quads, std::int64_t step, std::uint8_t flip,
                         const InterleaveRow& row, int threads);

}  // namespace cs
