// SPDX-License-Identifier: BSD-3-Clause
#include "base/pool.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <limits>
#include <type_traits>

#include "base/aligned.hpp"
#include "base/parking.hpp"

namespace cs {
namespace {

// How long threads stay awake for the next job, or the last helper (docs/developer/threads.md): to wake a
// sleeper takes as long as a small product, but a thread that stays awake takes its core from whoever needs it. Helpers
// that were displaced while they waited go to sleep at once for a while.
constexpr std::int64_t helper_patience_ns = 1'000'000;
constexpr std::int64_t caller_patience_ns = 50'000;
constexpr std::int64_t crowded_ns = 100'000'000;
// Callers that lost time by waiting for helpers work alone for so many times as long: losses stay below an eighth.
constexpr std::int64_t alone_for_loss = 8;
const int other_cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) - 1;
constexpr std::int64_t retry_ns = 1'000'000'000;  // after the system refused a thread

#if defined(__linux__)
int current_core() { return sched_getcpu(); }

// Where the calling thread runs on this core, it moves to another. A helper that wakes on its caller's core helps
// nobody, but neither it nor the caller stays there for long enough that the system would move one of them.
void leave_core(int core) {
    cpu_set_t allowed;
    if (sched_getcpu() != core || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    cpu_set_t others = allowed;
    CPU_CLR(static_cast<unsigned>(core), &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
    sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int current_core() { return -1; }
void leave_core(int) {}
#endif

// A job's number, and how many threads it has; both change together.
struct Counted {
    std::uint32_t job, count;
};
using AtomicCounted = std::atomic<Counted>;
static_assert(AtomicCounted::is_always_lock_free);

// Tasks of a job that nobody has begun. Threads take them from both ends: where the tasks of one job after another are
// parts of the same images, in the same order, a caller and its helper find in their caches what they wrote there.
struct Left {
    std::uint32_t job;
    std::uint16_t first, last;

    bool empty() const { return first == last; }
    std::uint16_t take(int worker) { return worker % 2 == 0 ? first++ : --last; }
};
using AtomicLeft = std::atomic<Left>;
static_assert(AtomicLeft::is_always_lock_free);

// Where one caller at a time puts its tasks. Helpers look at it at any time, also long after its job: what they take
// belongs to the job that they joined, or they take nothing.
struct alignas(cache_line) Desk {
    std::atomic<bool> taken{false};
    Word caller_sleeps{0};
    std::atomic<int> places{0};  // threads of the job, its caller among them
    std::atomic<int> core{-1};   // where its caller runs
    // Written before `left`, read after a task was taken of it: until that task is done, they stay.
    Task body = nullptr;
    void* context = nullptr;
    alignas(cache_line) AtomicLeft left{Left{0, 0, 0}};
    AtomicCounted joined{Counted{0, 0}};  // threads of the job so far
    Word done{0};                         // tasks that helpers have finished

    bool has_work() const { return !left.load(std::memory_order_relaxed).empty(); }

    // Does tasks of job `job` until none is left; how many it did.
    std::uint32_t work(std::uint32_t job, int worker) {
        std::uint32_t did = 0;
        Left seen = left.load(std::memory_order_acquire);
        while (seen.job == job && !seen.empty()) {
            Left rest = seen;
            const std::uint16_t task = rest.take(worker);
            if (!left.compare_exchange_weak(seen, rest, std::memory_order_acquire)) continue;
            body(context, task, worker);
            ++did;
            seen = left.load(std::memory_order_acquire);
        }
        return did;
    }

    // A helper's visit.
    void help() {
        const Left job = left.load(std::memory_order_acquire);
        leave_core(core.load(std::memory_order_relaxed));
        Counted seen = joined.load(std::memory_order_acquire);
        do {
            if (job.empty() || seen.job != job.job) return;
            if (seen.count >= static_cast<std::uint32_t>(places.load(std::memory_order_relaxed))) return;
        } while (!joined.compare_exchange_weak(seen, {seen.job, seen.count + 1}, std::memory_order_acq_rel));
        const std::uint32_t did = work(job.job, static_cast<int>(seen.count));
        if (did == 0) return;
        done.fetch_add(did);
        if (caller_sleeps.load() != 0) wake(done, 1);
    }

    void wait_for_helpers(std::uint32_t tasks) {
        for (;;) {
            const std::uint32_t seen = done.load(std::memory_order_acquire);
            if (seen == tasks) return;
            if (await_change(done, seen, caller_patience_ns) == Waited::changed) continue;
            caller_sleeps.store(1);
            if (done.load() == seen) sleep_while(done, seen);
            caller_sleeps.store(0);
        }
    }
};

class Pool {
   public:
    void run(std::uint16_t n_tasks, int threads, Task body, void* context) {
        const std::int64_t start = now_ns();
        Desk* const desk = start < alone_until_.load(std::memory_order_relaxed) ? nullptr : free_desk();
        if (desk == nullptr) {
            for (std::int64_t task = 0; task < n_tasks; ++task) body(context, task, 0);
            return;
        }
        const std::uint32_t job = desk->left.load(std::memory_order_relaxed).job + 1;
        desk->body = body;
        desk->context = context;
        desk->places.store(threads, std::memory_order_relaxed);
        desk->core.store(current_core(), std::memory_order_relaxed);
        desk->done.store(0, std::memory_order_relaxed);
        desk->joined.store({job, 1}, std::memory_order_release);
        desk->left.store({job, 0, n_tasks}, std::memory_order_release);
        call_helpers(threads - 1);
        const std::uint32_t did = desk->work(job, 0);
        const std::int64_t worked = now_ns();
        desk->wait_for_helpers(n_tasks - did);
        desk->taken.store(false, std::memory_order_release);
        // Longer than all that went before: a helper was displaced in the middle of a task.
        const std::int64_t end = now_ns(), lost = (end - worked) - (worked - start);
        if (lost > 0) alone_until_.store(end + alone_for_loss * lost, std::memory_order_relaxed);
    }

   private:
    static constexpr int n_desks = 16;

    Desk* free_desk() {
        for (Desk& desk : desks_)
            if (!desk.taken.load(std::memory_order_relaxed) && !desk.taken.exchange(true, std::memory_order_acquire))
                return &desk;
        return nullptr;
    }

    void call_helpers(int wanted) {
        calls_.fetch_add(1);
        const int awake = awake_.load(std::memory_order_relaxed);
        if (wanted <= awake) return;
        const int asleep = asleep_.load();
        if (asleep > 0) wake(calls_, std::min(wanted - awake, asleep));
        // Several callers share as many helpers as there are cores, and one may have as many as it asks for.
        const int size = size_.load(std::memory_order_relaxed), most = std::max(wanted, other_cores);
        if (awake + asleep < wanted && size < most) grow(std::min(most, size + wanted - awake - asleep));
    }

    // Up to `wanted` helpers, as far as the system gives threads.
    void grow(int wanted) {
        if (growing_.exchange(true, std::memory_order_acquire)) return;
        if (now_ns() >= retry_at_)
            while (size_.load(std::memory_order_relaxed) < wanted) {
                if (!start_helper()) {
                    retry_at_ = now_ns() + retry_ns;
                    break;
                }
                size_.fetch_add(1, std::memory_order_relaxed);
            }
        growing_.store(false, std::memory_order_release);
    }

    // Signals are for the threads of the program, not for helpers.
    bool start_helper() {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_t thread;
        const int refused = pthread_create(
            &thread, nullptr,
            [](void* pool) -> void* {
                static_cast<Pool*>(pool)->help_for_ever();
                return nullptr;
            },
            this);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (refused == 0) pthread_detach(thread);
        return refused == 0;
    }

    [[noreturn]] void help_for_ever() {
        std::int64_t impatient_until = 0;
        for (;;) {
            const std::uint32_t seen = calls_.load();
            for (Desk& desk : desks_)
                if (desk.has_work()) desk.help();
            if (impatient_until == 0 || now_ns() > impatient_until) {
                awake_.fetch_add(1, std::memory_order_relaxed);
                const Waited waited = await_change(calls_, seen, helper_patience_ns);
                awake_.fetch_sub(1, std::memory_order_relaxed);
                impatient_until = waited == Waited::displaced ? now_ns() + crowded_ns : 0;
                if (waited == Waited::changed) continue;
            }
            asleep_.fetch_add(1);
            sleep_while(calls_, seen);
            asleep_.fetch_sub(1);
        }
    }

    Desk desks_[n_desks];
    alignas(cache_line) Word calls_{0};
    alignas(cache_line) std::atomic<int> awake_{0}, asleep_{0};
    std::atomic<int> size_{0};
    std::atomic<std::int64_t> alone_until_{0};
    std::atomic<bool> growing_{false};
    std::int64_t retry_at_ = 0;  // of whoever is growing
};

static_assert(std::is_trivially_destructible_v<Pool>);  // helpers look at it until the process ends
Pool pool;

}  // namespace

void run_on_pool(std::int64_t n_tasks, int threads, Task body, void* context) {
    constexpr std::int64_t most = std::numeric_limits<std::uint16_t>::max();
    if (n_tasks <= most) {
        pool.run(static_cast<std::uint16_t>(n_tasks), threads, body, context);
        return;
    }
    // More tasks than a desk counts: in pieces.
    struct Piece {
        Task body;
        void* context;
        std::int64_t first;
    };
    for (std::int64_t first = 0; first < n_tasks; first += most) {
        Piece piece{body, context, first};
        pool.run(
            static_cast<std::uint16_t>(std::min(most, n_tasks - first)), threads,
            [](void* of, std::int64_t task, int worker) {
                const Piece& p = *static_cast<Piece*>(of);
                p.body(p.context, p.first + task, worker);
            },
            &piece);
    }
}

}  // namespace cs
