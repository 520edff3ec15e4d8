// SPDX-License-Identifier: BSD-3-Clause
// How long steps take.
#pragma once

#include <chrono>
#include <cstdint>

namespace cs {

// Adds the nanoseconds that it lived to a sum of all threads, where there is one.
class Stopwatch {
   public:
    explicit Stopwatch(std::int64_t* sum) : sum_(sum), begin_(sum != nullptr ? now() : 0) {}
    ~Stopwatch() {
        if (sum_ != nullptr) __atomic_fetch_add(sum_, now() - begin_, __ATOMIC_RELAXED);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

   private:
    static std::int64_t now() {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }

    std::int64_t* const sum_;
    const std::int64_t begin_;
};

}  // namespace cs
