// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of filters that share their pattern, a vector's lanes of them together, on padded pixels.
#include "kernels/filter_lanes.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "conv/by_tap.hpp"
#include "conv/comes_in.hpp"
#include "conv/pixels.hpp"
#include "conv/ways.hpp"
#include "layouts/costs.hpp"

namespace cs {
namespace {

using Tile = Registered<FilterLanesRow>;

struct FilterLanesLayout {
    std::vector<std::uint32_t> counts;
    std::vector<std::uint32_t> offsets;
    AlignedVector<unsigned char> values;
};

// The tiles of the widest vectors that the pattern fills, of the strongest level that has them.
std::vector<Tile> tiles_of(Subject& subject, Types loops) {
    int lanes = 0;
    const auto all = rows_of(&Table::filter_lanes, subject.levels);
    for (const Tile& tile : all)
        if (tile.row->types == loops && tile.row->lanes > lanes &&
            comes_in(subject.operand.by_output(), tile.row->lanes))
            lanes = tile.row->lanes;
    std::vector<Tile> tiles;
    for (const Tile& tile : all) {
        if (tile.row->types != loops || tile.row->lanes != lanes) continue;
        auto same = std::find_if(tiles.begin(), tiles.end(),
                                 [&](const Tile& other) { return other.row->tile_cols == tile.row->tile_cols; });
        same != tiles.end() ? * same = tile : tiles.emplace_back(tile);
    }
    std::sort(tiles.begin(), tiles.end(),
              [](const Tile& a, const Tile& b) { return a.row->tile_cols < b.row->tile_cols; });
    return tiles;
}

template <class P>
class FilterLanes final : public PixelsConvolution<typename P::X, FilterLanesRow> {
    using T = typename P::X;
    using Base = PixelsConvolution<T, FilterLanesRow>;
    using Base::padded;

   public:
    FilterLanes(const Matrix& matrix, const ConvShape& shape, std::string reason, std::vector<Tile> tiles,
                const MoveRow* move)
        : Base(matrix, shape, std::move(reason), tiles, 0, move) {
        derive(matrix.stored(), tiles.front().row->lanes);
    }

    std::int64_t layout_bytes() const override {
        return bytes_of_arrays(layout_.counts, layout_.offsets, layout_.values);
    }

   private:
    void derive(const StoredMatrix& filters, std::int64_t lanes) {
        const ByTap by_tap(filters, this->sliding().taps());
        const StoredMatrix& matrix = by_tap.stored;
        const std::int64_t channels = this->shape().channels;
        const T* const values = static_cast<const T*>(matrix.values);
        for (std::int64_t first = 0; first < matrix.rows; first += lanes) {
            const std::int64_t start = matrix.row_ptr[first], n = matrix.row_ptr[first + 1] - start;
            layout_.counts.push_back(static_cast<std::uint32_t>(n));
            std::size_t at = layout_.values.size();
            layout_.values.resize(at + as_size(n * lanes) * sizeof(T), 0);
            for (std::int64_t i = 0; i < n; ++i) {
                const std::int64_t column = matrix.columns[start + i];
                layout_.offsets.push_back(
                    static_cast<std::uint32_t>(padded().offset(column % channels, column / channels)));
                for (std::int64_t r = 0; r < lanes; ++r, at += sizeof(T))
                    if (first + r < matrix.rows)
                        std::memcpy(&layout_.values[at], values + matrix.row_ptr[first + r] + i, sizeof(T));
            }
        }
    }

    void multiply(const FilterLanesRow& tile, const T* x, T* y, std::int64_t y_stride, std::int64_t channels,
                  const Epilogue& finish) const override {
        tile.function({layout_.counts.data(), layout_.offsets.data(), layout_.values.data(),
                       static_cast<std::int64_t>(layout_.counts.size()), channels, x, y, padded().pixel_step(),
                       y_stride, finish});
    }

    FilterLanesLayout layout_;
};

using Supported = TypeList<Product<float, float, float>, Product<double, double, double>,
                           Product<std::int32_t, std::int32_t, std::int32_t>>;

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    if (shape.deterministic || index_in(Supported{}, subject.types) == Supported::count ||
        shape.sliding.pixels() == 0 || subject.operand.nnz() == 0)
        return {};
    const std::vector<Tile> tiles = tiles_of(subject, shape.loops());
    if (tiles.empty()) return {};
    const Padded padded(shape, true);
    if (!has_short_offsets(padded)) return {};
    const double pixels = static_cast<double>(shape.sliding.pixels());
    return subject.operand.nnz() / tiles.front().row->lanes * pixels * 0.85 +
           cost_of_moving(padded, subject, shape, !shape.channels_last);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    std::vector<Tile> tiles = tiles_of(subject, shape.loops());
    char text[200];
    std::snprintf(text, sizeof text, "padded pixels: %d filters to a pattern, which are the lanes of a vector",
                  tiles.front().row->lanes);
    const MoveRow* const move = strongest_of(&Table::move, subject.levels, shape.types.y).row;
    return dispatch<Supported>(shape.types, [&](auto product) -> std::unique_ptr<const Convolution> {
        return std::make_unique<const FilterLanes<decltype(product)>>(matrix, shape, std::string(text),
                                                                      std::move(tiles), move);
    });
}

}  // namespace

const ConvWay filter_lanes_way{"filter_lanes", cost, build};

RowName row_name(const FilterLanesRow& row) {
    return {"conv", "filter_lanes", name_of(row.types), by(row.lanes, row.tile_cols), row.lanes, row.tile_cols};
}

}  // namespace cs
