// SPDX-License-Identifier: BSD-3-Clause
// Kinds of batch: the widths of x, and ways it may lie, between which choices differ.
#pragma once

#include <cstdint>
#include <iterator>

namespace cs {

// Widths from `least` columns on, up to the next; `typical` stands for them in estimates. Those that fill a tile have a
// kind of their own: their x may be read in place.
struct BatchWidth {
    std::int64_t least;
    int typical;
};
inline constexpr BatchWidth batch_widths[] = {
    {2, 2},   {3, 3},   {4, 4},   {5, 6},    {8, 8},     {9, 10},    {12, 12},  {13, 14}, {16, 16},
    {17, 18}, {20, 22}, {24, 24}, {25, 28},  {32, 32},   {33, 36},   {40, 44},  {48, 48}, {49, 56},
    {64, 64}, {65, 72}, {80, 88}, {97, 112}, {128, 128}, {129, 160}, {193, 256}};
inline constexpr int n_batch_widths = std::size(batch_widths);

// ordered: any number of columns, with one order of summation for all. From the third kind on each width has two: x and
// y lie in rows that are not contiguous, or in such that are.
enum class Batch : std::uint8_t { ordered, one_column };
inline constexpr int n_batches = 2 + 2 * n_batch_widths;

// n columns; `contiguous_rows` of x and y, as far as is known.
constexpr Batch batch_of(std::int64_t n, bool contiguous_rows, bool deterministic) {
    if (deterministic) return Batch::ordered;
    if (n == 1) return Batch::one_column;
    int width = 0;
    while (width + 1 < n_batch_widths && batch_widths[width + 1].least <= n) ++width;
    return static_cast<Batch>(2 + 2 * width + (contiguous_rows ? 1 : 0));
}

constexpr bool is_of_some_columns(Batch batch) { return batch != Batch::ordered && batch != Batch::one_column; }

// One that stands for the kind, for estimates.
constexpr int typical_columns(Batch batch) {
    return is_of_some_columns(batch)    ? batch_widths[(static_cast<int>(batch) - 2) / 2].typical
           : batch == Batch::one_column ? 1
                                        : 64;
}

constexpr bool has_contiguous_rows(Batch batch) {
    return is_of_some_columns(batch) && static_cast<int>(batch) % 2 == 1;
}

}  // namespace cs
