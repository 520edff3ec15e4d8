// SPDX-License-Identifier: BSD-3-Clause
// spmm on the stored rows: for matrices so sparse that bringing x into tiles would cost as much as the product.
//
// x is read where it lies: each entry multiplies one row of it, up to eight registers wide, so that eight accumulators
// hide the latency of the FMA and the entry's own loads are shared by all. Nothing is built for it.
#pragma once

#include "kernels/stored_rows.hpp"
#include "ukr/finish.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Where a row's outputs belong, in y and in the bias.
template <bool Listed>
CS_INLINE std::int64_t output_of(const StoredRowsArgs& args, std::int64_t row) {
    if constexpr (Listed) return args.listed[row];
    return row;
}

// NV registers of Lanes outputs of one row: from column `first` on, and the last of them from column `last` on. Where
// it overlaps the one before, both find the same sums.
template <class T, int Lanes, int NV, bool Listed>
CS_INLINE void row_part(const StoredRowsArgs& args, std::int64_t row, std::int64_t first, std::int64_t last) {
    using V = vec<T, Lanes>;
    const T* const x = static_cast<const T*>(args.x);
    const T* const values = static_cast<const T*>(args.values);
    V sum[NV]{};
    for (std::int64_t i = args.row_ptr[row]; i < args.row_ptr[row + 1]; ++i) {
        const T* const x_row = x + args.columns[i] * args.x_stride;
        const V value = broadcast<V>(values[i]);
#pragma GCC unroll 8
        for (int v = 0; v < NV - 1; ++v) sum[v] = fma(value, load<V>(x_row + first + v * Lanes), sum[v]);
        sum[NV - 1] = fma(value, load<V>(x_row + last), sum[NV - 1]);
    }
    const std::int64_t output = output_of<Listed>(args, row);
    T* const y = static_cast<T*>(args.y) + output * args.y_stride;
    const auto finish = Finish<T>::of(args.finish);
    for (int v = 0; v < NV - 1; ++v) store(y + first + v * Lanes, finish.of_row(sum[v], output));
    store(y + last, finish.of_row(sum[NV - 1], output));
}

// The columns from `first` on in as many registers as they fill, at most NV: one pass over the row's entries.
template <class T, int Lanes, int NV, bool Listed>
CS_INLINE void row_rest(const StoredRowsArgs& args, std::int64_t row, std::int64_t first) {
    if constexpr (NV > 1)
        if (args.n - first <= Lanes * (NV - 1)) return row_rest<T, Lanes, NV - 1, Listed>(args, row, first);
    row_part<T, Lanes, NV, Listed>(args, row, first, args.n - Lanes);
}

// Batches of at least Lanes columns; of narrower ones by narrower registers.
template <class T, int Lanes, int NV, bool Listed>
void some_columns(const StoredRowsArgs& args) {
    if constexpr (Lanes > 2)
        if (args.n < Lanes) return some_columns<T, Lanes / 2, 2, Listed>(args);
    for (std::int64_t row = args.first_row; row < args.last_row; ++row) {
        std::int64_t first = 0;
        for (; first + Lanes * NV < args.n; first += Lanes * NV)
            row_part<T, Lanes, NV, Listed>(args, row, first, first + Lanes * (NV - 1));
        row_rest<T, Lanes, NV, Listed>(args, row, first);
    }
}

// One column: a plain sum per row, the entry's position carried from row to row.
template <class T, bool Listed>
CS_INLINE void one_column(const StoredRowsArgs& args, std::int64_t x_stride, std::int64_t y_stride) {
    const T* const x = static_cast<const T*>(args.x);
    const T* const values = static_cast<const T*>(args.values);
    const auto finish = Finish<T>::of(args.finish);
    T* const y = static_cast<T*>(args.y);
    std::int64_t i = args.row_ptr[args.first_row];
    for (std::int64_t row = args.first_row; row < args.last_row; ++row) {
        T sum{};
        for (const std::int64_t end = args.row_ptr[row + 1]; i < end; ++i)
            sum = fma(values[i], x[args.columns[i] * x_stride], sum);
        const std::int64_t output = output_of<Listed>(args, row);
        y[output * y_stride] = finish.rows(sum, output);
    }
}

template <class T, bool Listed>
CS_INLINE void every_column(const StoredRowsArgs& given) {
    constexpr int L = native<T>, NV = 8;
    const StoredRowsArgs args = given;  // a copy stays in registers; the original might change with every store to y
    if (args.n == 1) {
        if (args.x_stride == 1 && args.y_stride == 1)
            one_column<T, Listed>(args, 1, 1);
        else
            one_column<T, Listed>(args, args.x_stride, args.y_stride);
        return;
    }
    some_columns<T, L, NV, Listed>(args);
}

template <class T>
void stored_rows(const StoredRowsArgs& args) {
    if (args.listed != nullptr)
        every_column<T, true>(args);
    else
        every_column<T, false>(args);
}

template <class T>
inline constexpr StoredRowsRow stored_rows_row{uniform(type_of<T>), 8 * native<T>, stored_rows<T>};

static constexpr StoredRowsRow stored_rows_of_every_level[] = {
    stored_rows_row<float>,
    stored_rows_row<double>,
    stored_rows_row<std::int64_t>,
    stored_rows_row<std::int32_t>,
};
template <>
struct EveryLevel<StoredRowsRow> {
    static constexpr Rows<StoredRowsRow> rows = table_rows(stored_rows_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
