// SPDX-License-Identifier: BSD-3-Clause
// Rows of a product of two sparse matrices.
//
// Products are first written side by side, and added up by one long loop, which a load, an addition and a store for
// each product bound. A sum that no product fell into is zero, as a sum that cancels is, and neither becomes an entry.
// Full rows are compared with zero and compressed, a vector of sums at a time. Where few sums are touched, that would
// wait for the stores just made: there a bit for each column says where to look.
#pragma once

#include "kernels/sparse_rows.hpp"
#include "ukr/keys.hpp"
#include "ukr/levels.hpp"
#include "ukr/row_products.hpp"
#include "ukr/short_rows.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

template <class T>
class SparseRow {
    static constexpr int lanes = native<T>, column_lanes = native<std::int32_t>;
    static constexpr int waiting = RowProducts<T>::waiting;
    static constexpr int found_at_once = 4;  // columns of a word of marks

   public:
    explicit SparseRow(const SparseRowArgs& args)
        : args_(args), sums_(static_cast<T*>(args.sums)), values_(static_cast<T*>(args.values)) {}

    std::int64_t run() {
        switch (args_.how) {
            case Collecting::scaled:
                scaled();
                break;
            case Collecting::marked:
                each_product([this](std::int32_t column, T product) {
                    set(args_.marks, column);
                    sums_[column] = static_cast<T>(sums_[column] + product);
                });
                for (std::int64_t word = 0; word < args_.n_words; ++word) count_ = find_columns(word, count_);
                take_sums();
                break;
            case Collecting::marked_twice:
                each_product([this](std::int32_t column, T product) {
                    set(args_.marks, column);
                    set(args_.marked_words, column / 64);
                    sums_[column] = static_cast<T>(sums_[column] + product);
                });
                for (std::int64_t first = 0; first < args_.n_words; first += 64) {
                    std::uint64_t& words = args_.marked_words[first / 64];
                    for (; words != 0; words &= words - 1)
                        count_ = find_columns(first + __builtin_ctzll(words), count_);
                }
                take_sums();
                break;
            case Collecting::everywhere:
                each_product([sums = sums_](std::int32_t column, T product) {
                    sums[column] = static_cast<T>(sums[column] + product);
                });
                take_everything();
                break;
        }
        return count_;
    }

   private:
    template <class Body>
    CS_INLINE void each_product(Body body) const {
        std::int32_t columns[waiting + RowProducts<T>::at_once];
        T products[waiting + RowProducts<T>::at_once];
        auto take_all = [&](int n) {
            for (int at = 0; at < n; ++at) body(columns[at], products[at]);
        };
        take_all(RowProducts<T>{args_}.side_by_side(columns, products, [&](int& n) {
            if (n < waiting) return;
            take_all(n);
            n = 0;
        }));
    }

    static CS_INLINE void set(std::uint64_t* bits, std::int32_t at) {
        const auto place = static_cast<std::uint32_t>(at);
        bits[place / 64] |= std::uint64_t{1} << (place % 64);
    }

    static CS_INLINE int count_of_word(std::uint64_t word) {
#if defined(__POPCNT__)
        return __builtin_popcountll(word);
#else
        int count = 0;  // of the first few: more are found by the next turn
        for (int k = 0; k < found_at_once; ++k, word &= word - 1) count += word != 0;
        return count;
#endif
    }

    // The columns marked in a word, and no sums yet. Four are written whether there are so many or not, because how
    // many there are cannot be predicted.
    CS_INLINE std::int64_t find_columns(std::int64_t word, std::int64_t count) const {
        std::uint64_t left = args_.marks[word];
        args_.marks[word] = 0;
        const auto first = static_cast<std::int32_t>(word * 64);
        std::int32_t* const columns = args_.columns;
        do {
            const int marked = count_of_word(left);
            for (int k = 0; k < found_at_once; ++k) {
                columns[count + k] = first + __builtin_ctzll(left | std::uint64_t{1} << 63);
                left &= left - 1;
            }
            count += marked < found_at_once ? marked : found_at_once;
        } while (left != 0);
        return count;
    }

    CS_INLINE void take_sums() {
        const std::int64_t marked = count_;
        count_ = 0;
        for (std::int64_t at = 0; at < marked; ++at) take(args_.columns[at]);
    }

    // Without a branch: how many sums are zero cannot be predicted either.
    CS_INLINE void keep(std::int32_t column, T value) {
        args_.columns[count_] = column;
        values_[count_] = value;
        count_ += value != T{};
    }

    CS_INLINE void take(std::int32_t column) {
        const T sum = sums_[column];
        sums_[column] = T{};
        keep(column, sum);
    }

    // In variables of its own: what vectors are written to might be members, for all the compiler knows.
    void take_everything() {
        const std::int64_t n = args_.n_words * 64;
        if constexpr (vector_bytes == 16) {  // no instruction moves lanes together
            for (std::int64_t column = 0; column < n; ++column) take(static_cast<std::int32_t>(column));
            return;
        }
        T *const sums = sums_, *const values = values_;
        std::int32_t* const to_columns = args_.columns;
        std::int64_t count = 0;
        vec<std::int32_t, column_lanes> columns;
        for (int lane = 0; lane < column_lanes; ++lane) columns[lane] = lane;
        for (std::int64_t first = 0; first < n; first += column_lanes, columns += column_lanes) {
            Mask found = 0;
            std::int64_t written = count;
            for (int part = 0; part < column_lanes; part += lanes) {
                T* const from = sums + first + part;
                const auto some = load<vec<T, lanes>>(from);
                const Mask mask = nonzeros(some);
                store(from, vec<T, lanes>{});
                written += compress_and_beyond(values + written, mask, some);
                found |= mask << part;
            }
            compress_and_beyond(to_columns + count, found, columns);
            count = written;
        }
        count_ = count;
    }

    void scaled() {
        each_product([this](std::int32_t column, T product) { keep(column, product); });
    }

    const SparseRowArgs& args_;
    T* const sums_;
    T* const values_;
    std::int64_t count_ = 0;
};

template <class T>
std::int64_t sparse_row(const SparseRowArgs& given) {
    const SparseRowArgs args = given;  // a copy stays in registers; the original might change with every sum
    return SparseRow<T>(args).run();
}

template <class T>
inline constexpr SparseRowsRow sparse_rows_row{type_of<T>, native<T>, vector_bytes == 64, sparse_row<T>, short_rows<T>};

static constexpr SparseRowsRow sparse_rows_of_every_level[] = {
    sparse_rows_row<float>,
    sparse_rows_row<double>,
    sparse_rows_row<std::int64_t>,
    sparse_rows_row<std::int32_t>,
};
template <>
struct EveryLevel<SparseRowsRow> {
    static constexpr Rows<SparseRowsRow> rows = table_rows(sparse_rows_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
