// SPDX-License-Identifier: BSD-3-Clause
#include "base/parallel.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#if defined(CS_PARALLEL_OPENMP)
#include <omp.h>
#elif defined(CS_PARALLEL_THREADS)
#include <sched.h>

#include <system_error>
#include <thread>
#include <vector>
#endif

namespace cs {
namespace {

std::atomic<int> own_limit{0};
std::atomic<int> forks{0};  // between the process that loaded the library and this one

// libgomp's thread pool does not survive fork(): a parallel region in the child waits for threads that are not there.
const int fork_guard = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });

// Cores a container may use, from cgroup v2's cpu.max or v1's cfs quota; 0 where there is no quota.
int read_quota() {
    double quota = 0, period = 0;
    if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
        if (std::fscanf(file, "%lf %lf", &quota, &period) != 2) quota = 0;  // "max 100000": no quota
        std::fclose(file);
    } else {
        const char* const names[] = {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"};
        double* const values[] = {&quota, &period};
        for (int i = 0; i < 2; ++i)
            if (std::FILE* v1 = std::fopen(names[i], "r")) {
                if (std::fscanf(v1, "%lf", values[i]) != 1) *values[i] = 0;
                std::fclose(v1);
            }
    }
    return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
}

int quota_limit() {
    // An explicit OMP_NUM_THREADS is the user's word and wins over the quota.
    static const int quota = std::getenv("OMP_NUM_THREADS") ? 0 : read_quota();
    return quota;
}

#if defined(CS_PARALLEL_OPENMP)
constexpr const char* backend = "openmp";
int runtime_limit() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
#elif defined(CS_PARALLEL_THREADS)
constexpr const char* backend = "threads";
thread_local bool in_parallel = false;
int runtime_limit() {
    static const int available = [] {
        cpu_set_t set;
        return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
    }();
    return in_parallel ? 1 : available;
}
#else
constexpr const char* backend = "serial";
int runtime_limit() { return 1; }
#endif

int least(int limit, int candidate) { return candidate > 0 ? std::min(limit, candidate) : limit; }

}  // namespace

int effective_threads() {
    if (forks.load(std::memory_order_relaxed) > 0) return 1;
    return least(least(std::max(1, runtime_limit()), own_limit.load(std::memory_order_relaxed)), quota_limit());
}

void ForkSafeMutex::lock() {
    const int here = forks.load(std::memory_order_relaxed);
    for (;;) {
        int owner = owner_.load(std::memory_order_relaxed);
        if (owner != here && owner_.compare_exchange_weak(owner, here, std::memory_order_acquire)) return;
        const timespec moment{0, 50'000};
        nanosleep(&moment, nullptr);
    }
}

void set_threads(int n) { own_limit.store(n, std::memory_order_relaxed); }

ThreadReport thread_report() {
    return {backend,       own_limit.load(std::memory_order_relaxed), runtime_limit(),
            quota_limit(), forks.load(std::memory_order_relaxed) > 0, effective_threads()};
}

void parallel_for(std::int64_t n_tasks, int threads, Task body, void* context) {
    threads = static_cast<int>(std::min<std::int64_t>(threads, n_tasks));
    if (threads <= 1) {
        for (std::int64_t task = 0; task < n_tasks; ++task) body(context, task, 0);
        return;
    }
#if defined(CS_PARALLEL_OPENMP)
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (std::int64_t task = 0; task < n_tasks; ++task) body(context, task, omp_get_thread_num());
#elif defined(CS_PARALLEL_THREADS)
    std::atomic<std::int64_t> next{0};
    auto work = [&](int worker) {
        in_parallel = true;
        for (std::int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < n_tasks;)
            body(context, task, worker);
        in_parallel = false;
    };
    std::vector<std::thread> pool;
    pool.reserve(static_cast<std::size_t>(threads));
    try {
        for (int i = 1; i < threads; ++i) pool.emplace_back(work, i);
    } catch (const std::exception&) {
        // Fewer threads than asked for: those that started, and this one, do all the tasks.
    }
    work(0);
    for (std::thread& thread : pool) thread.join();
#endif
}

}  // namespace cs

// For threadpoolctl: it looks for these two symbols in the loaded library.
extern "C" {
__attribute__((visibility("default"))) int complsparse_get_num_threads() { return cs::effective_threads(); }
__attribute__((visibility("default"))) void complsparse_set_num_threads(int n) { cs::set_threads(n); }
}
