// SPDX-License-Identifier: BSD-3-Clause
// How much the caches hold.
#pragma once

namespace cs {

struct CacheSizes {
    long l1d, l2, l3;  // bytes per core; conservative defaults where the system does not tell
};
const CacheSizes& cache_sizes();

}  // namespace cs
