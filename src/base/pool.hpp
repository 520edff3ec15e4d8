// SPDX-License-Identifier: BSD-3-Clause
// A pool of threads that help whoever has tasks. Who calls never waits for a helper that has not begun a task: threads
// that the operating system lets wait cost at most the task that they hold.
#pragma once

#include <cstdint>

#include "base/parallel.hpp"

namespace cs {

// As parallel_for(): on the calling thread, and on helpers as they come. Started on first need, helpers sleep between
// jobs, and are never joined. Where no thread can be started, the calling thread does all tasks. Jobs may be nested.
// Not for a forked child, which has none of the threads that the pool counts on.
void run_on_pool(std::int64_t n_tasks, int threads, Task body, void* context);

}  // namespace cs
