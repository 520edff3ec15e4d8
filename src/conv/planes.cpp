// SPDX-License-Identifier: BSD-3-Clause
// Row groups on padded planes.
#include "kernels/planes.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "conv/pixels.hpp"
#include "conv/plane_offsets.hpp"
#include "conv/planes.hpp"
#include "conv/ways.hpp"
#include "kernels/names.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/row_groups.hpp"

namespace cs {
namespace {

using Tile = Registered<PlanesRow>;

// Cycles of one entry of a row for all pixels: so many for each vector of a tile, and for the entry's index and value.
double cost_of_tile(const PlanesRow& row, std::int64_t pixels, double lanes) {
    const double vectors = row.tile_cols / lanes;
    const double tiles = static_cast<double>((pixels + row.tile_cols - 1) / row.tile_cols);
    return tiles * (row.shared_rows == 0  ? vectors * 1.42 + 0.5
                    : row.shared_rows > 4 ? vectors * 0.48 + 0.42
                                          : vectors * 0.52 + 0.55);
}

// And of all entries of a row with the end of its sums, where they become outputs in registers: so many cycles for a
// piece of a tile, or for a small rest that other rows share a store with.
double cost_of_row(const PlanesRow& row, std::int64_t pixels, double lanes, double entries) {
    const double cost = entries * cost_of_tile(row, pixels, lanes);
    if (row.of_outputs == nullptr) return cost;
    const double vectors = row.tile_cols / lanes, pieces = std::floor(vectors / 4), rest = vectors - 4 * pieces;
    return cost +
           std::ceil(static_cast<double>(pixels) / row.tile_cols) * (15 * pieces + (rest > 2 ? 15 : 22 * rest / 4));
}

int lanes_of(const std::vector<Tile>& tiles) {
    int least = tiles.front().row->tile_cols;
    for (const Tile& tile : tiles) least = std::min(least, tile.row->tile_cols);
    return least;
}

// Those of the strongest level, with the shared rows that serve the pattern best.
std::vector<Tile> tiles_of(Subject& subject, Types loops) {
    std::vector<Tile> found;
    const int shared = subject.known(rows_to_a_pattern);
    auto wanted = [&](const PlanesRow& row) {
        return row.types == loops && row.shared_rows <= shared &&
               (row.shared_rows == 0 || subject.operand.outer() % row.shared_rows == 0);
    };
    int most = 0, isa = -1;
    for (const Tile& tile : rows_of(&Table::planes, subject.levels))
        if (wanted(*tile.row)) most = std::max(most, tile.row->shared_rows);
    for (const Tile& tile : rows_of(&Table::planes, subject.levels))
        if (wanted(*tile.row) && tile.row->shared_rows == most) isa = std::max(isa, tile.isa);
    for (const Tile& tile : rows_of(&Table::planes, subject.levels))
        if (wanted(*tile.row) && tile.row->shared_rows == most && tile.isa == isa) found.push_back(tile);
    return found;
}

// entries: of a row.
Tile best_tile(const std::vector<Tile>& tiles, std::int64_t pixels, double entries) {
    const double lanes = lanes_of(tiles);
    return *std::min_element(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) {
        return cost_of_row(*a.row, pixels, lanes, entries) < cost_of_row(*b.row, pixels, lanes, entries);
    });
}

template <class P>
class GroupsLoop {
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    GroupsLoop(const PlanesRow& row, PlanesLayout layout)
        : row_(row), function_(layout.places == 1 ? row.function : row.of_windows), layout_(std::move(layout)) {}

    std::int64_t tile_cols() const { return row_.tile_cols; }
    std::int64_t most_cols() const { return row_.tile_cols; }
    std::int64_t panel_rows() const { return layout_.groups.panel_rows; }
    std::int64_t n_panels() const { return layout_.groups.n_panels; }
    // The largest of windows are stored as soon as there are some.
    std::int64_t sums_bytes() const { return layout_.places == 1 ? cache_sizes().l2 / 8 : cache_sizes().l1d / 3; }
    std::int64_t own_bytes() const { return 0; }
    std::int64_t layout_bytes() const { return layout_.bytes(); }

    void multiply(std::int64_t panel, const X* x, std::int64_t, Y* sums, std::int64_t width, unsigned char*) const {
        for (std::int64_t block = 0; block < layout_.groups.n_blocks; ++block)
            function_(args_of(panel, block, x, sums, width));
    }

    bool gives_outputs() const { return row_.of_outputs != nullptr && layout_.places == 1; }
    void give_outputs(std::int64_t panel, const X* x, Y* sums, const PlanesOutputs& outputs) const {
        const std::int64_t last = layout_.groups.n_blocks - 1;
        for (std::int64_t block = 0; block < last; ++block) function_(args_of(panel, block, x, sums, row_.tile_cols));
        auto args = args_of(panel, last, x, sums, row_.tile_cols);
        args.last = true;
        row_.of_outputs(args, outputs);
    }

   private:
    PlanesArgs args_of(std::int64_t panel, std::int64_t block, const X* x, Y* sums, std::int64_t width) const {
        auto args = layout_.args_of<typename P::W>(panel, block);
        args.x = x;
        args.from = args.to = sums;
        args.from_stride = args.to_stride = width;
        args.to_cols = row_.tile_cols;
        args.first = block == 0;
        args.last = false;
        return args;
    }

    const PlanesRow& row_;
    const PlanesFunction function_;
    PlanesLayout layout_;
};

// Channels of a block. Where rows have columns of their own each channel is read once for each of its entries, and its
// planes' part under a tile has to stay in L1. Rows that share columns read it so much less often that loads from L2
// beside them cost less than sums that leave registers more often: their blocks are as much larger.
std::int64_t block_channels(const ConvShape& shape, const Padded& padded, const PlanesRow& row) {
    const Sliding& s = shape.sliding;
    const std::int64_t tall = s.kernel_rows * (row.tile_cols + 16);
    const std::int64_t flat = row.tile_cols + padded.offset(0, s.taps() - 1);
    const bool own = row.shared_rows == 0;
    const std::int64_t bytes =
        (own && s.stride_rows * s.stride_cols == 1 ? std::min(tall, flat) : tall) * bytes_of(shape.types.x);
    const double of_l1 = own ? 0.6 : row.shared_rows > 4 ? 2 : 1.5;
    return std::clamp(static_cast<std::int64_t>(of_l1 * static_cast<double>(cache_sizes().l1d)) / bytes,
                      std::int64_t{8}, std::int64_t{4096});
}

// Where windows of 2 x 2 outputs are the outputs of stride 2 of a kernel that is one row and one column larger: each of
// their outputs meets the taps of its own part of that kernel.
constexpr PoolWindow pooled_window{2, 2};
static_assert(pooled_window.rows * pooled_window.cols == window_outputs);

ConvShape shape_of_windows(ConvShape shape) {
    Sliding& s = shape.sliding;
    s.stride_rows = pooled_window.rows, s.stride_cols = pooled_window.cols;
    s.kernel_rows += pooled_window.rows - 1, s.kernel_cols += pooled_window.cols - 1;
    s.out_rows /= pooled_window.rows, s.out_cols /= pooled_window.cols;
    return shape;
}

using Supported = TypeList<Product<float, float, float>, Product<double, double, double>,
                           Product<std::int32_t, std::int32_t, std::int32_t>>;

// Columns of a block: all taps of some channels.
std::int64_t block_cols(const StoredMatrix& matrix, const ConvShape& shape, const Padded& padded,
                        const PlanesRow& row) {
    const std::int64_t taps = shape.sliding.taps();
    std::int64_t cols = max_block_cols / taps * taps;
    cols = std::min(cols, block_channels(shape, padded, row) * taps);
    return std::max<std::int64_t>(1, std::min<std::int64_t>(cols == 0 ? max_block_cols : cols, matrix.cols));
}

// padded: of the windows, where there are any.
PlanesLayout derive(const StoredMatrix& matrix, const ConvShape& shape, const Padded& padded, int shared_rows,
                    std::int64_t cols, PoolWindow window) {
    const Sliding& s = shape.sliding;
    const std::int64_t taps = s.taps(), wide = s.kernel_cols + window.cols - 1;
    const auto place = [&](std::int64_t column, std::int64_t output) {
        const std::int64_t down = column % taps / s.kernel_cols + output / window.cols;
        const std::int64_t across = column % taps % s.kernel_cols + output % window.cols;
        return padded.offset(column / taps, down * wide + across);
    };
    return PlanesLayout::of(derive_row_groups(matrix, panel_of_all(matrix.rows), cols, shared_rows),
                            window.rows * window.cols, place);
}

// What serves windows, where it costs about as many vectors as single outputs, which have to be folded besides.
std::optional<Tile> tile_of_windows(Subject& subject, const ConvShape& shape, const Padded& padded,
                                    const PlanesRow& plain) {
    const Sliding& s = shape.sliding;
    const StoredMatrix& matrix = subject.operand.by_output();
    if (s.stride_rows * s.stride_cols * s.dilation_rows * s.dilation_cols != 1 || s.out_rows < pooled_window.rows ||
        s.out_cols < pooled_window.cols || block_cols(matrix, shape, padded, plain) < matrix.cols)
        return {};
    const ConvShape of_windows = shape_of_windows(shape);
    const Padded windows(of_windows, false);
    if (!has_short_offsets(windows)) return {};
    std::optional<Tile> found;
    for (const Tile& tile : rows_of(&Table::planes, subject.levels))
        if (tile.row->of_windows != nullptr && tile.row->types == shape.loops() &&
            tile.row->shared_rows <= plain.shared_rows && (!found || tile.isa >= found->isa))
            found = tile;
    if (!found) return {};
    const std::int64_t width = found->row->tile_cols;
    const std::int64_t tiles =
        (positions(windows, of_windows.sliding, of_windows.sliding.out_rows) + width - 1) / width;
    return 8 * tiles * width * window_outputs <= 9 * positions(padded, s, s.out_rows) ? found : std::nullopt;
}

// Single outputs, and the largest of windows where that is all that is asked for.
template <class Y>
class PooledPlanes final : public Convolution {
   public:
    PooledPlanes(const Matrix& matrix, std::unique_ptr<const Convolution> outputs,
                 std::unique_ptr<const Convolution> windows)
        : Convolution(matrix, outputs->shape(), outputs->name(), outputs->reason()),
          outputs_(std::move(outputs)),
          windows_(std::move(windows)) {}

    bool pools(PoolWindow window) const override { return outputs_->pools(window); }
    bool takes_rows() const override { return outputs_->takes_rows(); }
    std::int64_t layout_bytes() const override { return outputs_->layout_bytes() + windows_->layout_bytes(); }
    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        return serves_windows(operands) ? windows_->workspace_bytes(of_windows(operands), threads)
                                        : outputs_->workspace_bytes(operands, threads);
    }
    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        serves_windows(operands) ? windows_->run(of_windows(operands), threads, workspace)
                                 : outputs_->run(operands, threads, workspace);
    }

   private:
    static bool serves_windows(const ConvOperands& operands) {
        return operands.pool.rows == pooled_window.rows && operands.pool.cols == pooled_window.cols &&
               ends_behind_pool<Y>(operands.finish, operands.y.channels);
    }
    static ConvOperands of_windows(ConvOperands operands) {
        operands.pool = {};
        return operands;
    }

    const std::unique_ptr<const Convolution> outputs_, windows_;
};

bool serves(const ConvShape& shape) {
    return !shape.deterministic && shape.sliding.pixels() > 0 && shape.channels > 0 &&
           has_short_offsets(Padded(shape, false));
}

double entries_of_row(const Subject& subject) {
    return subject.operand.nnz() / static_cast<double>(std::max<std::int64_t>(1, subject.operand.outer()));
}

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    if (index_in(Supported{}, subject.types) == Supported::count || !serves(shape)) return {};
    const std::vector<Tile> tiles = tiles_of(subject, shape.loops());
    if (tiles.empty()) return {};
    const Padded padded(shape, false);
    const std::int64_t pixels = positions(padded, shape.sliding, padded.rows_of(0));
    const PlanesRow& row = *best_tile(tiles, pixels, entries_of_row(subject)).row;
    return subject.operand.nnz() * cost_of_tile(row, pixels, lanes_of(tiles)) * static_cast<double>(padded.n_strips()) +
           cost_of_moving(padded, subject, shape, shape.channels_last);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    const Padded padded(shape, false);
    const Tile tile = best_tile(tiles_of(subject, shape.loops()), positions(padded, shape.sliding, padded.rows_of(0)),
                                entries_of_row(subject));
    const StoredMatrix& rows = subject.operand.by_output();
    PlanesLayout layout =
        derive(rows, shape, padded, tile.row->shared_rows, block_cols(rows, shape, padded, *tile.row), {});
    const std::optional<Tile> of_windows = tile_of_windows(subject, shape, padded, *tile.row);
    char text[200];
    std::snprintf(text, sizeof text, "padded planes: tiles of %d pixels, %s, blocks of %lld channels",
                  tile.row->tile_cols,
                  tile.row->shared_rows > 4   ? "eight filters to a pattern"
                  : tile.row->shared_rows > 0 ? "four filters to a pattern"
                                              : "filters with columns of their own",
                  static_cast<long long>(std::min(shape.channels, layout.groups.block_cols / shape.sliding.taps())));
    const MoveRow* const move = strongest_of(&Table::move, subject.levels, shape.types.y).row;
    const FoldRow* const fold = strongest_of(&Table::fold, subject.levels, shape.types.y).row;
    return dispatch<Supported>(shape.types, [&](auto product) -> std::unique_ptr<const Convolution> {
        using Loop = GroupsLoop<decltype(product)>;
        using Planes = PlanesConvolution<decltype(product), Loop>;
        auto outputs = std::make_unique<const Planes>(matrix, shape, name_of(tile), std::string(text),
                                                      Loop(*tile.row, std::move(layout)), move, fold);
        if (!of_windows) return outputs;
        const ConvShape pooled = shape_of_windows(shape);
        auto windows = std::make_unique<const Planes>(
            matrix, pooled, name_of(*of_windows), std::string(text),
            Loop(*of_windows->row,
                 derive(rows, shape, Padded(pooled, false), of_windows->row->shared_rows, rows.cols, pooled_window)),
            move, fold);
        return std::make_unique<const PooledPlanes<typename decltype(product)::Y>>(matrix, std::move(outputs),
                                                                                   std::move(windows));
    });
}

}  // namespace

const ConvWay planes_way{"planes", cost, build};

RowName row_name(const PlanesRow& row) { return name_of_groups(row, "conv", "planes", "shared_planes"); }

}  // namespace cs
