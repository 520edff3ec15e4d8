// SPDX-License-Identifier: BSD-3-Clause
// Matrices and vectors as they lie in memory. Views own nothing.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// A canonical CSR matrix: columns ascend within a row, none twice.
struct StoredMatrix {
    std::int64_t rows, cols;
    const std::int64_t* row_ptr;
    const std::int32_t* columns;
    const void* values;
    Type type;

    std::int64_t nnz() const { return row_ptr[rows]; }
};

// Which product of the stored matrix S: S x, or its transpose's S' x.
enum class Side : std::uint8_t { rows, columns };

// A dense operand: element (i, j) is data[i * row_stride + j * col_stride], strides in elements, of any sign.
struct DenseView {
    void* data;
    std::int64_t rows, cols;
    std::int64_t row_stride, col_stride;
};

template <class T>
T* element(const DenseView& view, std::int64_t row, std::int64_t col) {
    return static_cast<T*>(view.data) + row * view.row_stride + col * view.col_stride;
}

// Winners, which are sparse activations: vector v has values[i] at the places indices[i], ascending, for i in
// [starts[v], starts[v + 1]).
struct WinnersView {
    const void* values;
    const std::int32_t* indices;
    const std::int64_t* starts;
    std::int64_t vectors, length;
};

// outer * inner dense vectors: entry i of vector (o, j) is data[o * outer_stride + i * stride + j * inner_stride],
// strides in elements, of any sign.
struct VectorsView {
    const void* data;
    std::int64_t outer, inner, n;
    std::int64_t outer_stride, inner_stride, stride;
};

// Images: channel c of pixel (i, j) of image n is data[n * image_stride + c * channel_stride + i * row_stride +
// j * col_stride], strides in elements, of any sign.
struct ImagesView {
    void* data;
    std::int64_t images, channels, height, width;
    std::int64_t image_stride, channel_stride, row_stride, col_stride;
};

// Where the windows of a convolution or of a pool lie: tap (a, b) of output pixel (i, j) is pixel (i * stride_rows +
// a * dilation_rows - top, j * stride_cols + b * dilation_cols - left). What lies outside of the image is zero.
struct Sliding {
    std::int64_t kernel_rows, kernel_cols;
    std::int64_t stride_rows, stride_cols;
    std::int64_t dilation_rows, dilation_cols;
    std::int64_t top, left;
    std::int64_t out_rows, out_cols;

    std::int64_t taps() const { return kernel_rows * kernel_cols; }
    std::int64_t pixels() const { return out_rows * out_cols; }
};

// One image of them, as the patches under its windows: x of a convolution, a row for each (channel, tap), a column for
// each output pixel.
struct PatchesView {
    const ImagesView* images;
    const Sliding* sliding;
    std::int64_t image;
    std::int32_t pad = 0;  // what lies around images of integers
};

}  // namespace cs
