// SPDX-License-Identifier: BSD-3-Clause
// ISA levels: which the build has, which the CPU supports, which one is in use.
#pragma once

#include <string_view>
#include <vector>

namespace cs {

struct IsaLevel {
    const char* name;
    bool supported;  // by this CPU and operating system
};

// Weakest first, in the order of the ISA table in src/meson.build.
const std::vector<IsaLevel>& isa_levels();

// Index of the level in use: the strongest supported one, or the cap set by select_isa().
int selected_isa();

// Caps the level. Returns false (and changes nothing) for a name that the build lacks or the CPU does not support.
bool select_isa(std::string_view name);

struct CacheSizes {
    long l1d, l2, l3;  // bytes per core; conservative defaults where the system does not tell
};
const CacheSizes& cache_sizes();

}  // namespace cs
