// SPDX-License-Identifier: BSD-3-Clause
// Rows of a product of two sparse matrices.
//
// Adding up is bound by one load, one addition and one store to memory for each product. What zeros and order cost is
// kept below that: a sum that no product fell into is a zero, as a sum that cancels is, and neither becomes an entry. So
// whole blocks of sums are compared with zero and compressed; single columns are neither remembered nor sorted.
#pragma once

#include "kernels/sparse_rows.hpp"
#include "ukr/keys.hpp"
#include "ukr/levels.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// Lanes that are not zero; NaN is not.
template <class V>
CS_INLINE Mask nonzeros(V lanes) {
#if defined(__AVX512F__)
    using T = std::remove_const_t<std::remove_reference_t<decltype(lanes[0])>>;
    if constexpr (std::is_same_v<T, float>) return _mm512_cmp_ps_mask(lanes, V{}, _CMP_NEQ_UQ);
    if constexpr (std::is_same_v<T, double>) return _mm512_cmp_pd_mask(lanes, V{}, _CMP_NEQ_UQ);
    if constexpr (std::is_integral_v<T>) return _mm512_test_epi64_mask((__m512i)lanes, (__m512i)lanes);
#else
    return bits_of(lanes != V{});
#endif
}

template <class T>
class SparseRow {
    using Sums = vec<T, native<T>>;
    using Columns = vec<std::int32_t, native<std::int32_t>>;
    static constexpr int per_word = 64 * sums_per_mark;  // sums

   public:
    explicit SparseRow(const SparseRowArgs& args)
        : args_(args),
          a_values_(static_cast<const T*>(args.a_values)),
          b_values_(static_cast<const T*>(args.b_values)),
          sums_(static_cast<T*>(args.sums)),
          values_(static_cast<T*>(args.values)) {}

    std::int64_t run() {
        switch (args_.how) {
            case Collecting::scaled: scaled(); break;
            case Collecting::sorted: sorted(); break;
            case Collecting::marked:
                each_product([this](std::int32_t column, T product) {
                    set(args_.marks, column / sums_per_mark);
                    sums_[column] = static_cast<T>(sums_[column] + product);
                });
                for (std::int64_t word = 0; word * 64 < args_.n_blocks; ++word) collect_word(word);
                break;
            case Collecting::marked_twice:
                each_product([this](std::int32_t column, T product) {
                    set(args_.marks, column / sums_per_mark);
                    set(args_.marked_words, column / per_word);
                    sums_[column] = static_cast<T>(sums_[column] + product);
                });
                for (std::int64_t first = 0; first * 64 * 64 < args_.n_blocks; ++first)
                    each_bit(args_.marked_words[first], [&](int bit) { collect_word(first * 64 + bit); });
                break;
            case Collecting::everywhere:
                each_product(
                    [this](std::int32_t column, T product) { sums_[column] = static_cast<T>(sums_[column] + product); });
                for (std::int64_t block = 0; block < args_.n_blocks; ++block) collect_block(block);
                break;
        }
        return count_;
    }

   private:
    template <class Body>
    CS_INLINE void each_product(Body body) const {
        for (std::int64_t i = 0; i < args_.a_count; ++i) {
            const T weight = a_values_[i];
            const std::int64_t row = args_.a_columns[i], end = args_.b_row_ptr[row + 1];
            for (std::int64_t j = args_.b_row_ptr[row]; j < end; ++j)
                body(args_.b_columns[j], static_cast<T>(weight * b_values_[j]));
        }
    }

    static CS_INLINE void set(std::uint64_t* bits, std::int32_t at) {
        const auto place = static_cast<std::uint32_t>(at);
        bits[place / 64] |= std::uint64_t{1} << (place % 64);
    }

    // Each bit of a word, which is left without any.
    template <class Body>
    static CS_INLINE void each_bit(std::uint64_t& word, Body body) {
        std::uint64_t left = word;
        word = 0;
        for (; left != 0; left &= left - 1) body(__builtin_ctzll(left));
    }

    CS_INLINE void collect_word(std::int64_t word) {
        each_bit(args_.marks[word], [&](int bit) { collect_block(word * 64 + bit); });
    }

    CS_INLINE void collect_block(std::int64_t block) {
        constexpr int lanes = native<T>, at_once = native<std::int32_t>;
        Columns columns;
        for (int lane = 0; lane < at_once; ++lane) columns[lane] = lane;
        columns += static_cast<std::int32_t>(block * sums_per_mark);
        T* const first = sums_ + block * sums_per_mark;
        for (int start = 0; start < sums_per_mark; start += at_once) {
            Mask found = 0;
            std::int64_t written = count_;
            for (int part = 0; part < at_once; part += lanes) {
                const Sums sums = load<Sums>(first + start + part);
                const Mask mask = nonzeros(sums);
                store(first + start + part, Sums{});
                written += compress(values_ + written, mask, sums);
                found |= mask << part;
            }
            compress(args_.columns + count_, found, columns + start);
            count_ = written;
        }
    }

    CS_INLINE void keep(std::int32_t column, T value) {
        args_.columns[count_] = column;
        values_[count_] = value;
        count_ += value != T{};
    }

    void scaled() { each_product([this](std::int32_t column, T product) { keep(column, product); }); }

    // By insertion, equal columns in the order of their products.
    void sorted() {
        std::int32_t columns[most_sorted];
        T products[most_sorted];
        int n = 0;
        each_product([&](std::int32_t column, T product) {
            int at = n++;
            for (; at > 0 && columns[at - 1] > column; --at) {
                columns[at] = columns[at - 1];
                products[at] = products[at - 1];
            }
            columns[at] = column;
            products[at] = product;
        });
        for (int at = 0; at < n;) {
            const std::int32_t column = columns[at];
            T sum{};
            for (; at < n && columns[at] == column; ++at) sum = static_cast<T>(sum + products[at]);
            keep(column, sum);
        }
    }

    const SparseRowArgs& args_;
    const T* const a_values_;
    const T* const b_values_;
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
inline constexpr SparseRowsRow sparse_rows_row{type_of<T>, sparse_row<T>};

static constexpr SparseRowsRow sparse_rows_of_every_level[] = {
    sparse_rows_row<float>,
    sparse_rows_row<double>,
    sparse_rows_row<std::int64_t>,
};
template <>
struct EveryLevel<SparseRowsRow> {
    static constexpr Rows<SparseRowsRow> rows = table_rows(sparse_rows_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
