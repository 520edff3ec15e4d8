// SPDX-License-Identifier: BSD-3-Clause
// A convolution: a window slides over the pixels as they arrive, and its content runs through the step of a layer.
//
// The layer's columns are those of the filters, in the order (channel, row, column) of the kernel; beside the members
// of a layer its configuration `C` has height, width, channels, kernel_height, kernel_width, stride and padding.
#pragma once

#include "complsparse/hls/layer.hpp"

namespace complsparse {
namespace hls {

template <class C>
struct Sliding {
    static constexpr int padded_height = C::height + 2 * C::padding;
    static constexpr int padded_width = C::width + 2 * C::padding;
    static constexpr int out_height = (padded_height - C::kernel_height) / C::stride + 1;
    static constexpr int out_width = (padded_width - C::kernel_width) / C::stride + 1;
    static constexpr int clocks = padded_height * padded_width * Shape<C>::groups;

    static_assert(C::channels * C::kernel_height * C::kernel_width == C::columns,
                  "the matrix of a convolution has a column for each channel and tap");
    static_assert(C::stride >= 1 && C::padding >= 0, "a stride is at least 1, a padding at least 0");
    static_assert(C::kernel_height <= padded_height && C::kernel_width <= padded_width,
                  "the kernel is larger than the padded image");
};

template <class C>
struct Window {
    typename C::activation_t taps[C::kernel_height][C::kernel_width][C::channels];
    // The rows above the one that arrives; of kernels of one row, one that nobody reads.
    typename C::activation_t lines[C::kernel_height > 1 ? C::kernel_height - 1 : 1][Sliding<C>::padded_width]
                                  [C::channels];
};

// The window moves by one column: out of the lines come its upper rows, `pixel` is its lower right corner.
template <class C>
inline void slide(Window<C>& window, const typename C::activation_t (&pixel)[C::channels], int column) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int channel = 0; channel < C::channels; ++channel) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int row = 0; row < C::kernel_height; ++row) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            for (int tap = 0; tap < C::kernel_width - 1; ++tap) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                window.taps[row][tap][channel] = window.taps[row][tap + 1][channel];
            }
            const bool arrives = row == C::kernel_height - 1;
            window.taps[row][C::kernel_width - 1][channel] =
                arrives ? pixel[channel] : window.lines[arrives ? 0 : row][column][channel];
        }
        for (int row = 0; row < C::kernel_height - 1; ++row) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            window.lines[row][column][channel] = window.taps[row + 1][C::kernel_width - 1][channel];
        }
    }
}

// The window as a column of the layer, filled up to whole groups.
template <class C>
inline void unroll(const Window<C>& window, typename C::activation_t (&operands)[Shape<C>::groups][C::lanes]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int group = 0; group < Shape<C>::groups; ++group) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            const int column = group * C::lanes + lane;
            const int tap = (column < C::columns ? column : 0) % (C::kernel_height * C::kernel_width);
            const int channel = (column < C::columns ? column : 0) / (C::kernel_height * C::kernel_width);
            operands[group][lane] = window.taps[tap / C::kernel_width][tap % C::kernel_width][channel];
        }
    }
}

// x: pixels row by row with their channels; y: those of the output with all rows of the matrix. `zero` is what padding
// holds, the zero point of the activations. Every place of the padded image takes `groups` clocks,
// once the lines are cleared.
template <class C>
inline void convolution(const typename C::activation_t x[C::height * C::width][C::channels],
                        typename C::activation_t zero,
                        const typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets],
                        const typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets],
                        const int rows[C::sets][C::set_size],
                        typename C::sum_t y[Sliding<C>::out_height * Sliding<C>::out_width][C::rows]) {
    Window<C> window = {};
    typename C::activation_t operands[Shape<C>::groups][C::lanes];
    typename C::activation_t pixel[C::channels];
    typename C::sum_t sums[C::sets][C::set_size];
    typename C::sum_t next[C::sets][C::set_size];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = window.taps complete dim = 0
#pragma HLS ARRAY_PARTITION variable = window.lines complete dim = 1
#pragma HLS ARRAY_PARTITION variable = window.lines complete dim = 3
#pragma HLS ARRAY_PARTITION variable = operands complete dim = 0
#pragma HLS ARRAY_PARTITION variable = pixel complete dim = 0
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#endif
    clear_sums<C>(sums);
    int group = 0;
    int row = 0;  // of the padded image
    int column = 0;
    int output = 0;
    for (int clock = 0; clock < Sliding<C>::clocks; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        if (group == 0) {
            const bool inside = row >= C::padding && row < C::padding + C::height && column >= C::padding &&
                                column < C::padding + C::width;
            const int place = inside ? (row - C::padding) * C::width + column - C::padding : 0;
            for (int channel = 0; channel < C::channels; ++channel) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                pixel[channel] = inside ? x[place][channel] : zero;
            }
            slide<C>(window, pixel, column);
            unroll<C>(window, operands);
        }
        const bool last = group == Shape<C>::groups - 1;
        const int above = row - (C::kernel_height - 1);
        const int left = column - (C::kernel_width - 1);
        const bool whole = above >= 0 && left >= 0 && above % C::stride == 0 && left % C::stride == 0;
        accumulate<C>(operands[group], weights[group], ids[group], sums, next);
        if (last && whole) by_row<C>(next, rows, y[output]);
        keep_or_clear<C>(next, last, sums);
        output += last && whole ? 1 : 0;
        group = last ? 0 : group + 1;
        const bool row_ends = last && column == Sliding<C>::padded_width - 1;
        row += row_ends ? 1 : 0;
        column = row_ends ? 0 : column + (last ? 1 : 0);
    }
}

}  // namespace hls
}  // namespace complsparse
