// SPDX-License-Identifier: BSD-3-Clause
#include "base/caches.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace cs {
namespace {

// What the kernel says of a data cache of the first core (C libraries add up the slices of all cores on some CPUs),
// else what the C library says, else the fallback.
long cache_size(int level, int name, long fallback) {
    for (int index = 0; index < 8; ++index) {
        char path[80], type[16];
        auto read = [&](const char* item, const char* format, auto* value) {
            std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, item);
            std::FILE* const file = std::fopen(path, "r");
            if (file == nullptr) return false;
            const bool found = std::fscanf(file, format, value) == 1;
            std::fclose(file);
            return found;
        };
        int of_level = 0;
        long kib = 0;
        if (read("level", "%d", &of_level) && of_level == level && read("type", "%15s", &type[0]) &&
            std::strcmp(type, "Instruction") != 0 && read("size", "%ldK", &kib) && kib > 0)
            return kib << 10;
    }
    const long bytes = sysconf(name);
    return bytes > 0 ? bytes : fallback;
}

}  // namespace

const CacheSizes& cache_sizes() {
#ifdef _SC_LEVEL1_DCACHE_SIZE
    constexpr int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
#else
    constexpr int names[] = {-1, -1, -1};  // unknown to sysconf
#endif
    static const CacheSizes sizes = {cache_size(1, names[0], 32 << 10), cache_size(2, names[1], 256 << 10),
                                     cache_size(3, names[2], 2 << 20)};
    return sizes;
}

}  // namespace cs
