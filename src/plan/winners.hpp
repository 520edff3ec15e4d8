// SPDX-License-Identifier: BSD-3-Clause
// Plans for winners: from columns of the matrix, or written out with their zeros for a choice of dense activations.
#pragma once

#include <vector>

#include "plan/plan.hpp"

namespace cs {

// By ascending cost as the model sees it, in cycles per vector. A matrix with values that are not finite has one only:
// their product with a zero that is not stored would be NaN.
std::vector<Candidate> winners_candidates(const Matrix& matrix, const PlanRequest& request);
Plan make_winners_plan(const Matrix& matrix, const PlanRequest& request);
Plan known_winners_plan(const Matrix& matrix, const PlanRequest& request);

}  // namespace cs
