// SPDX-License-Identifier: BSD-3-Clause
// A convolution: a window slides over the pixels as they arrive, and its content runs through the step of a layer.
//
// The layer's columns are those of the filters, in the order (channel, row, column) of the kernel; beside the members
// of a layer its configuration `C` has height, width, channels, kernel_height, kernel_width, stride and padding.
#pragma once

#include "complsparse/hls/layer.hpp"

namespace complsparse {
namespace hls {

// How a window moves whose content is `Words` words of the layer.
template <class C, int Words>
struct Sliding {
    static constexpr int padded_height = C::height + 2 * C::padding;
    static constexpr int padded_width = C::width + 2 * C::padding;
    static constexpr int out_height = (padded_height - C::kernel_height) / C::stride + 1;
    static constexpr int out_width = (padded_width - C::kernel_width) / C::stride + 1;
    static constexpr int outputs = out_height * out_width;
    static constexpr int words = Words;
    // A window takes a clock for each of its words; a pixel that completes none, one.
    static constexpr int clocks = padded_height * padded_width + outputs * (Words - 1);

    static_assert(C::channels * C::kernel_height * C::kernel_width == C::columns,
                  "the matrix of a convolution has a column for each channel and tap");
    static_assert(C::stride >= 1 && C::padding >= 0, "a stride is at least 1, a padding at least 0");
    static_assert(C::kernel_height <= padded_height && C::kernel_width <= padded_width,
                  "the kernel is larger than the padded image");
};

// What a window sees: of each pixel `Depth` numbers, its channels or its winners.
template <class C, class T, int Depth>
struct Window {
    static constexpr int padded_width = C::width + 2 * C::padding;

    T taps[C::kernel_height][C::kernel_width][Depth];
    // The rows above the one that arrives; of kernels of one row, one that nobody reads.
    T lines[C::kernel_height > 1 ? C::kernel_height - 1 : 1][padded_width][Depth];
};

// The window moves by one column: out of the lines come its upper rows, `pixel` is its lower right corner.
template <class C, class T, int Depth>
inline void slide(Window<C, T, Depth>& window, const T (&pixel)[Depth], int column) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int part = 0; part < Depth; ++part) {
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
                window.taps[row][tap][part] = window.taps[row][tap + 1][part];
            }
            const bool arrives = row == C::kernel_height - 1;
            window.taps[row][C::kernel_width - 1][part] =
                arrives ? pixel[part] : window.lines[arrives ? 0 : row][column][part];
        }
        for (int row = 0; row < C::kernel_height - 1; ++row) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            window.lines[row][column][part] = window.taps[row + 1][C::kernel_width - 1][part];
        }
    }
}

// The pixel at a place of the padded image.
template <class C, class T, int Depth>
inline void arrive(const T x[C::height * C::width][Depth], T padding, int row, int column, T (&pixel)[Depth]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    const bool inside =
        row >= C::padding && row < C::padding + C::height && column >= C::padding && column < C::padding + C::width;
    const int place = inside ? (row - C::padding) * C::width + column - C::padding : 0;
    for (int part = 0; part < Depth; ++part) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        const T here = x[place][part];
        pixel[part] = inside ? here : padding;
    }
}

// The loop of all convolutions: pixels arrive, row by row, at `content`, which keeps the window; where it is whole, its
// words run through the step.
template <class C, int Words, class Content>
inline void run_over_pixels(Content& content, const int rows[C::sets][C::set_size],
                            typename C::sum_t y[Sliding<C, Words>::outputs][C::rows]) {
    typename C::sum_t sums[C::sets][C::set_size];
    typename C::sum_t next[C::sets][C::set_size];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0
#pragma HLS ARRAY_PARTITION variable = next complete dim = 0
#endif
    clear_sums<C>(sums);
    int number = 0;  // of the window's word
    int row = 0;     // of the padded image
    int column = 0;
    int output = 0;
    for (int clock = 0; clock < Sliding<C, Words>::clocks; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        if (number == 0) content.arrive(row, column);
        const int above = row - (C::kernel_height - 1);
        const int left = column - (C::kernel_width - 1);
        const bool whole = above >= 0 && left >= 0 && above % C::stride == 0 && left % C::stride == 0;
        const bool last = !whole || number == Words - 1;
        content.word(number, sums, next);
        if (last && whole) by_row<C>(next, rows, y[output]);
        keep_or_clear<C>(next, last, sums);
        output += last && whole ? 1 : 0;
        number = last ? 0 : number + 1;
        const bool row_ends = last && column == Sliding<C, Words>::padded_width - 1;
        row += row_ends ? 1 : 0;
        column = row_ends ? 0 : column + (last ? 1 : 0);
    }
}

// ---- of all channels

template <class C>
struct WindowOfChannels {
    const typename C::activation_t (*x)[C::channels];
    typename C::activation_t zero;
    const typename C::weight_t (*weights)[C::lanes][C::sets];
    const typename C::id_t (*ids)[C::lanes][C::sets];
    Window<C, typename C::activation_t, C::channels> window;
    typename C::activation_t operands[Shape<C>::groups][C::lanes];

    inline void arrive(int row, int column) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        typename C::activation_t pixel[C::channels];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = pixel complete dim = 0
#endif
        hls::arrive<C, typename C::activation_t, C::channels>(x, zero, row, column, pixel);
        slide(window, pixel, column);
        for (int group = 0; group < Shape<C>::groups; ++group) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                // The window as a column of the layer, filled up to whole groups.
                const int place = group * C::lanes + lane;
                const int tap = (place < C::columns ? place : 0) % (C::kernel_height * C::kernel_width);
                const int channel = (place < C::columns ? place : 0) / (C::kernel_height * C::kernel_width);
                operands[group][lane] = window.taps[tap / C::kernel_width][tap % C::kernel_width][channel];
            }
        }
    }

    inline void word(int group, const typename C::sum_t (&sums)[C::sets][C::set_size],
                     typename C::sum_t (&next)[C::sets][C::set_size]) const {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        accumulate<C>(operands[group], weights[group], ids[group], sums, next);
    }
};

// x: pixels row by row with their channels; y: those of the output with all rows of the matrix. `zero` is what padding
// holds, the zero point of the activations. Takes Sliding<C, groups>::clocks once the lines are cleared.
template <class C>
inline void convolution(const typename C::activation_t x[C::height * C::width][C::channels],
                        typename C::activation_t zero,
                        const typename C::weight_t weights[Shape<C>::groups][C::lanes][C::sets],
                        const typename C::id_t ids[Shape<C>::groups][C::lanes][C::sets],
                        const int rows[C::sets][C::set_size],
                        typename C::sum_t y[Sliding<C, Shape<C>::groups>::outputs][C::rows]) {
    WindowOfChannels<C> content = {x, zero, weights, ids, {}, {}};
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = content.window.taps complete dim = 0
#pragma HLS ARRAY_PARTITION variable = content.window.lines complete dim = 1
#pragma HLS ARRAY_PARTITION variable = content.window.lines complete dim = 3
#pragma HLS ARRAY_PARTITION variable = content.operands complete dim = 0
#endif
    run_over_pixels<C, Shape<C>::groups>(content, rows, y);
}

// ---- of winners

// Beside the members of a convolution its configuration `C` has pixel_winners, how many of its channels a pixel brings,
// channel_bits and channel_t. Columns of its table are in the order (row, column, channel).
template <class C>
struct WindowOfWinners {
    static constexpr int taps = C::kernel_height * C::kernel_width;
    static constexpr int winners = taps * C::pixel_winners;
    static constexpr int words = parts(winners, C::lanes);
    typedef typename C::activation_t activation_t;
    typedef typename C::channel_t channel_t;

    static_assert(C::pixel_winners >= 1 && C::pixel_winners <= C::channels,
                  "winners of a pixel must be from 1 to its channels");
    static_assert(C::channel_bits >= bits_up_to(C::channels - 1), "channel_bits is too narrow: it counts channels");
    static_assert(C::lanes <= winners, "more winners in a clock than a window has");

    const activation_t (*values)[C::pixel_winners];
    const channel_t (*channels)[C::pixel_winners];
    const typename C::weight_t (*weights)[C::sets];
    const typename C::id_t (*ids)[C::sets];
    Window<C, activation_t, C::pixel_winners> seen_values;
    Window<C, channel_t, C::pixel_winners> seen_channels;

    inline void arrive(int row, int column) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        activation_t pixel_values[C::pixel_winners];
        channel_t pixel_channels[C::pixel_winners];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = pixel_values complete dim = 0
#pragma HLS ARRAY_PARTITION variable = pixel_channels complete dim = 0
#endif
        hls::arrive<C, activation_t, C::pixel_winners>(values, activation_t(0), row, column, pixel_values);
        hls::arrive<C, channel_t, C::pixel_winners>(channels, channel_t(0), row, column, pixel_channels);
        slide(seen_values, pixel_values, column);
        slide(seen_channels, pixel_channels, column);
    }

    inline void word(int number, const typename C::sum_t (&sums)[C::sets][C::set_size],
                     typename C::sum_t (&next)[C::sets][C::set_size]) const {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
        activation_t x[C::lanes];
        typename C::weight_t column_weights[C::lanes][C::sets];
        typename C::id_t column_ids[C::lanes][C::sets];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = x complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_weights complete dim = 0
#pragma HLS ARRAY_PARTITION variable = column_ids complete dim = 0
#endif
        for (int lane = 0; lane < C::lanes; ++lane) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            const int place = number * C::lanes + lane;
            const int winner = place < winners ? place : 0;
            const int tap = winner / C::pixel_winners;
            const int of_pixel = winner % C::pixel_winners;
            const activation_t value = seen_values.taps[tap / C::kernel_width][tap % C::kernel_width][of_pixel];
            const int channel = int(seen_channels.taps[tap / C::kernel_width][tap % C::kernel_width][of_pixel]);
            x[lane] = place < winners ? value : activation_t(0);
            const int column = tap * C::channels + channel;
            for (int set = 0; set < C::sets; ++set) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
                column_weights[lane][set] = weights[column][set];
                column_ids[lane][set] = ids[column][set];
            }
        }
        accumulate<C>(x, column_weights, column_ids, sums, next);
    }
};

// A convolution of pixels that come as winners: values and channels, in any order. Padding has none. Takes
// Sliding<C, WindowOfWinners<C>::words>::clocks once the lines are cleared.
template <class C>
inline void convolution_of_winners(const typename C::activation_t values[C::height * C::width][C::pixel_winners],
                                   const typename C::channel_t channels[C::height * C::width][C::pixel_winners],
                                   const typename C::weight_t weights[C::columns][C::sets],
                                   const typename C::id_t ids[C::columns][C::sets],
                                   const int rows[C::sets][C::set_size],
                                   typename C::sum_t y[Sliding<C, WindowOfWinners<C>::words>::outputs][C::rows]) {
    WindowOfWinners<C> content = {values, channels, weights, ids, {}, {}};
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = content.seen_values.taps complete dim = 0
#pragma HLS ARRAY_PARTITION variable = content.seen_values.lines complete dim = 1
#pragma HLS ARRAY_PARTITION variable = content.seen_values.lines complete dim = 3
#pragma HLS ARRAY_PARTITION variable = content.seen_channels.taps complete dim = 0
#pragma HLS ARRAY_PARTITION variable = content.seen_channels.lines complete dim = 1
#pragma HLS ARRAY_PARTITION variable = content.seen_channels.lines complete dim = 3
#endif
    run_over_pixels<C, WindowOfWinners<C>::words>(content, rows, y);
}

}  // namespace hls
}  // namespace complsparse
