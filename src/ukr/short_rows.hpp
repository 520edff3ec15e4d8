// SPDX-License-Identifier: BSD-3-Clause
// Rows of few products, many at a time.
//
// What a row of 16 products costs beside them is a mispredicted end for each loop whose length only the row knows. So
// the products of many rows are written by one loop over the entries of A; then rows are sorted, each by the network
// that has room for it, those of one network after the other. Sorted products go where the result has them if no
// column comes twice; only where one did, what follows moves up.
#pragma once

#include <cstring>
#include <utility>

#include "kernels/sparse_rows.hpp"
#include "ukr/levels.hpp"
#include "ukr/row_products.hpp"
#include "ukr/sorted_products.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T>
class ShortRows {
    static constexpr int most_rows = 64;  // at a time: a bit for each

   public:
    explicit ShortRows(const SparseRowArgs& args)
        : args_(args), to_columns_(args.columns), to_values_(static_cast<T*>(args.values)) {}

    std::int64_t run(const std::int64_t* a_row_ptr, std::int64_t* counts, std::int64_t rows) {
        for (std::int64_t row = 0; row < rows; row += rows_) {
            find_places(counts + row, rows - row);
            args_.a_count = a_row_ptr[row + rows_] - a_row_ptr[row];
            RowProducts<T>{args_}.side_by_side(columns_, products_, [](int&) {});
            args_.a_columns += args_.a_count;
            args_.a_values = static_cast<const T*>(args_.a_values) + args_.a_count;
            args_.a_known -= args_.a_count;
            sort_rows();
            const int left = special_ == 0 ? places_[rows_] : add_up(counts + row);
            to_columns_ += left;
            to_values_ += left;
        }
        return to_columns_ - args_.columns;
    }

   private:
    // As many rows as fit, and where the products of each begin.
    CS_INLINE void find_places(const std::int64_t* counts, std::int64_t rows) {
        int n = 0;
        for (rows_ = 0; rows_ < rows && rows_ < most_rows; ++rows_) {
            places_[rows_] = n;
            if (n + counts[rows_] > RowProducts<T>::waiting) return;
            n += static_cast<int>(counts[rows_]);
        }
        places_[rows_] = n;
    }

    CS_INLINE void sort_rows() {
        special_ = 0;
#if defined(__AVX512F__)
        if (args_.n_words <= most_network_columns / 64) return sort_by_networks();
#endif
        for (int row = 0; row < rows_; ++row)
            sort_row(row, [](const SortedProducts<T>& to, const std::int32_t* columns, const T* products, int n) {
                return to.by_places(columns, products, n);
            });
    }

    template <class Sort>
    CS_INLINE void sort_row(int row, Sort sort) {
        const int at = places_[row];
        const bool is_special = sort(SortedProducts<T>{to_columns_ + at, to_values_ + at}, columns_ + at,
                                     products_ + at, places_[row + 1] - at);
        special_ |= std::uint64_t{is_special} << row;
    }

#if defined(__AVX512F__)
    static constexpr int most_registers = most_in_network / 16;

    CS_INLINE void sort_by_networks() {
        std::uint8_t listed[most_registers + 1][most_rows];
        int lengths[most_registers + 1] = {};
        for (int row = 0; row < rows_; ++row) {
            const int wanted = (places_[row + 1] - places_[row] + 15) / 16;
            const int registers = wanted == 7 ? 8 : wanted;
            listed[registers][lengths[registers]++] = static_cast<std::uint8_t>(row);
        }
        sort_listed(listed, lengths, std::integer_sequence<int, 1, 2, 3, 4, 5, 6, most_registers>());
    }

    template <int... Registers>
    CS_INLINE void sort_listed(const std::uint8_t (*listed)[most_rows], const int* lengths,
                               std::integer_sequence<int, Registers...>) {
        (sort_by_network<Registers>(listed[Registers], lengths[Registers]), ...);
    }

    template <int Registers>
    CS_INLINE void sort_by_network(const std::uint8_t* listed, int length) {
        for (int i = 0; i < length; ++i)
            sort_row(listed[i], [](const SortedProducts<T>& to, const std::int32_t* columns, const T* products, int n) {
                return to.template in_network<Registers>(columns, products, n);
            });
    }
#endif

    // Rows in which a column came twice or a product is zero get shorter, and what follows them moves up.
    int add_up(std::int64_t* counts) {
        int from = 0, to = 0;
        for (std::uint64_t left = special_; left != 0; left &= left - 1) {
            const int row = __builtin_ctzll(left), first = places_[row], last = places_[row + 1];
            const int count = SortedProducts<T>{to_columns_ + first, to_values_ + first}.add_neighbours(last - first);
            counts[row] = count;
            const int moved = first + count - from;
            move(to, from, moved);
            to += moved;
            from = last;
        }
        move(to, from, places_[rows_] - from);
        return to + places_[rows_] - from;
    }

    CS_INLINE void move(int to, int from, int count) const {
        if (to == from || count == 0) return;
        std::memmove(to_columns_ + to, to_columns_ + from, static_cast<std::size_t>(count) * sizeof(std::int32_t));
        std::memmove(to_values_ + to, to_values_ + from, static_cast<std::size_t>(count) * sizeof(T));
    }

    static constexpr int beyond = most_in_network + RowProducts<T>::at_once;  // read for nobody, and written
    SparseRowArgs args_;
    std::int32_t* to_columns_;
    T* to_values_;
    int rows_ = 0;
    std::uint64_t special_ = 0;  // a bit for each row
    int places_[most_rows + 1];
    alignas(64) std::int32_t columns_[RowProducts<T>::waiting + beyond];
    alignas(64) T products_[RowProducts<T>::waiting + beyond];
};

template <class T>
std::int64_t short_rows(const SparseRowArgs& args, const std::int64_t* a_row_ptr, std::int64_t* counts,
                        std::int64_t rows) {
    return ShortRows<T>(args).run(a_row_ptr, counts, rows);
}

}  // namespace cs::ukr::CS_ISA
