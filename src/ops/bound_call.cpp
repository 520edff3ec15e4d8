// SPDX-License-Identifier: BSD-3-Clause
#include "ops/bound_call.hpp"

#include "base/per_thread.hpp"

namespace cs {
namespace {

PerThread<KeptWorkspace> kept_by_thread;

}  // namespace

KeptWorkspace& workspace_of_thread() { return kept_by_thread.get(); }

void multiply(const Plan& plan, const Operands& operands) { plan.fit(operands).run(operands, workspace_of_thread()); }

void convolve(const Convolution& convolution, const ConvOperands& operands) {
    if (operands.has_no_outputs()) return;
    const int threads = convolution.threads_for(operands);
    convolution.run(operands, threads, workspace_of_thread().at_least(convolution.workspace_bytes(operands, threads)));
}

void convolve_in(const Convolution& convolution, const ConvOperands& operands, Workspace workspace) {
    if (operands.has_no_outputs()) return;
    int threads = convolution.threads_for(operands);
    while (threads > 1 && convolution.workspace_bytes(operands, threads) > workspace.bytes) --threads;
    if (convolution.workspace_bytes(operands, threads) > workspace.bytes)
        convolve(convolution, operands);
    else
        convolution.run(operands, threads, workspace);
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
