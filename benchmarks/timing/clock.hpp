// SPDX-License-Identifier: BSD-3-Clause
// The clock of the timing loop and of the machine's peaks.
#pragma once

#include <chrono>

namespace {

inline double now_ns() {
    using clock = std::chrono::steady_clock;
    return static_cast<double>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now().time_since_epoch()).count());
}

}  // namespace
