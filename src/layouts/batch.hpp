// SPDX-License-Identifier: BSD-3-Clause
// Kinds of batch: the widths of x, and ways it may lie, between which choices differ.
#pragma once

#include <cstdint>

namespace cs {

// few_columns: less than a cache line of floats; some_columns: up to two lines; whole_line: contiguous rows of one,
// which a tile may read in place; batch: more, x and y with contiguous rows; wide_batch: likewise, so wide that
// reading x in place pays for longer; packed_batch: more, with rows that are not contiguous; ordered: any, with one
// order of summation for all.
enum class Batch : std::uint8_t {
    one_column,
    few_columns,
    some_columns,
    whole_line,
    packed_batch,
    batch,
    wide_batch,
    ordered
};
inline constexpr int n_batches = 8;

inline constexpr std::int64_t line_columns = 16;

// n columns; `contiguous_rows` of x and y, as far as is known.
constexpr Batch batch_of(std::int64_t n, bool contiguous_rows, bool deterministic) {
    constexpr std::int64_t least_some_columns = 12, least_batch = 32, least_wide_batch = 128;
    return deterministic                          ? Batch::ordered
           : n == 1                               ? Batch::one_column
           : n < least_some_columns               ? Batch::few_columns
           : n == line_columns && contiguous_rows ? Batch::whole_line
           : n < least_batch                      ? Batch::some_columns
           : !contiguous_rows                     ? Batch::packed_batch
           : n < least_wide_batch                 ? Batch::batch
                                                  : Batch::wide_batch;
}

// One that stands for the kind, for estimates.
constexpr double typical_columns(Batch batch) {
    return batch == Batch::one_column     ? 1
           : batch == Batch::few_columns  ? 4
           : batch == Batch::some_columns ? 22
           : batch == Batch::whole_line   ? 16
           : batch == Batch::wide_batch   ? 256
                                          : 64;
}

constexpr bool has_contiguous_rows(Batch batch) { return batch == Batch::batch || batch == Batch::wide_batch; }

}  // namespace cs
