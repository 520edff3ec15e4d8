// SPDX-License-Identifier: BSD-3-Clause
// The pattern of a CSR matrix: whether it is one, its fullest column, the blocks that it is made of.
//
// All functions but validate_csr() take a valid pattern. Time and memory are O(nnz + rows + cols); columns are counted
// by sorting where cols is far above nnz.
#pragma once

#include <cstdint>

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

}  // namespace cs
