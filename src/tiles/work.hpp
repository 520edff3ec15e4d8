// SPDX-License-Identifier: BSD-3-Clause
// What macro-kernels share: how many threads a job is worth, its shares, whole cache lines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/aligned.hpp"
#include "base/parallel.hpp"
#include "base/types.hpp"

namespace cs {

// `work`: multiplications, and what costs as much.
inline int choose_threads(double work) {
    constexpr double least_work = 131072;  // per thread; with less, starting one costs more than it saves
    if (work < 2 * least_work) return 1;
    return static_cast<int>(std::min<double>(effective_threads(), work / least_work));
}

// In multiplications of a product with stored weights: an entry of a dense vector that is searched for what is not
// zero; one that competes; and a multiplication whose input is a winner, which a loop goes to by its index.
constexpr double cost_of_searched_entry = 4, cost_of_competitor = 24, cost_by_winner = 8;

// Cuts [0, n) into shares, some for each thread, and calls body(first, last) for each that is not empty.
template <class Body>
void parallel_shares(std::int64_t n, int threads, Body body) {
    const std::int64_t n_shares = threads == 1 ? 1 : std::min<std::int64_t>(n, 4 * threads);
    auto share = [&](std::int64_t task, int) {
        const std::int64_t first = n * task / n_shares, last = n * (task + 1) / n_shares;
        if (first < last) body(first, last);
    };
    parallel_for(n_shares, threads, share);
}

inline std::int64_t round_to_lines(std::int64_t elements, std::size_t size) {
    const auto line = static_cast<std::int64_t>(cache_line / size);
    return (elements + line - 1) / line * line;
}

// Returns body(Word{}) for an unsigned integer of 1, 2, 4 or 8 bytes: who moves values need not know their type.
template <class Body>
auto dispatch_width(std::int64_t bytes, Body body) {
    using Words = TypeList<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
    return Words::call(__builtin_ctz(static_cast<unsigned>(bytes)), body);
}

}  // namespace cs
