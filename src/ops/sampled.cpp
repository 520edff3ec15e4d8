// SPDX-License-Identifier: BSD-3-Clause
#include "ops/sampled.hpp"

#include <cstddef>

#include "base/aligned.hpp"
#include "base/isa.hpp"
#include "kernels/names.hpp"
#include "kernels/sampled.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

template <class T>
void sampled_typed(const StoredMatrix& pattern, const DenseView& p, const DenseView& q, T* out) {
    const SampledFunction row_function =
        strongest_of(&Table::sampled, usable_levels(), uniform(pattern.type)).row->function;
    const std::int64_t depth = p.cols;
    // The columns of q become contiguous rows; so do the rows of p where they are not.
    AlignedVector<T> q_rows(static_cast<std::size_t>(pattern.cols * depth));
    for (std::int64_t r = 0; r < depth; ++r)
        for (std::int64_t k = 0; k < pattern.cols; ++k)
            q_rows[static_cast<std::size_t>(k * depth + r)] = *element<const T>(q, r, k);
    AlignedVector<T> p_rows;
    if (p.col_stride != 1) {
        p_rows.resize(static_cast<std::size_t>(p.rows * depth));
        for (std::int64_t row = 0; row < p.rows; ++row)
            for (std::int64_t r = 0; r < depth; ++r)
                p_rows[static_cast<std::size_t>(row * depth + r)] = *element<const T>(p, row, r);
    }
    const std::int64_t nnz = pattern.nnz();
    const int threads = choose_threads(static_cast<double>(nnz) * static_cast<double>(depth));
    parallel_shares(pattern.rows, threads, [&](std::int64_t first_row, std::int64_t last_row) {
        for (std::int64_t row = first_row; row < last_row; ++row) {
            const std::int64_t first = pattern.row_ptr[row];
            const T* const p_row = p_rows.empty() ? element<const T>(p, row, 0) : p_rows.data() + row * depth;
            row_function(
                {p_row, q_rows.data(), pattern.columns + first, pattern.row_ptr[row + 1] - first, depth, out + first});
        }
    });
}

}  // namespace

void sampled_multiply(const StoredMatrix& pattern, const DenseView& p, const DenseView& q, void* out) {
    if (pattern.nnz() == 0) return;
    dispatch_weights(pattern.type, [&](auto zero) { sampled_typed(pattern, p, q, static_cast<decltype(zero)*>(out)); });
}

RowName row_name(const SampledRow& row) { return {"sampled", "stored_rows", name_of(row.types), "", 1, 1}; }

}  // namespace cs
