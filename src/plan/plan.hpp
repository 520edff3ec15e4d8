// SPDX-License-Identifier: BSD-3-Clause
// Plans: which micro-kernels and layout multiply a matrix, for dense activations and for winners.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layouts/layout.hpp"
#include "layouts/matrix.hpp"

namespace cs {

struct PlanRequest {
    Side side = Side::rows;
    Types types{};
    std::int64_t n = 1;           // columns of x
    std::int64_t winners = -1;    // of all columns together; negative: x is dense
    bool deterministic = false;   // one order of summation (ascending columns, one accumulator) for every n
    bool contiguous_rows = true;  // of x and y, as far as is known
    int candidate = -1;           // which of candidates() to take; -1: the first
};

// A choice for a matrix and a batch size, its layout built. Valid while the matrix lives.
struct Plan {
    const Choice* choice = nullptr;
    bool written_out = false;  // winners for a choice of dense activations

    // y = epilogue(W x), W the side of the matrix that the plan was made for. Any strides that fit() has seen; x and y
    // do not overlap. The workspace has at least the bytes that are said here, for these operands; one that is kept
    // grows.
    void run(const Operands& operands, Workspace workspace) const {
        if (operands.y.rows > 0 && operands.y.cols > 0) choice->run(operands, workspace);
    }
    void run(const Operands& operands, KeptWorkspace& kept) const {
        if (operands.y.rows > 0 && operands.y.cols > 0) choice->run(operands, kept);
    }
    std::int64_t workspace_bytes(const Operands& operands) const {
        return operands.y.rows > 0 && operands.y.cols > 0 ? choice->workspace_bytes(operands) : 0;
    }
    // A plan that fits these operands: where the plan's own choice wants contiguous rows of its type and they have
    // none, the choice for any strides, its layout built. May throw as make_plan().
    Plan fit(const Operands& operands) const { return fits(operands) ? *this : for_any_strides(operands.vectors()); }

    const std::string& name() const { return choice->name(); }  // of the micro-kernel
    std::string reason() const;

   private:
    bool fits(const Operands& operands) const {
        return !choice->reads_in_place() || operands.winners != nullptr || operands.y.cols == 1 ||
               (operands.patches == nullptr && !operands.widens && operands.x.col_stride == 1 &&
                operands.y.col_stride == 1);
    }
    Plan for_any_strides(std::int64_t vectors) const;
};

// What could serve a request, by ascending cost as the model sees it. cost: cycles per column of x.
struct Candidate {
    const char* layout;
    double cost;
};
std::vector<Candidate> candidates(const Matrix& matrix, const PlanRequest& request);

// Builds the layout under a lock on first need. May throw std::bad_alloc; std::out_of_range where there is no such
// candidate.
Plan make_plan(const Matrix& matrix, const PlanRequest& request);
// The same if it is at hand; without a choice where something would have to be found out or built. Never waits.
Plan known_plan(const Matrix& matrix, const PlanRequest& request);

}  // namespace cs
