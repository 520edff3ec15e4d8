// SPDX-License-Identifier: BSD-3-Clause
// Combine: rows whose non-zeros share no column become sets (key complementary_sparsity in docs/references.bib).
//
// All functions take a pattern in CSR form; those below validate_csr() take a valid one. Time and memory are
// O(nnz + rows + cols) unless a function says otherwise; columns are counted by sorting where cols is far above nnz.
#pragma once

#include <cstdint>
#include <vector>

namespace cs {

template <class Index>
struct Pattern {
    std::int64_t rows, cols;
    const std::int64_t* row_ptr;  // rows + 1
    const Index* columns;         // row_ptr[rows]
    std::int64_t nnz() const { return row_ptr[rows]; }
};

enum class CsrRule {
    none,
    negative_shape,
    first_pointer,     // row_ptr[0] is not 0
    pointers_descend,  // row_ptr[at] > row_ptr[at + 1]
    last_pointer,      // row_ptr[rows] is not the number of columns or of values
    column_range,      // columns[at] is outside [0, cols)
};

struct CsrReport {
    CsrRule broken = CsrRule::none;
    std::int64_t at = 0;
    bool sorted = true;  // columns never descend within a row
    bool unique = true;  // no column twice in a row; known only if sorted
};

template <class Index>
CsrReport validate_csr(const Pattern<Index>& pattern, std::int64_t n_columns, std::int64_t n_values);

// Entries of the fullest column: any packing needs at least so many sets, and a split packing no more.
template <class Index>
std::int64_t max_column_count(const Index* columns, std::int64_t nnz, std::int64_t cols);

struct Block {
    int rows, cols;
};
// The largest aligned block (rows 1..32, columns 1..4, powers of two) such that each block is stored whole or not at
// all. The last blocks may be cut off by the matrix's edge.
template <class Index>
Block detect_block(const Pattern<Index>& pattern);
template <class Index>
bool has_block(const Pattern<Index>& pattern, Block block);

struct Sets {
    std::vector<std::int64_t> set_ptr;    // n_sets + 1
    std::vector<std::int64_t> row_order;  // the rows of set s: row_order[set_ptr[s]] ... row_order[set_ptr[s + 1] - 1]
};

// Whole members (block_rows neighbouring rows) are placed: first fit in descending size, then local repair. A set of
// members is listed as block_rows consecutive sets of rows. Returns false where more than max_sets sets of rows would
// be needed (0: no limit). Time: for each entry, one step per 64 sets or one per set that owns its column, the cheaper.
template <class Index>
bool pack_strict(const Pattern<Index>& pattern, int block_rows, std::int64_t max_sets, Sets& sets);

// The j-th entry of a column (rows ascending) goes to set j. set and kernel_id have one item per entry, in CSR order.
// Throws std::length_error from 2^31 rows on.
template <class Index>
void pack_split(const Pattern<Index>& pattern, Sets& sets, std::int32_t* set, std::int32_t* kernel_id);

enum class PackingRule {
    none,
    pointers,       // set_ptr does not ascend from 0 to the number of rows
    permutation,    // row_order[at] is out of range or stands twice
    shared_column,  // two rows of a set own the same column
};
struct PackingReport {
    PackingRule broken = PackingRule::none;
    std::int64_t at = 0, set = 0, column = 0, first_row = 0, second_row = 0;
};
template <class Index>
PackingReport validate_packing(const Pattern<Index>& pattern, const std::int64_t* set_ptr, std::int64_t n_sets,
                               const std::int64_t* row_order, std::int64_t n_order);

}  // namespace cs
