// SPDX-License-Identifier: BSD-3-Clause
// Threads that wait for a word in memory to change: awake for a moment, then asleep.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <mutex>
#endif

namespace cs {

using Word = std::atomic<std::uint32_t>;
static_assert(sizeof(Word) == sizeof(std::uint32_t) && Word::is_always_lock_free);

#if defined(__linux__)
// Sleeps while the word has this value; may wake for no reason.
inline void sleep_while(Word& word, std::uint32_t value) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
// After a change of the word.
inline void wake(Word& word, int sleepers) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, sleepers, nullptr, nullptr, 0);
}
#else
struct Bed {
    std::mutex mutex;
    std::condition_variable changed;
};
inline Bed& bed() {
    static Bed& never_destroyed = *new Bed;  // threads sleep there until the process ends
    return never_destroyed;
}
inline void sleep_while(Word& word, std::uint32_t value) {
    std::unique_lock<std::mutex> lock(bed().mutex);
    if (word.load() == value) bed().changed.wait(lock);
}
inline void wake(Word&, int) {
    {
        const std::lock_guard<std::mutex> lock(bed().mutex);
    }
    bed().changed.notify_all();
}
#endif

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

inline std::int64_t now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

enum class Waited : std::uint8_t { changed, in_vain, displaced };

// Stays awake for the word to change from this value, for so long at most. displaced: meanwhile the system gave the
// core to somebody else.
inline Waited await_change(const Word& word, std::uint32_t value, std::int64_t patience_ns) {
    constexpr std::int64_t displacement_ns = 200'000;  // an interrupt is shorter
    const std::int64_t start = now_ns();
    for (std::int64_t now = start, before = start;; before = now, now = now_ns()) {
        for (int i = 0; i < 16; ++i) {
            if (word.load(std::memory_order_acquire) != value) return Waited::changed;
            pause();
        }
        if (now - before > displacement_ns) return Waited::displaced;
        if (now - start >= patience_ns) return Waited::in_vain;
    }
}

}  // namespace cs
