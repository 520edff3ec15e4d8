// SPDX-License-Identifier: BSD-3-Clause
// Maxima of windows that do not overlap, of an image whose pixels arrive row by row with all their channels.
#pragma once

#include "complsparse/arith.hpp"
#include "complsparse/hls/types.hpp"

namespace complsparse {
namespace hls {

// An image pool `C`: height, width, channels, window, value_t. Pixels beyond the last whole window count for nothing.
template <class C>
struct Pool {
    static constexpr int out_height = C::height / C::window;
    static constexpr int out_width = C::width / C::window;

    static_assert(C::channels >= 1 && C::window >= 1, "a pool has at least one channel, and windows of one pixel");
    static_assert(out_height >= 1 && out_width >= 1, "the window of a pool is larger than its image");
};

// The maxima of a window, channel by channel, when one more of its pixels has been seen.
template <class C>
inline void see_pixel(const typename C::value_t (&so_far)[C::channels], const typename C::value_t (&pixel)[C::channels],
                      bool first, typename C::value_t (&most)[C::channels]) {
#ifdef __SYNTHESIS__
#pragma HLS INLINE
#endif
    for (int channel = 0; channel < C::channels; ++channel) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
        const typename C::value_t here = pixel[channel];
        const typename C::value_t before = so_far[channel];
        const typename C::value_t larger = arith::maximum(before, here);
        most[channel] = first ? here : larger;
    }
}

// height * width clocks, a pixel in each, once the line is cleared in which the maxima of columns wait for the next row
// of their window.
template <class C>
inline void max_pool(const typename C::value_t x[C::height * C::width][C::channels],
                     typename C::value_t y[Pool<C>::out_height * Pool<C>::out_width][C::channels]) {
    typename C::value_t line[Pool<C>::out_width][C::channels] = {};
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = line complete dim = 2
#endif
    int row = 0;  // of the pixel in its window
    int column = 0;
    int window_row = 0;
    int window_column = 0;
    for (int clock = 0; clock < C::height * C::width; ++clock) {
#ifdef __SYNTHESIS__
#pragma HLS PIPELINE II = 1
#endif
        tick();
        const bool inside = window_row < Pool<C>::out_height && window_column < Pool<C>::out_width;
        const int place = inside ? window_column : 0;
        const int output = inside ? window_row * Pool<C>::out_width + window_column : 0;
        const bool first = row == 0 && column == 0;
        const bool last = row == C::window - 1 && column == C::window - 1;
        typename C::value_t most[C::channels];
#ifdef __SYNTHESIS__
#pragma HLS ARRAY_PARTITION variable = most complete dim = 0
#endif
        see_pixel<C>(line[place], x[clock], first, most);
        for (int channel = 0; channel < C::channels; ++channel) {
#ifdef __SYNTHESIS__
#pragma HLS UNROLL
#endif
            if (inside) line[place][channel] = most[channel];
            if (inside && last) y[output][channel] = most[channel];
        }
        const bool row_ends = (clock + 1) % C::width == 0;
        const bool window_ends = column == C::window - 1;
        window_column = row_ends ? 0 : window_column + (window_ends ? 1 : 0);
        column = row_ends || window_ends ? 0 : column + 1;
        window_row += row_ends && row == C::window - 1 ? 1 : 0;
        row = !row_ends ? row : row == C::window - 1 ? 0 : row + 1;
    }
}

}  // namespace hls
}  // namespace complsparse
