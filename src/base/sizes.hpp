// SPDX-License-Identifier: BSD-3-Clause
// Sizes are std::int64_t; containers count in std::size_t.
#pragma once

#include <cstddef>

namespace cs {

template <class Integer>
constexpr std::size_t as_size(Integer i) {
    return static_cast<std::size_t>(i);
}

}  // namespace cs
