// SPDX-License-Identifier: BSD-3-Clause
// Products as the border calls them: in a workspace of the calling thread, and bound to their arrays for loops in C.
#pragma once

#include "conv/convolution.hpp"
#include "plan/plan.hpp"

namespace cs {

// The one place that keeps memory for a thread; whoever has an arena hands its own to Plan::run().
KeptWorkspace& workspace_of_thread();

// y = epilogue(W x), in a workspace of the calling thread.
void multiply(const Plan& plan, const Operands& operands);
void convolve(const Convolution& convolution, const ConvOperands& operands);
// Likewise in this workspace, on as many threads as it has room for. Other strides than it was measured for may need
// more than it has for one thread: then in that of the calling thread.
void convolve_in(const Convolution& convolution, const ConvOperands& operands, Workspace workspace);

// A plan and its operands: run_bound_call(&call), from any thread. Filled by bind(); stays where it is.
struct BoundCall {
    Plan plan;
    Operands operands{};
    WinnersView winners{};
    bool needs_workspace = false;
};
// Arrays stay where they are. May throw as make_plan().
void bind(BoundCall& call, const Plan& plan, const Operands& operands);
void run(const BoundCall& call);
// For loops in C, which have nowhere to report to: ends the process if there is no memory for the thread's workspace.
void run_bound_call(void* call) noexcept;

}  // namespace cs
