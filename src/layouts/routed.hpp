// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/registry.hpp"
#include "kernels/routed.hpp"
#include "layouts/layout.hpp"
#include "layouts/matrix.hpp"

namespace cs {

// A pattern in which all rows own about the same number of entries in each window of `width` columns: layers[i] is the
// number of the window that layer i draws from. No layers: there is no such width up to `widest`.
struct RoutedPattern {
    std::int64_t width = 0;
    std::vector<std::int64_t> layers;
};
RoutedPattern find_routed_pattern(const StoredMatrix& matrix, int widest);

// Whether rounding the values to bfloat16 would change none.
bool fits_bf16(const StoredMatrix& matrix);

struct RoutedLayout final : Layout {
    int lanes, window, block_rows;
    Weights weights;
    std::int64_t n_layers, n_units, n_slots;
    bool padded;
    std::vector<std::uint32_t> bases;
    AlignedVector<std::uint32_t> ids, values;

    std::int64_t bytes() const override;
    std::int64_t slots() const override { return n_slots; }
    bool fits(const RoutedRow& row) const {
        return lanes == row.lanes && window == row.window && block_rows == row.block_rows && weights == row.weights;
    }
};
// For the micro-kernels with the lanes, window, rows of a member and weights of `row`.
// Windows that reach beyond the last column begin earlier, unless x may be read there.
RoutedLayout derive_routed(const StoredMatrix& matrix, const RoutedPattern& pattern, const RoutedRow& row,
                           bool beyond_x = false);

// That of a subject, of windows as wide as any micro-kernel takes; and the micro-kernel that reads it best: of the
// level's widest vectors, narrow weights where they come from beyond L2 and lose nothing, the narrowest window, the
// most rows of a pattern. Null where the pattern is not for routing.
RoutedPattern routed_pattern(Subject& subject);
const RoutedRow* best_routed_row(Subject& subject);
// The tiles on the layout that a row reads, of up to `widest` columns, ascending.
using RoutedTiles = std::vector<Registered<RoutedRow>>;
RoutedTiles routed_tiles(const Subject& subject, const RoutedRow& row, int widest);

}  // namespace cs
