// SPDX-License-Identifier: BSD-3-Clause
// An object of each thread, made on first use and destroyed with the thread.
#pragma once

#include <pthread.h>

#include <new>

namespace cs {

// A thread_local object would do but for a thread that meets it without memory: the loader ends the process there. A
// key reports it. One of these is a static object.
template <class T>
class PerThread {
   public:
    T& get() {
        T* const found = find();
        if (found == nullptr) throw std::bad_alloc();
        return *found;
    }

    // Null where there is no memory for it.
    T* find() noexcept {
        void* const kept = refused_ == 0 ? pthread_getspecific(key_) : nullptr;  // without a key: that of others
        return kept != nullptr ? static_cast<T*>(kept) : make();
    }

   private:
    T* make() noexcept {
        if (refused_ != 0) return nullptr;
        T* const made = new (std::nothrow) T();
        if (made == nullptr || pthread_setspecific(key_, made) == 0) return made;
        delete made;
        return nullptr;
    }

    pthread_key_t key_{};
    const int refused_ = pthread_key_create(&key_, [](void* kept) { delete static_cast<T*>(kept); });
};

}  // namespace cs
