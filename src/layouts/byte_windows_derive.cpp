// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "base/sizes.hpp"
#include "layouts/byte_windows.hpp"

namespace cs {
namespace {

constexpr int most_lanes = 16;

std::int64_t entries_of(const StoredMatrix& matrix, std::int64_t row) {
    return matrix.row_ptr[row + 1] - matrix.row_ptr[row];
}

// The entries of one unit, step by step. Every step has to begin no later than at the first column that is left, and
// begins there; a row takes all that its quad and the window hold. Steps of quarters begin at multiples of a quarter,
// where rows that are balanced have one entry in each, and a row's entry is in the place of its quarter.
class UnitSteps {
   public:
    UnitSteps(const StoredMatrix& matrix, const std::vector<std::uint32_t>& order, ByteSteps cut, std::int64_t unit)
        : matrix_(matrix), cut_(cut) {
        for (int lane = 0; lane < cut.lanes; ++lane) {
            const std::int64_t place = unit * cut.lanes + lane;
            const bool there = place < matrix.rows;
            row_[lane] = !there ? no_row : order.empty() ? static_cast<std::uint32_t>(place) : order[as_size(place)];
            at_[lane] = there ? matrix.row_ptr[row_[lane]] : 0;
            end_[lane] = there ? matrix.row_ptr[row_[lane] + 1] : 0;
        }
    }

    std::uint32_t row(int lane) const { return row_[lane]; }

    // Whether there is another step; take(lane, place in its quad, entry, column in the window) for its entries.
    template <class Take>
    bool next(Take take) {
        std::int64_t first = std::numeric_limits<std::int64_t>::max();
        for (int lane = 0; lane < cut_.lanes; ++lane)
            if (at_[lane] < end_[lane]) first = std::min<std::int64_t>(first, matrix_.columns[at_[lane]]);
        if (first == std::numeric_limits<std::int64_t>::max()) return false;
        const int quarter = cut_.window / byte_quad;
        if (cut_.quarters) first -= first % quarter;
        base_ = std::min(first, std::max<std::int64_t>(0, matrix_.cols - cut_.window));
        for (int lane = 0; lane < cut_.lanes; ++lane)
            for (int place = 0; place < byte_quad && at_[lane] < end_[lane]; ++place, ++at_[lane]) {
                const std::int64_t column = matrix_.columns[at_[lane]] - base_;
                if (column >= cut_.window) break;
                if (cut_.quarters) {
                    if (column / quarter < place) break;
                    place = static_cast<int>(column / quarter);
                }
                take(lane, place, at_[lane], column);
            }
        return true;
    }
    // Of the step taken last: the first column of its window.
    std::int64_t base() const { return base_; }

   private:
    const StoredMatrix& matrix_;
    const ByteSteps cut_;
    std::uint32_t row_[most_lanes];
    std::int64_t at_[most_lanes], end_[most_lanes];
    std::int64_t base_ = 0;
};

std::int64_t units_of(const StoredMatrix& matrix, int lanes) { return (matrix.rows + lanes - 1) / lanes; }

// -128 times the sum of the row's weights, modulo 2^32.
std::int32_t start_of(const StoredMatrix& matrix, std::uint32_t row) {
    const auto* const values = static_cast<const std::int8_t*>(matrix.values);
    const std::int64_t sum =
        std::accumulate(values + matrix.row_ptr[row], values + matrix.row_ptr[row + 1], std::int64_t{0});
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(-128 * sum));
}

}  // namespace

std::int64_t ByteWindowsLayout::bytes() const { return bytes_of_arrays(first_steps, bases, rows, starts, steps); }

std::vector<std::uint32_t> order_of_rows(const StoredMatrix& matrix) {
    std::vector<std::uint32_t> order(as_size(matrix.rows));
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return entries_of(matrix, a) > entries_of(matrix, b); });
    // Sums in order are stored a vector at a time, others one by one, which takes as long as so many steps.
    constexpr std::int64_t of_unit = 8;
    constexpr ByteSteps cut{most_lanes, 64, false};
    if (count_byte_steps(matrix, {}, cut) <=
        count_byte_steps(matrix, order, cut) + of_unit * units_of(matrix, most_lanes))
        order.clear();
    return order;
}

std::int64_t count_byte_steps(const StoredMatrix& matrix, const std::vector<std::uint32_t>& order, ByteSteps cut) {
    std::int64_t steps = 0;
    for (std::int64_t unit = 0; unit < units_of(matrix, cut.lanes); ++unit) {
        UnitSteps entries(matrix, order, cut, unit);
        while (entries.next([](int, int, std::int64_t, std::int64_t) {})) ++steps;
        if (cut.quarters) steps += steps % 2;
    }
    return steps;
}

ByteWindowsLayout derive_byte_windows(const StoredMatrix& matrix, const std::vector<std::uint32_t>& order,
                                      ByteSteps cut) {
    ByteWindowsLayout layout;
    layout.cut = cut;
    layout.n_units = units_of(matrix, cut.lanes);
    const std::int64_t n_steps = count_byte_steps(matrix, order, cut);
    if (n_steps > std::numeric_limits<std::uint32_t>::max())
        throw std::length_error("a matrix of 8-bit weights takes more than 2^32 - 1 steps");
    const std::size_t quads = as_size(cut.lanes) * byte_quad;
    layout.steps.assign(as_size(n_steps * bytes_of_step(cut.lanes, cut.quarters)), 0);
    const auto* const values = static_cast<const std::uint8_t*>(matrix.values);
    for (std::int64_t unit = 0; unit < layout.n_units; ++unit) {
        layout.first_steps.push_back(static_cast<std::uint32_t>(layout.bases.size()));
        UnitSteps entries(matrix, order, cut, unit);
        for (int lane = 0; lane < cut.lanes; ++lane) {
            layout.starts.push_back(entries.row(lane) == no_row ? 0 : start_of(matrix, entries.row(lane)));
            if (!order.empty()) layout.rows.push_back(entries.row(lane));
        }
        const auto take = [&](int lane, int place, std::int64_t entry, std::int64_t column) {
            const std::size_t at = as_size(lane * byte_quad + place), step = layout.bases.size();
            if (cut.quarters) {
                std::uint8_t* const two = &layout.steps[step / 2 * 3 * quads];
                two[at] |= static_cast<std::uint8_t>(column % (cut.window / byte_quad) << step % 2 * 4);
                two[(1 + step % 2) * quads + at] = values[entry];
            } else {
                std::uint8_t* const one = &layout.steps[step * 2 * quads];
                one[at] = static_cast<std::uint8_t>(column);
                one[quads + at] = values[entry];
            }
        };
        while (entries.next(take)) layout.bases.push_back(static_cast<std::uint32_t>(entries.base()));
        if (cut.quarters && layout.bases.size() % 2 != 0) layout.bases.push_back(0);
    }
    layout.first_steps.push_back(static_cast<std::uint32_t>(layout.bases.size()));
    return layout;
}

}  // namespace cs
