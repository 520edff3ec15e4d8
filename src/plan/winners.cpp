// SPDX-License-Identifier: BSD-3-Clause
// Sparse activations: from columns of the matrix, or written out for the dense path, and why.
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string_view>

#include "base/isa.hpp"
#include "kernels/names.hpp"
#include "layouts/operand.hpp"
#include "plan/plan.hpp"

namespace cs {

// Cycles, in the currency of costs.cpp's model (docs/developer/performance-notes.md, "Winners").
struct WinnersModel {
    int block_rows;
    bool finite;
    double columns_per_vector, columns_per_winner;
    double dense_per_vector[Layouts::n_kinds], dense_per_winner;
};

namespace {

constexpr double sum_cost = 2.5;   // to clear a line of sums and to write it to y
constexpr double winner_cost = 4;  // to find a column
// Of a unit: its micro-operations, and its bytes on the way through L1.
double unit_cost(double bytes) { return 1.8 + 0.042 * bytes; }
constexpr double far_bytes_per_cycle = 6;  // from beyond L2, where no two vectors meet the same columns
constexpr double clear_cost = 2;           // of a line of zeros
constexpr double written_out_cost = 4;     // to put a winner into its dense vector

// The dense layouts' costs were fitted one against another for each kind of batch; so much they are off here, where
// they meet another layout.
double as_measured(std::string_view layout, bool one_column, bool far) {
    if (layout == "routed" && one_column && far) return 0.75;
    return layout == "windows" || layout == "shared_row_groups" ? 0.73 : 1.0;
}

class WinnersChooser {
   public:
    WinnersChooser(const Matrix& matrix, Side side)
        : matrix_(matrix),
          layouts_(matrix.layouts()),
          side_(side),
          s_(static_cast<int>(side)),
          operand_(matrix, side),
          value_bytes_(operand_.value_bytes()),
          nnz_(operand_.nnz()) {}

    const WinnersModel& model() {
        if (const auto* known = layouts_.winners_models[s_].load(std::memory_order_acquire)) return *known;
        auto made = std::make_shared<WinnersModel>();
        // These take the lock themselves.
        for (const std::int64_t n : {1, 4, 16, 24, 64}) {
            const PlanRequest request = dense_request(n, false);
            const Candidate best = candidates(matrix_, request).front();
            made->dense_per_vector[kind_of(request)] =
                best.cost * as_measured(best.layout, n == 1, is_far(4)) + clear_cost * lines(operand_.inner());
        }
        made->dense_per_winner = written_out_cost;
        const std::lock_guard<ForkSafeMutex> lock(layouts_.mutex);
        if (const auto* known = layouts_.winners_models[s_].load(std::memory_order_relaxed)) return *known;
        made->finite = is_finite(matrix_.stored());
        made->block_rows = layouts_.columns[s_] ? layouts_.columns[s_]->block_rows : column_blocks(operand_.by_input());
        const double units = operand_.inner() > 0 ? nnz_ / made->block_rows / static_cast<double>(operand_.inner()) : 0;
        const double bytes = units * (made->block_rows * value_bytes_ + 2);
        made->columns_per_vector = sum_cost * lines(operand_.outer());
        made->columns_per_winner = winner_cost + std::max(units * unit_cost(made->block_rows * value_bytes_),
                                                          is_far(made->block_rows) ? bytes / far_bytes_per_cycle : 0.0);
        layouts_.owned_for_winners.push_back(made);
        layouts_.winners_models[s_].store(made.get(), std::memory_order_release);
        return *made;
    }

    const ColumnsChoice* columns() {
        auto& known = layouts_.columns_choices[s_];
        if (const auto* choice = known.load(std::memory_order_acquire)) return choice;
        const int block_rows = model().block_rows;
        const std::lock_guard<ForkSafeMutex> lock(layouts_.mutex);
        if (const auto* choice = known.load(std::memory_order_relaxed)) return choice;
        auto& layout = layouts_.columns[s_];
        if (!layout)
            layout = std::make_unique<const ColumnsLayout>(
                make_columns(operand_.by_input(), block_rows, panel_rows(block_rows)));
        auto choice = std::make_shared<ColumnsChoice>();
        const Type type = matrix_.stored().type;
        choice->row = strongest(&Table::columns, selected_isa(), [&](const ColumnsRow& row) {
            return row.type == type && row.block_rows == block_rows;
        });
        choice->move = strongest_of(&Table::move, selected_isa(), type).row;
        choice->layout = layout.get();
        choice->far = layout->bytes() > cache_sizes().l2;
        choice->name = name_of(choice->row);
        char text[200];
        std::snprintf(text, sizeof text, "columns: those that winners meet, %d row%s to a block%s", block_rows,
                      block_rows == 1 ? "" : "s", layout->padded ? ", counts made alike" : "");
        choice->reason = text;
        layouts_.owned_for_winners.push_back(choice);
        known.store(choice.get(), std::memory_order_release);
        return choice.get();
    }

    // Vectors are written out in the layout that the choice wants: a line of them is a tile.
    PlanRequest dense_request(std::int64_t n, bool deterministic) const {
        PlanRequest request;
        request.side = side_;
        request.n = n;
        request.deterministic = deterministic;
        request.contiguous_rows = n == line_columns;
        return request;
    }

   private:
    double lines(std::int64_t elements) const { return static_cast<double>(elements) * value_bytes_ / 64; }
    // Beside each block of values lies a target of two bytes; what the dense layouts add is not much more.
    bool is_far(int block_rows) const {
        return nnz_ * (value_bytes_ + 2.0 / block_rows) > static_cast<double>(cache_sizes().l2);
    }

    // The sums of a panel stay in L1, threads have one each, and a column owns a few units of it.
    std::int64_t panel_rows(int block_rows) const {
        const double density =
            nnz_ / std::max(1.0, static_cast<double>(operand_.inner()) * static_cast<double>(operand_.outer()));
        const std::int64_t in_l1 = cache_sizes().l1d / 2 / value_bytes_;
        const std::int64_t share = operand_.outer() / effective_threads() + 1;
        constexpr double least_units = 8;
        const double least = least_units * block_rows / std::max(density, 1e-9);
        return std::max(std::min(in_l1, share), static_cast<std::int64_t>(std::min(least, 1e9)));
    }

    const Matrix& matrix_;
    Layouts& layouts_;
    const Side side_;
    const int s_;
    Operand operand_;
    const int value_bytes_;
    const double nnz_;
};

struct Costs {
    double columns, dense;  // per vector
    bool columns_only;
};

Costs costs(WinnersChooser& chooser, const WinnersRequest& request) {
    const WinnersModel& model = chooser.model();
    const PlanRequest dense = chooser.dense_request(request.n, request.deterministic);
    const double winners = request.n > 0 ? static_cast<double>(request.winners) / static_cast<double>(request.n) : 0.0;
    Costs found;
    // Both orders of summation are the same in a deterministic product: columns ascending, one accumulator.
    found.columns_only = request.deterministic || !model.finite;
    found.columns = model.columns_per_vector + winners * model.columns_per_winner;
    found.dense = found.columns_only ? 0 : model.dense_per_vector[kind_of(dense)] + winners * model.dense_per_winner;
    return found;
}

}  // namespace

std::vector<Candidate> winners_candidates(const Matrix& matrix, const WinnersRequest& request) {
    WinnersChooser chooser(matrix, request.side);
    const Costs cost = costs(chooser, request);
    std::vector<Candidate> found{{"columns", cost.columns}};
    if (!cost.columns_only) found.push_back({"dense", cost.dense});
    if (!cost.columns_only && cost.dense < cost.columns) std::swap(found[0], found[1]);
    return found;
}

WinnersPlan make_winners_plan(const Matrix& matrix, const WinnersRequest& request) {
    WinnersChooser chooser(matrix, request.side);
    const Costs cost = costs(chooser, request);
    const bool dense_first = !cost.columns_only && cost.dense < cost.columns;
    const int n_candidates = cost.columns_only ? 1 : 2, chosen = std::max(request.candidate, 0);
    if (chosen >= n_candidates) throw std::out_of_range("no such candidate");
    if ((chosen == 0) != dense_first) return {chooser.columns(), {}};
    return {nullptr, make_plan(matrix, chooser.dense_request(request.n, request.deterministic))};
}

std::string microkernel_name(const WinnersPlan& plan) {
    return plan.columns != nullptr ? plan.columns->name : microkernel_name(plan.dense);
}

std::string choice_reason(const WinnersPlan& plan) {
    return plan.columns != nullptr ? plan.columns->reason
                                   : "written out with their zeros; " + choice_reason(plan.dense);
}

}  // namespace cs
