// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/sizes.hpp"
#include "layouts/routed.hpp"
#include "layouts/stored.hpp"

namespace cs {
namespace {

// Slots per entry up to which padding is worth its permutes.
constexpr double most_padding = 1.1;

// The entries that the fullest row owns in each window of `width` columns; empty where that would leave too many lanes
// without an entry.
std::vector<std::int64_t> layers_per_window(const StoredMatrix& matrix, std::int64_t width) {
    const double most_layers = most_padding * static_cast<double>(matrix.nnz()) / static_cast<double>(matrix.rows);
    std::vector<std::int64_t> layers(as_size((matrix.cols + width - 1) / width), 0);
    std::int64_t total = 0;
    for (std::int64_t row = 0; row < matrix.rows; ++row)
        for (std::int64_t at = matrix.row_ptr[row], end = matrix.row_ptr[row + 1]; at < end;) {
            const std::int64_t window = matrix.columns[at] / width, first = at;
            while (at < end && matrix.columns[at] < (window + 1) * width) ++at;
            std::int64_t& most = layers[as_size(window)];
            if (at - first <= most) continue;
            total += at - first - most;
            most = at - first;
            if (static_cast<double>(total) > most_layers) return {};
        }
    return layers;
}

}  // namespace

RoutedPattern find_routed_pattern(const StoredMatrix& matrix, int widest) {
    constexpr int most_per_window = 8;
    RoutedPattern found;
    const std::int64_t nnz = matrix.nnz();
    if (matrix.rows == 0 || matrix.cols < 2 || nnz < matrix.rows) return found;
    const double spacing =
        static_cast<double>(matrix.cols) * static_cast<double>(matrix.rows) / static_cast<double>(nnz);
    // A window of per_window * spacing columns holds per_window entries; the ragged last one blurs the spacing.
    for (int per_window = 1; per_window <= most_per_window; ++per_window)
        for (const std::int64_t shift : {0, -1, 1}) {
            const std::int64_t width = std::llround(per_window * spacing) + shift;
            if (width < 2 || width > widest) continue;
            const std::vector<std::int64_t> layers = layers_per_window(matrix, width);
            if (layers.empty()) continue;
            found.width = width;
            for (std::size_t window = 0; window < layers.size(); ++window)
                found.layers.insert(found.layers.end(), as_size(layers[window]), static_cast<std::int64_t>(window));
            return found;
        }
    return found;
}

bool fits_bf16(const StoredMatrix& matrix) {
    if (matrix.type != Type::f32) return false;
    const auto* const values = static_cast<const std::uint32_t*>(matrix.values);
    return std::all_of(values, values + matrix.nnz(), [](std::uint32_t bits) { return (bits & 0xffffu) == 0; });
}

std::int64_t RoutedLayout::bytes() const { return bytes_of_arrays(bases, ids, values); }

RoutedLayout derive_routed(const StoredMatrix& matrix, const RoutedPattern& pattern, const RoutedRow& row,
                           bool beyond_x) {
    constexpr std::uint32_t padding = 0x80000000u;  // -0.0
    RoutedLayout layout{};
    layout.lanes = row.lanes;
    layout.window = row.window;
    layout.block_rows = row.block_rows;
    layout.weights = row.weights;
    const int lanes = row.lanes, block_rows = row.block_rows, super = superlayer(row.window);
    const bool narrow = row.weights == Weights::bf16;
    const auto n_pattern = static_cast<std::int64_t>(pattern.layers.size());
    layout.n_layers = (n_pattern + 1) / 2 * 2;
    layout.n_units = (matrix.rows + lanes * block_rows - 1) / (lanes * block_rows);
    // A window of whole registers must lie inside x where x has so many columns.
    const std::int64_t last_base = beyond_x ? matrix.cols : std::max<std::int64_t>(0, matrix.cols - row.window);
    for (const std::int64_t window : pattern.layers)
        layout.bases.push_back(static_cast<std::uint32_t>(std::min(window * pattern.width, last_base)));
    layout.bases.resize(as_size(layout.n_layers), 0);

    const std::int64_t n_super = (layout.n_layers + super - 1) / super;
    layout.ids.assign(as_size(layout.n_units * n_super * lanes), 0);
    const std::int64_t words_of_layer = block_rows * lanes;  // of values, unless narrow: half
    layout.values.assign(as_size(layout.n_units * layout.n_layers * words_of_layer / (narrow ? 2 : 1)),
                         narrow ? padding | padding >> 16 : padding);
    const auto* const stored = static_cast<const std::uint32_t*>(matrix.values);
    for (std::int64_t unit = 0; unit < layout.n_units; ++unit) {
        const std::int64_t group = unit / group_units * group_units;
        const std::int64_t in_group = std::min<std::int64_t>(group_units, layout.n_units - group);
        for (int lane = 0; lane < lanes; ++lane) {
            const std::int64_t member = unit * lanes + member_of_lane(block_rows, lanes, lane);
            for (int r = 0; r < block_rows; ++r) {
                const std::int64_t of_row = member * block_rows + r;
                if (of_row >= matrix.rows) continue;
                std::int64_t at = matrix.row_ptr[of_row];
                const std::int64_t end = matrix.row_ptr[of_row + 1];
                for (std::int64_t layer = 0; layer < n_pattern; ++layer) {
                    if (at == end || matrix.columns[at] / pattern.width != pattern.layers[as_size(layer)]) continue;
                    const std::int64_t s = layer / super, j = layer % super;
                    const std::int64_t in_super = std::min<std::int64_t>(super, layout.n_layers - s * super);
                    const std::uint32_t id =
                        static_cast<std::uint32_t>(matrix.columns[at]) - layout.bases[as_size(layer)];
                    if (r == 0)
                        layout.ids[as_size((group * n_super + s * in_group + unit - group) * lanes + lane)] |=
                            id << (j * id_bits(row.window));
                    std::uint32_t bits = stored[at++];
                    if (bits == padding) bits = 0;
                    // Layers before this group and superlayer, then inside it.
                    const std::int64_t before =
                        group * layout.n_layers + s * super * in_group + (unit - group) * in_super;
                    if (narrow) {
                        std::uint32_t& word =
                            layout.values[as_size((before / 2 + j / 2) * words_of_layer + r * lanes + lane)];
                        word = j % 2 == 0 ? (word & 0xffff0000u) | bits >> 16 : (word & 0xffffu) | bits;
                    } else {
                        layout.values[as_size((before + j) * words_of_layer + r * lanes + lane)] = bits;
                    }
                }
            }
        }
    }
    layout.n_slots = layout.n_units * layout.n_layers * words_of_layer;
    layout.padded = layout.n_slots > matrix.nnz();
    return layout;
}

}  // namespace cs
