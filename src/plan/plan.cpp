// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan.hpp"

#include <mutex>

#include "plan/dense.hpp"
#include "plan/winners.hpp"

namespace cs {

Plan Plan::for_any_strides(std::int64_t vectors) const {
    return {dense_choice(choice->matrix(), choice->side(), choice->types(), batch_of(vectors, false, false))};
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

Plan known_plan(const Matrix& matrix, const PlanRequest& request) {
    if (request.candidate >= 0) return {};
    if (request.winners >= 0) return known_winners_plan(matrix, request);
    const Batch batch = batch_of(request.n, request.contiguous_rows, request.deterministic);
    const auto& choices = matrix.holdings(request.side).choices[index_of(request.types)];
    return {choices[static_cast<int>(batch)].load(std::memory_order_acquire)};
}

Plan make_plan(const Matrix& matrix, const PlanRequest& request) {
    if (request.winners >= 0) return make_winners_plan(matrix, request);
    const Batch batch = batch_of(request.n, request.contiguous_rows, request.deterministic);
    return {dense_choice(matrix, request.side, request.types, batch, request.candidate)};
}

}  // namespace cs
