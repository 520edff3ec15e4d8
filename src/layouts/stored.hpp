// SPDX-License-Identifier: BSD-3-Clause
// What layouts are derived from, and what several of them ask about a pattern.
#pragma once

#include <cstdint>
#include <vector>

#include "base/views.hpp"

namespace cs {

// A CSR matrix that owns its arrays: the transpose from which the layouts of W' are derived.
struct OwnedCsr {
    std::vector<std::int64_t> row_ptr;
    std::vector<std::int32_t> columns;
    std::vector<unsigned char> values;
};
// Counting sort, O(nnz + rows + cols). What it returns refers to `owned`.
StoredMatrix transpose(const StoredMatrix& stored, OwnedCsr& owned);

// The columns that own an entry, where these are less than half: activations that nobody reads need not be packed.
// Otherwise none.
std::vector<std::int32_t> columns_worth_keeping(const StoredMatrix& matrix);
// The matrix of these columns only. `used` lists them; `dropped` refers to `renumbered`. Returns whether it did.
bool drop_unused_columns(const StoredMatrix& matrix, std::vector<std::int32_t>& used,
                         std::vector<std::int32_t>& renumbered, StoredMatrix& dropped);

// The rows that own an entry, where these are less than half of many; otherwise none.
std::vector<std::int64_t> rows_worth_listing(const StoredMatrix& matrix);

// The most neighbouring rows, of 8, 4, 2 and 1, that have one pattern throughout.
int shared_rows(const StoredMatrix& matrix);

double density(const StoredMatrix& matrix);
// Whether no value is NaN or infinite.
bool is_finite(const StoredMatrix& matrix);

// Bytes of arrays.
template <class... Vectors>
std::int64_t bytes_of_arrays(const Vectors&... vectors) {
    return static_cast<std::int64_t>((std::size_t{0} + ... + (vectors.size() * sizeof(vectors[0]))));
}

}  // namespace cs
