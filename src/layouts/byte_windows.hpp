// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/byte_windows.hpp"
#include "layouts/layout.hpp"
#include "layouts/stored.hpp"

namespace cs {

// How units are cut into steps (kernels/byte_windows.hpp).
struct ByteSteps {
    int lanes = 0, window = 0;
    bool quarters = false;
    bool operator==(const ByteSteps& other) const {
        return lanes == other.lanes && window == other.window && quarters == other.quarters;
    }
};

struct ByteWindowsLayout final : Layout {
    ByteSteps cut;
    std::int64_t n_units = 0;
    std::vector<std::uint32_t> first_steps, bases;
    std::vector<std::uint32_t> rows;  // none where they are in order
    std::vector<std::int32_t> starts;
    AlignedVector<std::uint8_t> steps;

    std::int64_t bytes() const override;
    std::int64_t slots() const override { return static_cast<std::int64_t>(steps.size()) * (cut.quarters ? 4 : 3) / 6; }
};

// Rows in the order in which units take them: as they are, or where units of those would take many more steps, rows
// with many entries first, so that the rows of a unit have about as many. Empty: as they are.
std::vector<std::uint32_t> order_of_rows(const StoredMatrix& matrix);
// The steps of all units of rows in this order.
std::int64_t count_byte_steps(const StoredMatrix& matrix, const std::vector<std::uint32_t>& order, ByteSteps cut);
// Throws std::length_error beyond 2^32 - 1 steps.
ByteWindowsLayout derive_byte_windows(const StoredMatrix& matrix, const std::vector<std::uint32_t>& order,
                                      ByteSteps cut);

}  // namespace cs
