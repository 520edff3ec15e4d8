// SPDX-License-Identifier: BSD-3-Clause
#include "plan/winners.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "base/caches.hpp"
#include "layouts/costs.hpp"
#include "plan/dense.hpp"

namespace cs {

// What a product with winners costs on either way, in cycles: linear in the winners of a vector.
struct WinnersModel {
    const LayoutKind* kind;  // that reads winners
    bool finite;
    double of_one_vector, per_vector, per_winner;  // per_vector: of several
    double written_out_per_vector[n_batches], written_out_per_winner[n_batches];
    double to_rows[n_batches];  // of a vector written out, where rows of y are contiguous
};

namespace {

// Vectors are written out as the choice wants them; none may read rows that lie somewhere.
Batch written_out_batch(std::int64_t n) { return batch_of(n, false, false); }

bool values_are_finite(Subject& subject) { return is_finite(subject.matrix.stored()); }

// What y takes on its way to contiguous rows: its share of what both operands take more than where none has such.
double moved_to_rows(Subject& subject, const Option& option, std::int64_t n) {
    const auto of_both = option.kind->cost(subject, {batch_of(n, true, false)});
    const double out = static_cast<double>(subject.operand.outer()), in = static_cast<double>(subject.operand.inner());
    return of_both && in + out > 0 ? (*of_both - option.cost) * out / (in + out) : 0;
}

WinnersModel estimate(Subject& subject) {
    WinnersModel made{};
    for (const LayoutKind* kind : layout_kinds())
        if (kind->serves == LayoutKind::Serves::winners) made.kind = kind;
    const Request none{Batch::one_column, 0}, one{Batch::one_column, 1}, several{written_out_batch(2), 0};
    made.of_one_vector = *made.kind->cost(subject, none);
    made.per_vector = *made.kind->cost(subject, several);
    made.per_winner = *made.kind->cost(subject, one) - made.of_one_vector;
    const double value_bytes = subject.operand.value_bytes();
    const double zeros = static_cast<double>(subject.operand.inner()) * value_bytes / cache_line * costs().zeros_line;
    // Tiles have room for the columns alone that own an entry.
    const bool searched = subject.known(columns_read) < subject.operand.inner();
    for (int i = 0; i <= n_batch_widths; ++i) {
        const Batch batch = written_out_batch(i == 0 ? 1 : batch_widths[i - 1].least);
        const Option best = dense_options(subject, batch).front();
        made.written_out_per_vector[static_cast<int>(batch)] = best.cost + zeros;
        made.to_rows[static_cast<int>(batch)] = i == 0 ? 0 : moved_to_rows(subject, best, batch_widths[i - 1].least);
        made.written_out_per_winner[static_cast<int>(batch)] = batch == Batch::one_column ? costs().written_winner
                                                               : searched                 ? costs().searched_winner
                                                                                          : costs().tiled_winner;
    }
    made.finite = subject.known_of_values(values_are_finite);
    return made;
}

const WinnersModel& model_of(const Matrix& matrix, Side side, Types types) {
    Holdings& holdings = matrix.holdings(side);
    auto& known = holdings.winners_models[index_of(types)];
    if (const WinnersModel* model = known.load(std::memory_order_acquire)) return *model;
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    if (const WinnersModel* model = known.load(std::memory_order_relaxed)) return *model;
    Subject subject(matrix, side, types);
    auto made = std::make_shared<WinnersModel>(estimate(subject));
    holdings.owned.push_back(made);
    known.store(made.get(), std::memory_order_release);
    return *made;
}

const Choice* winners_choice(const Matrix& matrix, Side side, Types types) {
    Holdings& holdings = matrix.holdings(side);
    auto& known = holdings.winners_choices[index_of(types)];
    if (const Choice* choice = known.load(std::memory_order_acquire)) return choice;
    const LayoutKind& kind = *model_of(matrix, side, types).kind;
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    if (const Choice* choice = known.load(std::memory_order_relaxed)) return choice;
    Subject subject(matrix, side, types);
    std::shared_ptr<const Choice> built = kind.build(subject, {Batch::one_column, 0});
    holdings.owned.push_back(built);
    known.store(built.get(), std::memory_order_release);
    return built.get();
}

struct Costs {
    double winners, written_out;  // per vector
    bool winners_only;

    bool writes_out_first() const { return !winners_only && written_out < winners; }
};

Costs costs_of(const WinnersModel& model, const PlanRequest& request) {
    const double winners = request.n > 0 ? static_cast<double>(request.winners) / static_cast<double>(request.n) : 0.0;
    Costs found{};
    // Both orders of summation are the same in a deterministic product: columns ascending, one accumulator.
    found.winners_only = request.deterministic || !model.finite;
    found.winners = costs().call / static_cast<double>(std::max<std::int64_t>(1, request.n)) +
                    (request.n == 1 ? model.of_one_vector : model.per_vector) + winners * model.per_winner;
    const auto batch = static_cast<int>(written_out_batch(request.n));
    if (!found.winners_only)
        found.written_out = model.written_out_per_vector[batch] + winners * model.written_out_per_winner[batch] +
                            (request.contiguous_rows ? model.to_rows[batch] : 0);
    return found;
}

}  // namespace

std::vector<Candidate> winners_candidates(const Matrix& matrix, const PlanRequest& request) {
    // Anew, by the constants in use: plans that are made keep what they chose.
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, request.side, request.types);
    const WinnersModel model = estimate(subject);
    const Costs cost = costs_of(model, request);
    std::vector<Candidate> found{{model.kind->name, cost.winners}};
    if (!cost.winners_only) found.push_back({"dense", cost.written_out});
    if (cost.writes_out_first()) std::swap(found[0], found[1]);
    return found;
}

Plan known_winners_plan(const Matrix& matrix, const PlanRequest& request) {
    const Holdings& holdings = matrix.holdings(request.side);
    const int product = index_of(request.types);
    const WinnersModel* const model = holdings.winners_models[product].load(std::memory_order_acquire);
    if (model == nullptr) return {};
    const bool write_out = costs_of(*model, request).writes_out_first();
    const auto& known = write_out ? holdings.choices[product][static_cast<int>(written_out_batch(request.n))]
                                  : holdings.winners_choices[product];
    return {known.load(std::memory_order_acquire), write_out};
}

Plan make_winners_plan(const Matrix& matrix, const PlanRequest& request) {
    const Costs cost = costs_of(model_of(matrix, request.side, request.types), request);
    const int n_candidates = cost.winners_only ? 1 : 2, chosen = std::max(request.candidate, 0);
    if (chosen >= n_candidates) throw std::out_of_range("no such candidate");
    const bool write_out = (chosen == 0) == cost.writes_out_first();
    const Choice* const choice = write_out
                                     ? dense_choice(matrix, request.side, request.types, written_out_batch(request.n))
                                     : winners_choice(matrix, request.side, request.types);
    return {choice, write_out};
}

}  // namespace cs
