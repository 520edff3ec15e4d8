// SPDX-License-Identifier: BSD-3-Clause
// Products bound to their arrays, for loops in C.
#pragma once

#include <atomic>
#include <cstdint>

#include "plan/plan.hpp"

namespace cs {

// y = epilogue(W x), in a workspace of the calling thread.
void multiply(const Plan& plan, const Operands& operands);

// A plan, its operands and its workspace: run_bound_call(&call). Filled by bind().
struct BoundCall {
    Plan plan;
    Operands operands{};
    WinnersView winners{};
    KeptWorkspace workspace;
    bool needs_workspace = false, has_fixed_workspace = true;
    std::atomic<bool> busy{false};  // its workspace
};
// Operands and arrays stay where they are. small: one thread will do, now and later. May throw as make_plan().
void bind(BoundCall& call, const Plan& plan, const Operands& operands, bool small);
// Where another thread is inside this call, in a workspace of the calling thread. Ends the process if there is no
// memory for that.
void run_bound_call(void* call) noexcept;

}  // namespace cs
