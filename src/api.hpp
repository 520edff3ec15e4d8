// SPDX-License-Identifier: BSD-3-Clause
// All that the border between Python and C++ may call, besides kwta.hpp, winners.hpp, pack.hpp, isa.hpp and
// parallel.hpp.
//
// Nothing here checks its arguments: shapes, types and overlap were checked by the caller, patterns where data enters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/types.hpp"

namespace cs {

struct Layouts;

// One stored matrix in one compute type, with the layouts that its products needed so far. The arrays it is made from
// must outlive it. Safe to use from several threads.
class Matrix {
   public:
    explicit Matrix(const StoredMatrix& stored);
    ~Matrix();
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;

    const StoredMatrix& stored() const { return stored_; }
    Layouts& layouts() const { return *layouts_; }

   private:
    const StoredMatrix stored_;
    const std::unique_ptr<Layouts> layouts_;
};

struct PlanRequest {
    Side side = Side::rows;
    std::int64_t n = 1;           // columns of the dense operand
    bool deterministic = false;   // one order of summation (ascending columns, one accumulator) for every n
    bool contiguous_rows = true;  // of x and y, as far as is known
    int candidate = -1;           // which of candidates() to take; -1: the first
};

struct Choice;  // a micro-kernel and the layout that it reads

// A micro-kernel chosen for a matrix and a batch size, its layout built. Valid while the matrix lives.
struct Plan {
    const Matrix* matrix;
    Side side;
    const Choice* choice;
};

// The layouts that could serve a request, by ascending cost as the model sees it. cost: cycles per column of x.
struct Candidate {
    const char* layout;
    double cost;
};
std::vector<Candidate> candidates(const Matrix& matrix, const PlanRequest& request);

// Builds the layout under a lock on first need. May throw std::bad_alloc; std::out_of_range where there is no such
// candidate.
Plan make_plan(const Matrix& matrix, const PlanRequest& request);

// y = epilogue(W x), W the side of the matrix that the plan was made for. Any strides; x and y do not overlap.
void multiply(const Plan& plan, const DenseView& x, const DenseView& y, const Epilogue& epilogue);

// A plan that fits these operands: where the plan's own choice wants contiguous rows and they have none, the choice for
// any strides, its layout built. multiply() does this by itself; a bound call wants it done before. May throw as
// make_plan.
Plan plan_for_strides(const Plan& plan, const DenseView& x, const DenseView& y);

// Sparse activations: vector v has values[i] at the places indices[i], ascending, for i in [starts[v], starts[v + 1]).
struct WinnersView {
    const void* values;
    const std::int32_t* indices;
    const std::int64_t* starts;
    std::int64_t n;  // vectors
};

struct WinnersRequest {
    Side side = Side::rows;
    std::int64_t n = 1;        // vectors
    std::int64_t winners = 0;  // of all of them together
    bool deterministic = false;
    int candidate = -1;  // which of winners_candidates() to take; -1: the first
};

struct ColumnsChoice;  // a micro-kernel and the columns layout that it reads

// How to multiply sparse activations: from columns of the matrix, or (where `columns` is null) written out with their
// zeros, by the plan for dense ones.
struct WinnersPlan {
    const ColumnsChoice* columns;
    Plan dense;
};

// By ascending cost as the model sees it, in cycles per vector. A matrix with values that are not finite has one only:
// their product with a zero that is not stored would be NaN.
std::vector<Candidate> winners_candidates(const Matrix& matrix, const WinnersRequest& request);
// As make_plan.
WinnersPlan make_winners_plan(const Matrix& matrix, const WinnersRequest& request);
// y = epilogue(W x): column v of y for vector v. Any strides of y.
void multiply_winners(const WinnersPlan& plan, const WinnersView& x, const DenseView& y, const Epilogue& epilogue);

// A call with its arrays bound, for loops in C: run_bound_call(&call). The plan is one from plan_for_strides. Ends the
// process if there is no memory for the calling thread's scratch.
struct BoundCall {
    Plan plan;
    DenseView x, y;
    Epilogue epilogue;
};
void run_bound_call(void* call) noexcept;

// Likewise with sparse activations.
struct BoundWinnersCall {
    WinnersPlan plan;
    WinnersView x;
    DenseView y;
    Epilogue epilogue;
};
void run_bound_winners_call(void* call) noexcept;

// out[i] = sum over r of p(row, r) * q(r, column) for the i-th stored entry. p is (rows, R), q (R, cols).
void sampled_multiply(const StoredMatrix& pattern, const DenseView& p, const DenseView& q, void* out);

// For describe() and show_config().
struct MicroKernelInfo {
    std::string name;
    const char *op, *type, *isa, *layout;
    int tile_rows, tile_cols;
    bool runnable;
};
std::vector<MicroKernelInfo> microkernels();
std::string microkernel_name(const Plan& plan);
std::string choice_reason(const Plan& plan);
std::string microkernel_name(const WinnersPlan& plan);
std::string choice_reason(const WinnersPlan& plan);

struct LayoutInfo {
    const char* layout;
    Side side;
    std::int64_t bytes, slots;  // slots: stored entries and padding
};
std::vector<LayoutInfo> built_layouts(const Matrix& matrix);

const char* build_compiler();
const char* build_flags();
const char* isa_levels_left_out();

}  // namespace cs
