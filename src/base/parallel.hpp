// SPDX-License-Identifier: BSD-3-Clause
// Threads: how many, and loops on them. pool.hpp has the threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cs {

// Calls body(context, task, worker) once for each task in [0, n_tasks), on at most `threads` threads; worker, below
// `threads`, tells apart those that run at the same time. Tasks are independent: which thread runs one never shows in
// the result. body must not throw.
using Task = void (*)(void* context, std::int64_t task, int worker);
void parallel_for(std::int64_t n_tasks, int threads, Task body, void* context);

template <class Body>
void parallel_for(std::int64_t n_tasks, int threads, Body& body) {
    if (threads <= 1) {  // small products notice two calls by pointer
        for (std::int64_t task = 0; task < n_tasks; ++task) body(task, 0);
        return;
    }
    parallel_for(
        n_tasks, threads,
        [](void* context, std::int64_t task, int worker) { (*static_cast<Body*>(context))(task, worker); }, &body);
}

// The least of: the library's own setting; the OpenMP runtime's limit; unless OMP_NUM_THREADS is set, the container's
// quota, and the cores that are left to a process that was confined after it had loaded the library; and 1 in a forked
// child or inside a parallel region of OpenMP. On foreign threads: their number.
int effective_threads();

// Another runtime's threads. run() calls body(context, i) once for each i in [0, n), side by side as far as it can.
struct ForeignThreads {
    void (*run)(void* runtime, void (*body)(void* context, std::size_t i), std::size_t n, void* context) = nullptr;
    void* runtime = nullptr;
    int count = 1;
};

// While it lives, loops of the calling thread run on these threads, and as many are what effective_threads() says: a
// runtime that calls us has threads of its own, which would stand in the way of ours.
class OnForeignThreads {
   public:
    explicit OnForeignThreads(const ForeignThreads& threads);  // may throw std::bad_alloc
    ~OnForeignThreads();
    OnForeignThreads(const OnForeignThreads&) = delete;
    OnForeignThreads& operator=(const OnForeignThreads&) = delete;

   private:
    const ForeignThreads before_;
};

// A mutex for rare, long work. One that another thread holds while the process forks is free in the child, where that
// thread does not exist; a std::mutex would stay locked there for ever.
class ForkSafeMutex {
   public:
    void lock();
    void unlock() { owner_.store(nobody, std::memory_order_release); }

   private:
    static constexpr int nobody = -1;
    std::atomic<int> owner_{nobody};  // how many forks away from the first process the holder's process is
};

void set_threads(int n);  // the library's own setting; 0 removes it

struct ThreadReport {
    const char* backend;
    int own, runtime, quota, confinement;  // 0: no limit from this side
    bool forked;
    int effective;
};
ThreadReport thread_report();

}  // namespace cs
