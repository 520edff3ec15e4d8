// SPDX-License-Identifier: BSD-3-Clause
// Routed layers: patterns in which every row owns the same number of entries in every window.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// A *layer* gives each row one entry out of one window of neighbouring columns: so all rows of a vector find their
// activation in the same few registers, and an in-register permute by kernel id routes it to the lane. No gather, and
// one load of x serves all units. A *member* is block_rows neighbouring rows of one pattern; lanes are members, so that
// one permute serves block_rows multiplications. A *unit* is a vector of members. Layers are taken a *superlayer* at a
// time: its ids lie in one 32-bit word per lane. group_units units alternate superlayer by superlayer, so that the x
// registers of a superlayer serve them all.
//
// Lanes without an entry in a layer hold the value -0.0 (which changes no sum, except one of -0.0) and any column; a
// stored -0.0 becomes 0.0. Where a sum comes out non-finite, a masked variant that drops those lanes' products runs.

inline constexpr int group_units = 4;
constexpr int id_bits(int window) { return window <= 16 ? 4 : window <= 32 ? 5 : 8; }
constexpr int superlayer(int window) { return 32 / id_bits(window) / 2 * 2; }  // layers; even: bf16 comes in pairs
// Members are dealt to lanes such that interleaving the sums of a member's rows, by the unpack instructions that every
// ISA has, gives the rows in order.
constexpr int member_of_lane(int block_rows, int lanes, int lane) {
    const int quad = lane / 4, k = lane % 4;
    return block_rows == 4 ? lanes / 4 * k + quad : block_rows == 2 ? lanes / 2 * (k / 2) + 2 * quad + k % 2 : lane;
}

// y[row, j] = activation(sum over layers + bias[row]) for the rows of n_units units (n_rows of them exist) and
// tile_cols columns.
struct RoutedArgs {
    const std::uint32_t* bases;  // [layer]: the first column of its window
    std::int64_t n_layers;
    const std::uint32_t* ids;  // [group of units][superlayer][unit][lane]: column in the window, layer after layer
    // [group][superlayer][unit][layer][row of the member][lane]. bf16: two layers share a word, [layer / 2], the first
    // in the low half.
    const void* values;
    std::int64_t n_units, n_rows;
    const void* x;  // columns of x: contiguous, x_stride elements apart
    void* y;        // columns of y, likewise
    std::int64_t x_stride, y_stride;
    Epilogue finish;
    bool padded;
};
using RoutedFunction = void (*)(const RoutedArgs&);

// How weights lie in memory: as computed, or as bfloat16 where that is lossless.
enum class Weights : std::uint8_t { as_computed, bf16 };

struct RoutedRow {
    Types types;
    Weights weights;
    int lanes, window;  // members per unit; most columns in a window
    int block_rows, tile_cols;
    RoutedFunction function;
    Activations takes = up_to_relu6;
};

}  // namespace cs
