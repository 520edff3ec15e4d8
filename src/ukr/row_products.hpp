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
        const T* const a_values = static_cast<const T*>(args.a_values);
        int n = 0;
        for (std::int64_t i = 0; i < args.a_count; ++i) {
            const std::int64_t row = args.a_columns[i], end = args.b_row_ptr[row + 1];
            if (i + ahead < args.a_known) {
                const std::int64_t fetched = args.b_row_ptr[args.a_columns[i + ahead]];
                __builtin_prefetch(args.b_columns + fetched);
                __builtin_prefetch(static_cast<const T*>(args.b_values) + fetched);
            }
            std::int64_t j = args.b_row_ptr[row];
            do {
                make_room(n);
                write_some(columns + n, products + n, a_values[i], j, end);
                n += static_cast<int>(end - j < at_once ? end - j : at_once);
                j += at_once;
            } while (j < end);
        }
        return n;
    }

   private:
    // Products with the entries of B from j on: of the row that ends at `end`, and for nobody of those that follow.
    CS_INLINE void write_some(std::int32_t* columns, T* products, T weight, std::int64_t j, std::int64_t end) const {
        const std::int32_t* const b_columns = args.b_columns + j;
        const T* const b_values = static_cast<const T*>(args.b_values) + j;
        if (j + at_once <= args.b_nnz) {
            for (int at = 0; at < at_once; ++at) columns[at] = b_columns[at];
            for (int at = 0; at < at_once; at += lanes)
                store(products + at, weight * load<vec<T, lanes>>(b_values + at));
            return;
        }
        for (std::int64_t at = 0; at < end - j && at < at_once; ++at) {
            columns[at] = b_columns[at];
            products[at] = static_cast<T>(weight * b_values[at]);
        }
    }
};

}  // namespace cs::ukr::CS_ISA
