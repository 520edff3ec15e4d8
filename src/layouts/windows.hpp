// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.hpp"
#include "kernels/windows.hpp"
#include "layouts/layout.hpp"

namespace cs {

struct WindowsLayout final : Layout {
    int windows = 0;  // per tile
    int value_bytes = 1;
    std::vector<WindowGroup> groups;
    std::vector<std::uint32_t> rows;
    AlignedVector<std::uint8_t> picks;
    std::vector<std::uint16_t> bases;
    AlignedVector<unsigned char> tile_values;
    AlignedVector<std::uint16_t> columns;
    AlignedVector<unsigned char> values;
    // Rows whose sums have more parts: output `rows of the matrix + i` is a part of row extra_rows[i].
    std::vector<std::uint32_t> extra_rows;
    std::int64_t tile_entries = 0;  // entries that went into tiles

    std::int64_t bytes() const override;
    std::int64_t slots() const override;
};
inline constexpr std::int64_t max_windows_cols = 65536;

// `windows` per tile, 0 for gather steps only.
// Whether a row is so much longer than others that it is summed in pieces.
bool has_rows_to_cut(const StoredMatrix& matrix);
WindowsLayout derive_windows(const StoredMatrix& matrix, int windows);

}  // namespace cs
