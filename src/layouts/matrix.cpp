// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/matrix.hpp"

#include <algorithm>
#include <mutex>

#include "kernels/move.hpp"
#include "kernels/names.hpp"

namespace cs {

Choice::Choice(const Subject& subject, std::string name, std::string reason, bool reads_in_place)
    : name_(std::move(name)),
      reason_(std::move(reason)),
      matrix_(subject.matrix),
      side_(subject.side),
      types_(subject.types),
      reads_in_place_(reads_in_place) {}

Matrix::Matrix(const StoredMatrix& stored, const Matrix& earlier)
    : stored_(stored), changes_(std::min(earlier.changes_, 1) + 1) {
    const std::lock_guard<ForkSafeMutex> lock(earlier.mutex());
    for (const Side side : {Side::rows, Side::columns}) holdings(side).of_pattern = earlier.holdings(side).of_pattern;
}

int Subject::lanes() const { return strongest_of(&Table::move, levels, types.x).row->lanes; }

int rows_to_a_pattern(Subject& subject) { return shared_rows(subject.operand.by_output()); }

std::int64_t columns_read(Subject& subject) {
    const std::size_t kept = columns_worth_keeping(subject.operand.by_output()).size();
    return kept > 0 ? static_cast<std::int64_t>(kept) : subject.operand.inner();
}

// Serves the others: it is no operation of its own.
RowName row_name(const MoveRow& row) { return {nullptr, "", name_of(row.type), "", 0, 0}; }

std::vector<LayoutInfo> built_layouts(const Matrix& matrix) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    std::vector<LayoutInfo> found;
    for (const Side side : {Side::rows, Side::columns})
        for (const auto& [kind, layout] : matrix.holdings(side).layouts)
            found.push_back({kind->name, side, layout->bytes(), layout->slots()});
    return found;
}

}  // namespace cs
