// SPDX-License-Identifier: BSD-3-Clause
#include "core/isa.hpp"

#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace cs {

const std::vector<IsaLevel>& isa_levels() {
    static const std::vector<IsaLevel> levels = [] {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_cpu_init();  // also checks that the operating system saves the wide registers
#endif
        return std::vector<IsaLevel>{
#define CS_ISA_LEVEL(identifier, name, test) {name, static_cast<bool>(test)},
#include "isa_levels.inc"
#undef CS_ISA_LEVEL
        };
    }();
    return levels;
}

namespace {

int strongest_supported() {
    const auto& levels = isa_levels();
    int best = 0;
    for (int i = 0; i < static_cast<int>(levels.size()); ++i)
        if (levels[static_cast<std::size_t>(i)].supported) best = i;
    return best;
}

std::atomic<int>& selection() {
    static std::atomic<int> level{strongest_supported()};
    return level;
}

long cache_size(int name, long fallback) {
    const long bytes = sysconf(name);
    return bytes > 0 ? bytes : fallback;
}

}  // namespace

int selected_isa() { return selection().load(std::memory_order_relaxed); }

bool select_isa(std::string_view name) {
    const auto& levels = isa_levels();
    for (std::size_t i = 0; i < levels.size(); ++i)
        if (levels[i].name == name && levels[i].supported) {
            selection().store(static_cast<int>(i), std::memory_order_relaxed);
            return true;
        }
    return false;
}

const CacheSizes& cache_sizes() {
    static const CacheSizes sizes = {
#ifdef _SC_LEVEL1_DCACHE_SIZE
        cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10), cache_size(_SC_LEVEL2_CACHE_SIZE, 256 << 10),
        cache_size(_SC_LEVEL3_CACHE_SIZE, 2 << 20)
#else
        32 << 10, 256 << 10, 2 << 20
#endif
    };
    return sizes;
}

}  // namespace cs
