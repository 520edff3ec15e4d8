// SPDX-License-Identifier: BSD-3-Clause
//
// The timing loop that every figure of this folder comes from.
//
// A candidate is `void function(void* context)`. Ours comes from the extension (BoundCall), a rival is one of the
// functions of rivals.cpp with its operands in the context; the address of the library routine it calls is in the
// context too, so nothing is linked against any BLAS. Both sides pay the same: one indirect call, no Python, no ctypes.
//
// Compiled on first use by compiled.py, with rivals.cpp and roof.cpp. Plain C ABI: the structs are mirrored in Python
// field by field.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <thread>

#include "clock.hpp"

namespace {

// Time that this thread spent on a core: less than the time that passed when somebody else had the core.
double cpu_ns() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

extern "C" {

struct Candidate {
    void (*function)(void*);
    void* context;
    // Slept after this candidate's sample: some thread pools spin for a while after their last job and would sit on the
    // core of the next candidate.
    double settle_ns;
};

static double time_calls(const Candidate& candidate, int64_t calls) {
    const double start = now_ns();
    for (int64_t i = 0; i < calls; ++i) candidate.function(candidate.context);
    return now_ns() - start;
}

static void settle(const Candidate& candidate) {
    if (candidate.settle_ns > 0)
        std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(candidate.settle_ns)));
}

// Calls per sample: at least `min_calls` and as many as last `sample_ns`, but no more than last `max_sample_ns`.
void calibrate(const Candidate* candidates, int count, double sample_ns, double max_sample_ns, int64_t min_calls,
               int64_t* calls) {
    for (int c = 0; c < count; ++c) {
        time_calls(candidates[c], 1);  // first touch of the operands
        int64_t n = 1;
        double elapsed = time_calls(candidates[c], n);
        const double long_enough = std::min(sample_ns, 0.25e6);  // 0.25 ms: the clock's resolution is far below
        while (elapsed < long_enough) {
            n *= 2;
            elapsed = time_calls(candidates[c], n);
        }
        const double per_call = std::max(elapsed / static_cast<double>(n), 0.1);
        int64_t wanted = std::max<int64_t>(min_calls, static_cast<int64_t>(sample_ns / per_call) + 1);
        const auto affordable = std::max<int64_t>(1, static_cast<int64_t>(max_sample_ns / per_call));
        calls[c] = std::min(wanted, affordable);
        settle(candidates[c]);
    }
}

// rounds x count nanoseconds per call. The order of the candidates is rotated by one each round, so that none always
// follows the same neighbour; a tenth of each sample runs untimed first, so that every sample starts with its own
// operands in the caches. A sample during which this thread did not have its core to itself is taken again, up to
// `attempts` times in all; `share` says how much of the core the sample had that was kept. With `alone` (all work is on
// this thread) a sample that stays disturbed counts the time that its thread had the core.
void race(const Candidate* candidates, int count, int rounds, const int64_t* calls, int attempts, int alone,
          double* ns_per_call, double* share) {
    constexpr double undisturbed = 0.97;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < count; ++i) {
            const int c = (i + round) % count;
            const int64_t at = static_cast<int64_t>(round) * count + c;
            share[at] = -1;
            for (int attempt = 0; attempt < attempts && share[at] < undisturbed; ++attempt) {
                time_calls(candidates[c], calls[c] / 10 + 1);
                const double cpu = cpu_ns();
                const double elapsed = time_calls(candidates[c], calls[c]);
                const double worked = cpu_ns() - cpu;
                const double had = worked / elapsed;
                if (had > share[at]) {
                    share[at] = had;
                    const double counted = alone && had < undisturbed ? worked : elapsed;
                    ns_per_call[at] = counted / static_cast<double>(calls[c]);
                }
            }
            settle(candidates[c]);
        }
    }
}

// What the loop itself costs.
void empty_call(void*) {}

// Each call is the next of `count` calls with operands of their own: what one call brought into the caches is of little
// use to the next.
struct InTurn {
    void (*const* functions)(void*);
    void* const* contexts;
    int64_t count, next;
};

void in_turn(void* context) {
    auto& c = *static_cast<InTurn*>(context);
    const int64_t now = c.next;
    c.next = now + 1 < c.count ? now + 1 : 0;
    c.functions[now](c.contexts[now]);
}

}  // extern "C"
