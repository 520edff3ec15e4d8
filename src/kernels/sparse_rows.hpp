// SPDX-License-Identifier: BSD-3-Clause
// Rows of a product of two sparse matrices.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// How the non-zeros of a row are found among its sums, and brought into the order of their columns.
enum class Collecting : std::uint8_t {
    scaled,        // the row is one row of B: no sums
    marked,        // a bit for each column that a product fell into
    marked_twice,  // and a bit for each word of such bits
    everywhere,    // all sums are looked at
};

// Products of a short row, at most: those are sorted by column, and need no table of sums. By any level, and by sorting
// networks, whose keys have bits for a column of so many beside those of a product's place.
inline constexpr int most_sorted = 32, most_in_network = 128;
inline constexpr std::int64_t most_network_columns = std::int64_t{1} << 24;
// Columns and values that are written beyond the non-zeros, at most.
inline constexpr int written_beyond = 64;

// One row of A B: the rows of B that its entries name, times their values, are added up in their order, by a
// multiplication and an addition that round one after the other: the bits are those of a loop, at every level.
struct SparseRowArgs {
    const std::int32_t* a_columns;  // of the row
    const void* a_values;
    std::int64_t a_count;
    std::int64_t a_known;  // entries from the row's first to A's last
    const std::int64_t* b_row_ptr;
    const std::int32_t* b_columns;
    const void* b_values;
    std::int64_t b_nnz;
    Collecting how;
    void* sums;  // one for each bit of the marks; zeros, and again when it returns, as the marks
    std::uint64_t* marks;
    std::uint64_t* marked_words;
    std::int64_t n_words;  // of marks
    // Room for as many as there are products, or columns where these are fewer, and what is written beyond.
    std::int32_t* columns;
    void* values;
};
// The number of non-zeros, which it has written with their columns, ascending.
using SparseRowFunction = std::int64_t (*)(const SparseRowArgs&);
// Of several short rows, one after the other; a_count, how, sums and marks are not read. a_row_ptr: from the first of
// them on. counts: of their products, and when it returns, of their non-zeros.
using ShortRowsFunction = std::int64_t (*)(const SparseRowArgs&, const std::int64_t* a_row_ptr, std::int64_t* counts,
                                           std::int64_t rows);

struct SparseRowsRow {
    Type type;
    int sums_per_mark;  // looked at in the time of marking a column and finding it again
    bool has_networks;
    SparseRowFunction function;
    ShortRowsFunction short_rows;
};

}  // namespace cs
