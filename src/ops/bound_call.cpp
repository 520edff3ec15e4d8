// SPDX-License-Identifier: BSD-3-Clause
#include "ops/bound_call.hpp"

namespace cs {
namespace {

// The one place that keeps memory for a thread; whoever has an arena hands its own to Plan::run().
KeptWorkspace& workspace_of_thread() {
    thread_local KeptWorkspace kept;
    return kept;
}

}  // namespace

void multiply(const Plan& plan, const Operands& operands) { plan.fit(operands).run(operands, workspace_of_thread()); }

void bind(BoundCall& call, const Plan& plan, const Operands& operands) {
    call.operands = operands;
    if (operands.winners != nullptr) {
        call.winners = *operands.winners;
        call.operands.winners = &call.winners;
    }
    call.plan = plan.fit(call.operands);
    call.needs_workspace = call.plan.workspace_bytes(call.operands) > 0;
}

void run_bound_call(void* context) noexcept {
    const auto& call = *static_cast<const BoundCall*>(context);
    if (call.needs_workspace)
        call.plan.run(call.operands, workspace_of_thread());
    else
        call.plan.run(call.operands, Workspace{});
}

}  // namespace cs
