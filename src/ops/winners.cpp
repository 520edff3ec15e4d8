// SPDX-License-Identifier: BSD-3-Clause
#include "ops/winners.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tiles/work.hpp"

namespace cs {
namespace {

template <class Word>
void expand_as(const WinnersView& w, void* dense, std::int64_t inner) {
    const Word* const values = static_cast<const Word*>(w.values);
    Word* const out = static_cast<Word*>(dense);
    for (std::int64_t v = 0; v < w.vectors; ++v) {
        Word* const vector = out + v / inner * w.length * inner + v % inner;
        for (std::int64_t i = w.starts[v]; i < w.starts[v + 1]; ++i) vector[w.indices[i] * inner] = values[i];
    }
}

}  // namespace

void expand(const WinnersView& w, int value_bytes, void* dense, std::int64_t inner) {
    dispatch_width(value_bytes, [&](auto word) { expand_as<decltype(word)>(w, dense, inner); });
}

namespace {

// From `low` to `high`: what is dropped.
template <class T>
struct Limits {
    T low, high;
    explicit Limits(double limit) {
        if constexpr (std::is_floating_point_v<T>) {
            high = static_cast<T>(limit);
            low = -high;
        } else {
            constexpr T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
            const double whole = std::floor(limit);
            high = whole >= static_cast<double>(most) ? most : static_cast<T>(whole);
            low = -whole <= static_cast<double>(least) ? least : static_cast<T>(-whole);
        }
    }
    bool keeps(T value) const { return !(value <= high && value >= low); }
};

std::int64_t words_of(const VectorsView& x) { return (x.n + 63) / 64; }

// Calls body(vector, number of its first entry) for each vector, on several threads where that is worth it.
template <class Body>
void for_vectors(const VectorsView& x, Body body) {
    const std::int64_t vectors = x.outer * x.inner;
    parallel_shares(vectors, choose_threads(cost_of_searched_entry * static_cast<double>(vectors * x.n)),
                    [&](std::int64_t first, std::int64_t last) {
                        for (std::int64_t v = first; v < last; ++v)
                            body(v, v / x.inner * x.outer_stride + v % x.inner * x.inner_stride);
                    });
}

template <class T>
void mark_as(const VectorsView& x, double limit, std::uint64_t* marks, std::int64_t* starts) {
    const Limits<T> limits(limit);
    for_vectors(x, [&](std::int64_t v, std::int64_t first_entry) {
        const T* const vector = static_cast<const T*>(x.data) + first_entry;
        std::int64_t total = 0;
        for (std::int64_t first = 0; first < x.n; first += 64) {
            const std::int64_t count = std::min<std::int64_t>(64, x.n - first);
            std::uint64_t bits = 0;
            for (std::int64_t i = 0; i < count; ++i)
                bits |= static_cast<std::uint64_t>(limits.keeps(vector[(first + i) * x.stride])) << i;
            marks[v * words_of(x) + first / 64] = bits;
            total += __builtin_popcountll(bits);
        }
        starts[v + 1] = total;
    });
}

template <class Word>
void collect_as(const VectorsView& x, const std::uint64_t* marks, const std::int64_t* starts, Word* values,
                std::int32_t* indices) {
    for_vectors(x, [&](std::int64_t v, std::int64_t first_entry) {
        const Word* const vector = static_cast<const Word*>(x.data) + first_entry;
        std::int64_t at = starts[v];
        for (std::int64_t word = 0; word < words_of(x); ++word)
            for (std::uint64_t bits = marks[v * words_of(x) + word]; bits != 0; bits &= bits - 1) {
                const std::int64_t i = 64 * word + __builtin_ctzll(bits);
                values[at] = vector[i * x.stride];
                indices[at++] = static_cast<std::int32_t>(i);
            }
    });
}

}  // namespace

std::vector<std::uint64_t> mark(const VectorsView& x, Type type, double limit, std::int64_t* starts) {
    const std::int64_t vectors = x.outer * x.inner;
    std::vector<std::uint64_t> marks(static_cast<std::size_t>(vectors * words_of(x)));
    dispatch(type, [&](auto zero) { mark_as<decltype(zero)>(x, limit, marks.data(), starts); });
    starts[0] = 0;
    for (std::int64_t v = 0; v < vectors; ++v) starts[v + 1] += starts[v];
    return marks;
}

void collect(const VectorsView& x, int value_bytes, const std::vector<std::uint64_t>& marks, const std::int64_t* starts,
             void* values, std::int32_t* indices) {
    dispatch_width(value_bytes, [&](auto word) {
        collect_as(x, marks.data(), starts, static_cast<decltype(word)*>(values), indices);
    });
}

}  // namespace cs
