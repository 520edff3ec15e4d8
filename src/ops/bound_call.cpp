// SPDX-License-Identifier: BSD-3-Clause
#include "ops/bound_call.hpp"

namespace cs {

void multiply(const Plan& given, const Operands& operands) {
    thread_local KeptWorkspace kept;
    const Plan plan = given.fit(operands);
    const std::int64_t bytes = plan.workspace_bytes(operands);
    plan.run(operands, bytes > 0 ? kept.at_least(bytes) : Workspace{});
}

void bind(BoundCall& call, const Plan& plan, const Operands& operands, bool small) {
    call.operands = operands;
    if (operands.winners != nullptr) {
        call.winners = *operands.winners;
        call.operands.winners = &call.winners;
    }
    call.plan = plan.fit(call.operands);
    const std::int64_t bytes = call.plan.workspace_bytes(call.operands);
    call.workspace.at_least(bytes);
    call.needs_workspace = bytes > 0;
    call.has_fixed_workspace = small;
}

void run_bound_call(void* context) noexcept {
    auto& call = *static_cast<BoundCall*>(context);
    if (!call.needs_workspace) return call.plan.run(call.operands, {});
    if (call.busy.exchange(true, std::memory_order_acquire)) return multiply(call.plan, call.operands);
    // More threads than when it was bound want more.
    call.plan.run(call.operands, call.has_fixed_workspace
                                     ? call.workspace.all()
                                     : call.workspace.at_least(call.plan.workspace_bytes(call.operands)));
    call.busy.store(false, std::memory_order_release);
}

}  // namespace cs
