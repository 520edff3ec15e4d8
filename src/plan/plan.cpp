// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan.hpp"

#include <mutex>

#include "plan/dense.hpp"
#include "plan/winners.hpp"

namespace cs {

void Plan::run(const Operands& operands, Workspace workspace) const {
    if (operands.y.rows > 0 && operands.y.cols > 0) choice->run(operands, workspace);
}

std::int64_t Plan::workspace_bytes(const Operands& operands) const {
    return operands.y.rows > 0 && operands.y.cols > 0 ? choice->workspace_bytes(operands) : 0;
}

Plan Plan::fit(const Operands& operands) const {
    if (!choice->reads_in_place() || operands.winners != nullptr || operands.y.cols == 1 ||
        (operands.x.col_stride == 1 && operands.y.col_stride == 1))
        return *this;
    return {matrix, side, types, dense_choice(*matrix, side, types, Batch::packed_batch)};
}

std::string Plan::reason() const {
    return written_out ? "written out with their zeros; " + choice->reason() : choice->reason();
}

std::vector<Candidate> candidates(const Matrix& matrix, const PlanRequest& request) {
    if (request.winners >= 0) return winners_candidates(matrix, request);
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, request.side, request.types);
    std::vector<Candidate> found;
    for (const Option& option :
         dense_options(subject, batch_of(request.n, request.contiguous_rows, request.deterministic)))
        found.push_back({option.kind->name, option.cost});
    return found;
}

Plan make_plan(const Matrix& matrix, const PlanRequest& request) {
    if (request.winners >= 0) return make_winners_plan(matrix, request);
    const Batch batch = batch_of(request.n, request.contiguous_rows, request.deterministic);
    return {&matrix, request.side, request.types,
            dense_choice(matrix, request.side, request.types, batch, request.candidate)};
}

}  // namespace cs
