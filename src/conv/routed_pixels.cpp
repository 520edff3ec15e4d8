// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of patterns that give every filter the same share of the channels under each tap: routed layers on a
// padded copy of the image with channels last. A window of channels is a few registers, loaded once for all filters;
// the columns of x are the output pixels of a row, which overlap.
#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/sizes.hpp"
#include "conv/by_tap.hpp"
#include "conv/pixels.hpp"
#include "conv/ways.hpp"
#include "layouts/costs.hpp"
#include "layouts/routed.hpp"

namespace cs {
namespace {

constexpr std::int64_t most_tile = 8;

class RoutedPixels final : public PixelsConvolution<float, RoutedRow> {
   public:
    RoutedPixels(const Matrix& matrix, const ConvShape& shape, std::string reason, RoutedTiles tiles,
                 RoutedLayout layout, const MoveRow* move)
        : PixelsConvolution(matrix, shape, std::move(reason), std::move(tiles), layout.window, move),
          layout_(std::move(layout)) {
        for (std::uint32_t& base : layout_.bases)
            base = static_cast<std::uint32_t>(padded().offset(base % shape.channels, base / shape.channels));
    }

    std::int64_t layout_bytes() const override { return layout_.bytes(); }

   private:
    void multiply(const RoutedRow& tile, const float* x, float* y, std::int64_t y_stride, std::int64_t channels,
                  const Epilogue& finish) const override {
        tile.function({layout_.bases.data(), layout_.n_layers, layout_.ids.data(), layout_.values.data(),
                       layout_.n_units, channels, x, y, padded().pixel_step(), y_stride, finish, layout_.padded});
    }

    RoutedLayout layout_;  // its bases are offsets into the padded image
};

// Filters by tap, and what routing makes of them; no row where they are not for it.
struct Routable {
    ByTap filters;
    Matrix matrix;
    Subject subject;
    const RoutedRow* row = nullptr;

    Routable(const StoredMatrix& stored, const ConvShape& shape)
        : filters(stored, shape.sliding.taps()), matrix(filters.stored), subject(matrix, Side::rows, shape.types) {
        if (shape.deterministic || subject.types != uniform(Type::f32) || shape.sliding.pixels() == 0) return;
        const RoutedRow* const best = best_routed_row(subject);
        // A window lies under one tap.
        if (best != nullptr && shape.channels % subject.known(routed_pattern).width == 0) row = best;
    }
};

std::optional<double> cost(Subject& of, const ConvShape& shape) {
    if (shape.deterministic || of.types != uniform(Type::f32) || of.operand.nnz() == 0) return {};
    Routable routable(of.operand.by_output(), shape);
    if (routable.row == nullptr) return {};
    const RoutedRow& row = *routable.row;
    const Padded padded(shape, true);
    if (!has_short_offsets(padded)) return {};
    const double registers = static_cast<double>(row.window) / row.lanes;
    const double permute = row.lanes < 16 ? 4 * registers : registers <= 1 ? 1 : registers <= 2 ? 1.5 : 4.2;
    const double vectors = of.operand.nnz() / row.lanes * static_cast<double>(shape.sliding.pixels());
    return vectors * costs().routed_one * (1 + permute / row.block_rows) +
           cost_of_moving(padded, of, shape, !shape.channels_last);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    Routable routable(matrix.stored(), shape);
    const RoutedPattern pattern = routable.subject.known(routed_pattern);
    RoutedLayout layout = derive_routed(routable.filters.stored, pattern, *routable.row, true);
    RoutedTiles tiles = routed_tiles(routable.subject, *routable.row, most_tile);
    char text[200];
    std::snprintf(text, sizeof text, "padded pixels: %zu layers, each from windows of %lld channels under a tap",
                  pattern.layers.size(), static_cast<long long>(pattern.width));
    return std::make_unique<const RoutedPixels>(matrix, shape, std::string(text), std::move(tiles), std::move(layout),
                                                strongest_of(&Table::move, routable.subject.levels, shape.types.y).row);
}

}  // namespace

const ConvWay routed_pixels_way{"routed_pixels", cost, build};

}  // namespace cs
