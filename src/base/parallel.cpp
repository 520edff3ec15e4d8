// SPDX-License-Identifier: BSD-3-Clause
#include "base/parallel.hpp"

#include <pthread.h>
#include <time.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/per_thread.hpp"
#include "base/pool.hpp"
#include "base/sizes.hpp"
#if defined(CS_PARALLEL_OPENMP)
#include <omp.h>
#endif

namespace cs {
namespace {

std::atomic<int> own_limit{0};
std::atomic<int> forks{0};  // between the process that loaded the library and this one

// The threads of the pool do not survive fork(): a child, often one of as many as there are cores, works alone.
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

// Cores that the calling thread may run on; 0 where the system does not say.
int allowed_cores() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return 0;
}
const int cores_at_load = allowed_cores();

// An explicit OMP_NUM_THREADS is the user's word and wins over what the surroundings allow.
bool user_said_how_many() {
    static const bool said = std::getenv("OMP_NUM_THREADS") != nullptr;
    return said;
}

int quota_limit() {
    static const int quota = user_said_how_many() ? 0 : read_quota();
    return quota;
}

// 0 unless the process was confined to fewer cores after it had loaded the library.
int confinement() {
    if (user_said_how_many()) return 0;
    const int cores = allowed_cores();
    return cores < cores_at_load ? cores : 0;
}

// What the OpenMP runtime says counts, though no product runs on it: programs limit their libraries by it.
#if defined(CS_PARALLEL_OPENMP)
constexpr const char* backend = "threads, limited by OpenMP";
int runtime_limit() { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
#elif defined(CS_PARALLEL_THREADS)
constexpr const char* backend = "threads";
int runtime_limit() { return cores_at_load; }
#else
constexpr const char* backend = "serial";
int runtime_limit() { return 1; }
#endif

PerThread<ForeignThreads> foreign_threads;
std::atomic<bool> any_foreign{false};  // spares all others the look at the thread's own

// Those that the calling thread's loops run on, or null.
const ForeignThreads* current_foreign() {
    if (!any_foreign.load(std::memory_order_relaxed)) return nullptr;
    const ForeignThreads* const found = foreign_threads.find();
    return found != nullptr && found->run != nullptr ? found : nullptr;
}

// A loop that others run: each call of theirs is a worker, which takes tasks as long as there are any.
struct ForeignLoop {
    std::int64_t n_tasks;
    Task body;
    void* context;
    std::atomic<std::int64_t> next{0};

    void work(int worker) {
        for (std::int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < n_tasks;)
            body(context, task, worker);
    }
};

void run_on_foreign(const ForeignThreads& foreign, ForeignLoop& loop, int threads) {
    foreign.run(
        foreign.runtime, [](void* of, std::size_t i) { static_cast<ForeignLoop*>(of)->work(static_cast<int>(i)); },
        as_size(threads), &loop);
    loop.work(0);  // what is left where they refused
}

int least(int limit, int candidate) { return candidate > 0 ? std::min(limit, candidate) : limit; }

}  // namespace

OnForeignThreads::OnForeignThreads(const ForeignThreads& threads) : before_(foreign_threads.get()) {
    foreign_threads.get() = threads;
    any_foreign.store(true, std::memory_order_relaxed);
}

OnForeignThreads::~OnForeignThreads() { foreign_threads.get() = before_; }

int effective_threads() {
    if (const ForeignThreads* const foreign = current_foreign()) return foreign->count;
    if (forks.load(std::memory_order_relaxed) > 0) return 1;
    const int limit =
        least(least(std::max(1, runtime_limit()), own_limit.load(std::memory_order_relaxed)), quota_limit());
    return limit == 1 ? 1 : least(limit, confinement());
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
    return {backend,       own_limit.load(std::memory_order_relaxed), runtime_limit(),    quota_limit(),
            confinement(), forks.load(std::memory_order_relaxed) > 0, effective_threads()};
}

void parallel_for(std::int64_t n_tasks, int threads, Task body, void* context) {
    threads = static_cast<int>(std::min<std::int64_t>(threads, n_tasks));
    if (threads <= 1) {
        for (std::int64_t task = 0; task < n_tasks; ++task) body(context, task, 0);
        return;
    }
    if (const ForeignThreads* const foreign = current_foreign()) {
        ForeignLoop loop{n_tasks, body, context};
        run_on_foreign(*foreign, loop, threads);
        return;
    }
    run_on_pool(n_tasks, threads, body, context);
}

}  // namespace cs

// For threadpoolctl: it looks for these two symbols in the loaded library.
extern "C" {
__attribute__((visibility("default"))) int complsparse_get_num_threads() { return cs::effective_threads(); }
__attribute__((visibility("default"))) void complsparse_set_num_threads(int n) { cs::set_threads(n); }
}
