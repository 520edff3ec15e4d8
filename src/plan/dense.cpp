// SPDX-License-Identifier: BSD-3-Clause
#include "plan/dense.hpp"

#include <algorithm>
#include <mutex>

namespace cs {
namespace {

void add_options(Subject& subject, Batch batch, std::vector<Option>& found) {
    for (const LayoutKind* kind : layout_kinds()) {
        if (kind->serves == LayoutKind::Serves::winners) continue;
        if (const auto cost = kind->cost(subject, {batch})) found.push_back({kind, *cost, subject.types});
    }
}

const LayoutKind* last_resort() {
    const auto& kinds = layout_kinds();
    return *std::find_if(kinds.begin(), kinds.end(),
                         [](const LayoutKind* kind) { return kind->serves == LayoutKind::Serves::all; });
}

}  // namespace

std::vector<Option> dense_options(Subject& subject, Batch batch) {
    std::vector<Option> found;
    add_options(subject, batch, found);
    if (is_of_pairs(subject.types)) {
        Subject widened(subject.matrix, subject.side, uniform(Type::f32));
        add_options(widened, batch, found);
    }
    if (found.empty()) found.push_back({last_resort(), 0, uniform(stored_as(subject.types.w))});
    std::stable_sort(found.begin(), found.end(), [](const Option& a, const Option& b) { return a.cost < b.cost; });
    return found;
}

const Choice* dense_choice(const Matrix& matrix, Side side, Types types, Batch batch, int candidate) {
    Holdings& holdings = matrix.holdings(side);
    auto& known = holdings.choices[index_of(types)][static_cast<int>(batch)];
    if (candidate < 0)
        if (const Choice* choice = known.load(std::memory_order_acquire)) return choice;
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    if (candidate < 0)
        if (const Choice* choice = known.load(std::memory_order_relaxed)) return choice;
    Subject subject(matrix, side, types);
    const auto options = dense_options(subject, batch);
    const Option& option = options.at(candidate < 0 ? 0 : static_cast<std::size_t>(candidate));
    Subject of_option(matrix, side, option.types);
    std::shared_ptr<const Choice> built = option.kind->build(of_option, {batch});
    holdings.owned.push_back(built);
    if (candidate < 0) known.store(built.get(), std::memory_order_release);
    return built.get();
}

}  // namespace cs
