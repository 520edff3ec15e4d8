// SPDX-License-Identifier: BSD-3-Clause
// Memory that a product needs beside its operands. The caller owns it, and knows beforehand how much there must be.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned.hpp"

namespace cs {

struct Workspace {
    unsigned char* memory;  // on a cache line
    std::int64_t bytes;
};

// A workspace that is kept between calls, because fresh memory costs a page fault every 4 KiB; much of it is given back
// once less is needed.
class KeptWorkspace {
   public:
    Workspace at_least(std::int64_t bytes) {
        constexpr std::size_t most_kept = std::size_t{16} << 20;
        const auto wanted = static_cast<std::size_t>(bytes);
        if (kept_.size() > most_kept && wanted <= most_kept) AlignedVector<unsigned char>().swap(kept_);
        if (kept_.size() < wanted) {
            AlignedVector<unsigned char>().swap(kept_);
            kept_.resize(wanted);
        }
        return {kept_.data(), static_cast<std::int64_t>(kept_.size())};
    }

   private:
    AlignedVector<unsigned char> kept_;
};

}  // namespace cs
