// SPDX-License-Identifier: BSD-3-Clause
// Combine: rows whose non-zeros share no column become sets (key complementary_sparsity in docs/references.bib).
//
// All functions take a valid pattern. Time and memory are as in pattern.hpp unless a function says otherwise.
#pragma once

#include <cstdint>
#include <vector>

#include "pattern/pattern.hpp"

namespace cs {

struct Sets {
    std::vector<std::int64_t> set_ptr;    // n_sets + 1
    std::vector<std::int64_t> row_order;  // the rows of set s: row_order[set_ptr[s]] ... row_order[set_ptr[s + 1] - 1]
};

// Asked every few hundredths of a second by work that may take long: whether it is to end. Without a function: never.
struct Interrupt {
    bool (*wanted)(void* context) = nullptr;
    void* context = nullptr;
};

enum class Packed { yes, no, interrupted };

// Whole members (block_rows neighbouring rows) are placed: first fit in descending size, then local repair. A set of
// members is listed as block_rows consecutive sets of rows. `no` where more than max_sets sets of rows would be needed
// (0: no limit). Time: for each entry, one step per 64 sets or one per set that owns its column, the cheaper.
template <class Index>
Packed pack_strict(const Pattern<Index>& pattern, int block_rows, std::int64_t max_sets, Interrupt interrupt,
                   Sets& sets);

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
