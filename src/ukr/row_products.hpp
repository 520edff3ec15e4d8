// SPDX-License-Identifier: BSD-3-Clause
// The products of rows of A with those of B that their entries name, side by side.
//
// Rows of B are short, and how short nobody can predict: a loop over each would cost a mispredicted branch. So products
// are written a vector at a time, whether the row fills it or not.
#pragma once

#include "kernels/sparse_rows.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T>
struct RowProducts {
    static constexpr int lanes = native<T>;
    static constexpr int at_once = lanes > 8 ? lanes : 8;
    static constexpr int waiting = 1024;  // side by side: they stay in L1
    static constexpr int ahead = 8;       // entries of A whose rows of B are fetched

    const SparseRowArgs& args;

    // All of them one after the other, and at_once for nobody; `make_room` may take what there is. How many are left.
    template <class MakeRoom>
    CS_INLINE int side_by_side(std::int32_t* columns, T* products, MakeRoom make_room) const {
        // In variables of its own: what products are written to might be the arguments, for all the compiler knows.
        const std::int32_t *const a_columns = args.a_columns, *const b_columns = args.b_columns;
        const T *const a_values = static_cast<const T*>(args.a_values), *const b_values =
                                                                            static_cast<const T*>(args.b_values);
        const std::int64_t* const b_row_ptr = args.b_row_ptr;
        const std::int64_t a_count = args.a_count, last_whole = args.b_nnz - at_once;
        const std::int64_t fetching = a_count < args.a_known - ahead ? a_count : args.a_known - ahead;
        int n = 0;
        for (std::int64_t i = 0; i < a_count; ++i) {
            const std::int64_t row = a_columns[i], end = b_row_ptr[row + 1];
            if (i < fetching) {
                const std::int64_t fetched = b_row_ptr[a_columns[i + ahead]];
                __builtin_prefetch(b_columns + fetched);
                __builtin_prefetch(b_values + fetched);
            }
            std::int64_t j = b_row_ptr[row];
            do {
                make_room(n);
                const std::int64_t left = end - j;
                if (j <= last_whole)
                    write_whole(columns + n, products + n, a_values[i], b_columns + j, b_values + j);
                else
                    write_some(columns + n, products + n, a_values[i], b_columns + j, b_values + j, left);
                n += static_cast<int>(left < at_once ? left : at_once);
                j += at_once;
            } while (j < end);
        }
        return n;
    }

   private:
    // Products with at_once entries of B, of which the last may belong to the rows that follow, and are for nobody.
    static CS_INLINE void write_whole(std::int32_t* columns, T* products, T weight, const std::int32_t* b_columns,
                                      const T* b_values) {
        constexpr int column_lanes = native<std::int32_t> < at_once ? native<std::int32_t> : at_once;
        for (int at = 0; at < at_once; at += column_lanes)
            store(columns + at, load<vec<std::int32_t, column_lanes>>(b_columns + at));
        for (int at = 0; at < at_once; at += lanes) store(products + at, weight * load<vec<T, lanes>>(b_values + at));
    }
    // Near the end of B.
    static CS_INLINE void write_some(std::int32_t* columns, T* products, T weight, const std::int32_t* b_columns,
                                     const T* b_values, std::int64_t n) {
        for (std::int64_t at = 0; at < n && at < at_once; ++at) {
            columns[at] = b_columns[at];
            products[at] = static_cast<T>(weight * b_values[at]);
        }
    }
};

}  // namespace cs::ukr::CS_ISA
