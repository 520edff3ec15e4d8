// SPDX-License-Identifier: BSD-3-Clause
#include "ops/bound_call.hpp"

#include <pthread.h>

#include <memory>
#include <new>

namespace cs {
namespace {

// A thread_local object would do but for a thread that meets it without memory: the loader ends the process there. A key
// reports it.
class WorkspaceOfThread {
   public:
    KeptWorkspace& get() {
        void* kept = pthread_getspecific(key_);
        if (kept == nullptr) kept = make();
        return *static_cast<KeptWorkspace*>(kept);
    }

   private:
    void* make() {
        if (refused_ != 0) throw std::bad_alloc();
        auto made = std::make_unique<KeptWorkspace>();
        if (pthread_setspecific(key_, made.get()) != 0) throw std::bad_alloc();
        return made.release();
    }

    pthread_key_t key_{};
    const int refused_ = pthread_key_create(&key_, [](void* kept) { delete static_cast<KeptWorkspace*>(kept); });
};

WorkspaceOfThread kept_by_thread;

}  // namespace

KeptWorkspace& workspace_of_thread() { return kept_by_thread.get(); }

void multiply(const Plan& plan, const Operands& operands) {
    plan.fit(operands).run(operands, workspace_of_thread());
}

void bind(BoundCall& call, const Plan& plan, const Operands& operands) {
    call.operands = operands;
    if (operands.winners != nullptr) {
        call.winners = *operands.winners;
        call.operands.winners = &call.winners;
    }
    call.plan = plan.fit(call.operands);
    call.needs_workspace = call.plan.workspace_bytes(call.operands) > 0;
}

void run(const BoundCall& call) {
    if (call.needs_workspace)
        call.plan.run(call.operands, workspace_of_thread());
    else
        call.plan.run(call.operands, Workspace{});
}

void run_bound_call(void* call) noexcept { run(*static_cast<const BoundCall*>(call)); }

}  // namespace cs
