// SPDX-License-Identifier: BSD-3-Clause
#include "conv/quad_images.hpp"

#include <algorithm>
#include <cstring>

#include "base/parallel.hpp"
#include "layouts/quads.hpp"

namespace cs {

bool are_quads(const ImagesView& bytes) {
    const std::int64_t strides = bytes.image_stride | bytes.row_stride | bytes.col_stride | bytes.channels;
    return bytes.channel_stride == 1 && strides % quad_cols == 0 &&
           reinterpret_cast<std::uintptr_t>(bytes.data) % quad_cols == 0;
}

ImagesView as_quads(const ImagesView& bytes) {
    ImagesView quads = bytes;
    quads.channels /= quad_cols;
    quads.image_stride /= quad_cols;
    quads.row_stride /= quad_cols;
    quads.col_stride /= quad_cols;
    return quads;
}

ImagesView quads_in(const ImagesView& bytes, void* memory) {
    ImagesView quads = bytes;
    quads.data = memory;
    quads.channels = (bytes.channels + quad_cols - 1) / quad_cols;
    quads.image_stride = quads.channels * bytes.height * bytes.width;
    if (bytes.channel_stride == 1 && bytes.channels > 1) {
        quads.channel_stride = 1;
        quads.col_stride = quads.channels;
        quads.row_stride = quads.channels * bytes.width;
    } else {
        quads.col_stride = 1;
        quads.row_stride = bytes.width;
        quads.channel_stride = bytes.height * bytes.width;
    }
    return quads;
}

// All pixels at once where they lie in a row, else by rows.
void interleave_rows(const ImagesView& bytes, std::int64_t image, std::int64_t quad, Range rows, std::uint8_t flip,
                     const InterleaveRow& row, std::uint32_t* to, std::int64_t row_stride, std::int64_t col_stride) {
    const std::uint8_t* const first = static_cast<const std::uint8_t*>(bytes.data) + image * bytes.image_stride +
                                      quad * quad_cols * bytes.channel_stride + rows.first * bytes.row_stride;
    const std::int64_t channels = std::min(quad_cols, bytes.channels - quad * quad_cols);
    const bool flat = rows.count <= 1 || bytes.row_stride == bytes.width * bytes.col_stride;
    const std::int64_t lines = flat ? 1 : rows.count, cols = flat ? rows.count * bytes.width : bytes.width;
    for (std::int64_t line = 0; line < lines; ++line) {
        const std::uint8_t* const at = first + line * bytes.row_stride;
        std::uint32_t* const out = to + line * row_stride;
        if (bytes.col_stride == 1 && col_stride == 1) {
            row.function({at, out, channels, cols, bytes.channel_stride, cols, flip});
            continue;
        }
        for (std::int64_t col = 0; col < cols; ++col) {
            std::uint32_t value = 0;
            for (std::int64_t r = 0; r < channels; ++r)
                value |= static_cast<std::uint32_t>(at[col * bytes.col_stride + r * bytes.channel_stride] ^ flip)
                         << 8 * r;
            out[col * col_stride] = value;
        }
    }
}

void interleave_images(const ImagesView& bytes, const ImagesView& quads, std::uint8_t flip, const InterleaveRow& row,
                       int threads) {
    const auto* const from = static_cast<const std::uint8_t*>(bytes.data);
    auto* const to = static_cast<std::uint32_t*>(quads.data);
    const std::int64_t channels = quads.channels;
    auto plane = [&](std::int64_t number, int) {
        const std::int64_t image = number / channels, quad = number % channels;
        interleave_rows(bytes, image, quad, {0, bytes.height}, flip, row,
                        to + image * quads.image_stride + quad * quads.channel_stride, quads.row_stride,
                        quads.col_stride);
    };
    if (bytes.channel_stride != 1 || bytes.channels <= 1) {
        parallel_for(bytes.images * channels, threads, plane);
        return;
    }
    // Pixel by pixel, channels together.
    auto rows_of_pixels = [&](std::int64_t number, int) {
        const std::int64_t image = number / bytes.height, line = number % bytes.height;
        const std::uint8_t* const first = from + image * bytes.image_stride + line * bytes.row_stride;
        std::uint32_t* out = to + image * quads.image_stride + line * quads.row_stride;
        for (std::int64_t col = 0; col < bytes.width; ++col, out += channels) {
            auto* const pixel = reinterpret_cast<std::uint8_t*>(out);
            std::memcpy(pixel, first + col * bytes.col_stride, static_cast<std::size_t>(bytes.channels));
            for (std::int64_t c = 0; c < bytes.channels; ++c) pixel[c] ^= flip;
            std::fill(pixel + bytes.channels, pixel + quad_cols * channels, std::uint8_t{0});
        }
    };
    parallel_for(bytes.images * bytes.height, threads, rows_of_pixels);
}

void quads_of_neighbours(const ImagesView& bytes, const ImagesView& quads, std::int64_t step, std::uint8_t flip,
                         const InterleaveRow& row, int threads) {
    // Rows that follow one another in memory are one: their ends meet the next one's pixels.
    const bool flat = bytes.col_stride == 1 && (bytes.height <= 1 || bytes.row_stride == bytes.width);
    const std::int64_t lines = flat ? 1 : bytes.height, cols = flat ? bytes.height * bytes.width : bytes.width;
    auto line = [&](std::int64_t number, int) {
        const std::int64_t image = number / lines, of_image = number % lines;
        const auto* const from =
            static_cast<const std::uint8_t*>(bytes.data) + image * bytes.image_stride + of_image * bytes.row_stride;
        auto* const to =
            static_cast<std::uint32_t*>(quads.data) + image * quads.image_stride + of_image * quads.row_stride;
        const std::int64_t whole = bytes.col_stride == 1 ? std::max<std::int64_t>(0, cols - 3 * step) : 0;
        if (whole > 0) row.function({from, to, quad_cols, whole, step, whole, flip});
        for (std::int64_t col = whole; col < cols; ++col) {
            std::uint32_t value = 0;
            for (std::int64_t i = 0; i < quad_cols && col + i * step < cols; ++i)
                value |= static_cast<std::uint32_t>(from[(col + i * step) * bytes.col_stride] ^ flip) << 8 * i;
            to[col] = value;
        }
    };
    parallel_for(bytes.images * lines, threads, line);
}

}  // namespace cs
