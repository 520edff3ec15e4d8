// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of stride 1 are batched products with overlapping rows: row groups on a padded copy of the image, in
// which every (channel, tap) is an offset. Columns are never built, and other strides are stride 1 in each phase.
//
// Output pixels are numbered as they lie in the padded plane, margins included, so that a tile need not know rows: the
// sums of margins are computed, and not stored.
#include "kernels/planes.hpp"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "conv/bands.hpp"
#include "conv/pixels.hpp"
#include "conv/ways.hpp"
#include "kernels/fold.hpp"
#include "kernels/names.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/row_groups.hpp"

namespace cs {
namespace {

using Tile = Registered<PlanesRow>;

constexpr std::int64_t most_panel_rows = 2048;

struct PlanesLayout {
    RowGroupsLayout groups;
    AlignedVector<std::uint32_t> offsets;  // for each of groups.columns
};

// Output pixels of so many rows, margins between them included.
std::int64_t positions(const Padded& padded, const Sliding& s, std::int64_t rows) {
    return rows > 0 ? (rows - 1) * padded.pitch() + s.out_cols : 0;
}

// Cycles of one entry of a row for all pixels: so many for each vector of a tile, and for the entry's index and value.
double cost_of_tile(const PlanesRow& row, std::int64_t pixels, double lanes) {
    const double vectors = row.tile_cols / lanes;
    const double tiles = static_cast<double>((pixels + row.tile_cols - 1) / row.tile_cols);
    return tiles * (row.shared_rows == 0  ? vectors * 1.42 + 0.5
                    : row.shared_rows > 4 ? vectors * 0.48 + 0.42
                                          : vectors * 0.52 + 0.55);
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

Tile best_tile(const std::vector<Tile>& tiles, std::int64_t pixels) {
    const double lanes = lanes_of(tiles);
    return *std::min_element(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) {
        return cost_of_tile(*a.row, pixels, lanes) < cost_of_tile(*b.row, pixels, lanes);
    });
}

template <class P>
class PlanesConvolution final : public Convolution {
    using W = typename P::W;
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    PlanesConvolution(const Matrix& matrix, const ConvShape& shape, std::string reason, Tile tile, const MoveRow* move,
                      const FoldRow* fold, PlanesLayout layout)
        : Convolution(matrix, shape, name_of(tile), std::move(reason)),
          row_(*tile.row),
          move_(*move),
          fold_(*fold),
          padded_(shape, false),
          layout_(std::move(layout)) {}

    bool requantizes() const override { return std::is_same_v<Y, std::int32_t>; }
    bool takes_rows() const override { return true; }
    std::int64_t layout_bytes() const override { return layout_.groups.bytes() + bytes_of_arrays(layout_.offsets); }

    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        return threads * (strip_bytes() + sums_bytes(bands_of(operands.pool)));
    }

    // Strips end between windows, and bands of whole windows take about as many tiles as others.
    bool pools(PoolWindow window) const override {
        const std::int64_t rows = padded_.rows_of(0);
        return window.rows <= rows && window.cols <= sliding().out_cols &&
               (padded_.n_strips() == 1 || rows % window.rows == 0) &&
               8 * bands_of(window).tiles <= 9 * bands_of({}).tiles;
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        const std::int64_t all = operands.pool.is_one_pixel() ? operands.y.height : sliding().out_rows;
        const std::int64_t n_strips = padded_.n_strips(all), each = padded_.strip_rows();
        const Bands bands = bands_of(operands.pool);
        auto task = [&](std::int64_t number, int worker) {
            unsigned char* const own = workspace.memory + worker * (strip_bytes() + sums_bytes(bands));
            const std::int64_t first_row = number % n_strips * each, n_rows = std::min(each, all - first_row);
            const Strip strip{number / n_strips, first_row, reinterpret_cast<X*>(own)};
            padded_.template copy<X>(operands.x, strip.image, {operands.y_first + first_row, n_rows, operands.x_first},
                                     move_, static_cast<X>(operands.pad), strip.copy);
            const std::int64_t tall = operands.pool.rows, rows = n_rows / tall * tall;
            const std::int64_t last = positions(padded_, sliding(), rows);
            for (std::int64_t first = 0; first < last; first += bands.step)
                for (std::int64_t panel = 0; panel < layout_.groups.n_panels; ++panel)
                    band(operands, strip, panel, {first, std::min(bands.step, last - first)}, bands,
                         reinterpret_cast<Y*>(own + strip_bytes()));
        };
        parallel_for(operands.x.images * n_strips, threads, task);
    }

   private:
    struct Strip {
        std::int64_t image, first_row;  // of y
        X* copy;
    };

    std::int64_t strip_bytes() const {  // the last tile reads beyond it
        return round_to_lines(padded_.elements() + row_.tile_cols, sizeof(X)) * std::int64_t{sizeof(X)};
    }
    // Sums of a band, and the largest of them where they are pooled.
    std::int64_t sums_bytes(const Bands& bands) const {
        const std::int64_t each = bands.rows > 0 ? 2 * bands.width : bands.width;
        return round_to_lines(layout_.groups.panel_rows * each, sizeof(Y)) * std::int64_t{sizeof(Y)};
    }
    Bands bands_of(PoolWindow window) const {
        return Bands::of(padded_, sliding(), row_.tile_cols, window,
                         cache_sizes().l2 / 8 / (layout_.groups.panel_rows * std::int64_t{sizeof(Y)}));
    }

    void band(const ConvOperands& operands, const Strip& strip, std::int64_t panel, Range cols, const Bands& bands,
              Y* sums) const {
        const RowGroupsLayout& held = layout_.groups;
        const std::int64_t first_row = panel * held.panel_rows;
        const std::int64_t n_rows = std::min(held.panel_rows, operands.y.channels - first_row);
        for (std::int64_t at = 0; at < cols.count && at < bands.width; at += row_.tile_cols) {
            if (bands.rows == 0)
                fetch(operands, strip, {first_row, n_rows},
                      {cols.first + at, std::min<std::int64_t>(row_.tile_cols, cols.count - at)});
            for (std::int64_t block = 0; block < held.n_blocks; ++block) {
                auto args = held.args_of<W>(held.part(panel, block), layout_.offsets.data());
                args.x = strip.copy + cols.first + at;
                args.from = args.to = sums + at;
                args.from_stride = args.to_stride = bands.width;
                args.to_cols = row_.tile_cols;
                args.first = block == 0;
                args.last = false;
                row_.function(args);
            }
        }
        if (bands.rows > 0)
            pool(operands, strip, {first_row, n_rows}, cols, bands, sums);
        else
            store(operands, strip, {first_row, n_rows}, cols, bands.width, sums);
    }

    // Of real numbers the largest stays the largest when a bias is added and negative numbers become zero: that is done
    // to what the pool leaves. Other endings come before it, to sums of margins too.
    void pool(const ConvOperands& operands, const Strip& strip, Range rows, Range cols, const Bands& bands,
              Y* sums) const {
        const ImagesView& y = operands.y;
        const std::int64_t pitch = padded_.pitch(), tall = operands.pool.rows, wide = operands.pool.cols;
        const std::int64_t n_lines = ((cols.count - sliding().out_cols) / pitch + 1) / tall;
        const std::int64_t first = (strip.first_row + cols.first / pitch) / tall;
        Y* const largest = sums + layout_.groups.panel_rows * bands.width;
        if constexpr (std::is_same_v<Y, std::int32_t>)
            if (operands.requantizing != nullptr) {
                for (std::int64_t line = 0; line < n_lines; ++line)
                    requantize_largest(operands, rows, sums + line * tall * pitch, bands.width,
                                       {strip.image, first + line}, reinterpret_cast<std::uint8_t*>(largest));
                return;
            }
        Epilogue finish = operands.finish;
        if (finish.bias != nullptr) finish.bias = static_cast<const Y*>(finish.bias) + rows.first;
        const bool ends_behind = std::is_floating_point_v<Y> && up_to_relu6.have(finish.activation);
        if (!ends_behind && !finish.changes_nothing())
            move_.finish({sums, sums, rows.count, std::min(cols.count, bands.width), bands.width, bands.width, finish});
        for (std::int64_t line = 0; line < n_lines; ++line) {
            const DenseView to{static_cast<Y*>(y.data) + strip.image * y.image_stride + (first + line) * y.row_stride,
                               y.channels, y.width, y.channel_stride, y.col_stride};
            const bool direct = y.col_stride == 1;
            fold_.largest({sums + line * tall * pitch, direct ? element<Y>(to, rows.first, 0) : largest, rows.count,
                           bands.width, direct ? y.channel_stride : y.width, y.width, wide, tall, pitch, wide, 1, 1.0});
            if (!direct)
                DenseSink<Y>(to, ends_behind ? operands.finish : Epilogue{}, move_)
                    .take_tile(largest, y.width, rows, {0, y.width});
        }
        if (!ends_behind || finish.changes_nothing() || y.col_stride != 1) return;
        // Lines as one, where they lie one behind the other.
        const bool flat = y.row_stride == y.width;
        Y* at = static_cast<Y*>(y.data) + strip.image * y.image_stride + rows.first * y.channel_stride +
                first * y.row_stride;
        for (std::int64_t line = 0; line < n_lines; line += flat ? n_lines : 1, at += y.row_stride)
            move_.finish(
                {at, at, rows.count, flat ? n_lines * y.width : y.width, y.channel_stride, y.channel_stride, finish});
    }

    struct Line {
        std::int64_t image, row;
    };
    // A line of outputs of 8 bits, of the windows whose sums begin at `sums`; by way of `some` where channels lie
    // together.
    void requantize_largest(const ConvOperands& operands, Range rows, const std::int32_t* sums, std::int64_t width,
                            Line line, std::uint8_t* some) const {
        const ImagesView& y = operands.y;
        const Requantizing& requantizing = *operands.requantizing;
        const DenseView to{static_cast<std::uint8_t*>(y.data) + line.image * y.image_stride + line.row * y.row_stride,
                           y.channels, y.width, y.channel_stride, y.col_stride};
        const bool direct = y.col_stride == 1;
        RequantizeArgs how = requantizing.how;
        how.feature = rows.first, how.by_column = false;
        const std::int64_t wide = operands.pool.cols;
        requantizing.row->of_largest(
            {sums, direct ? element<std::uint8_t>(to, rows.first, 0) : some, rows.count, width,
             direct ? y.channel_stride : y.width, y.width, wide, operands.pool.rows, padded_.pitch(), wide, 1, 1.0},
            how);
        if (!direct) RequantizingSink(to, operands.finish, requantizing).take_bytes(some, y.width, rows, {0, y.width});
    }

    // Outputs of 8 bits in place of the sums, margins too; null where none are asked for.
    const std::uint8_t* requantized(const ConvOperands& operands, Range rows, std::int64_t width, Y* sums) const {
        if constexpr (std::is_same_v<Y, std::int32_t>)
            if (operands.requantizing != nullptr) {
                const DenseView none{};
                return RequantizingSink(none, operands.finish, *operands.requantizing)
                    .requantize_tile(sums, width, rows);
            }
        return nullptr;
    }

    // What of the columns lies in rows of the output: runs, as matrices of the pixels of a row; how many columns come
    // before each; and how many rows begin there that are whole, of which the run is the first, or 1.
    template <class Run>
    void for_runs(const ConvOperands& operands, const Strip& strip, Range cols, const Run& run) const {
        const ImagesView& y = operands.y;
        const std::int64_t pitch = padded_.pitch(), last = cols.first + cols.count;
        const std::int64_t size = operands.requantizing != nullptr ? 1 : std::int64_t{sizeof(Y)};
        char* const image =
            static_cast<char*>(y.data) + (strip.image * y.image_stride + strip.first_row * y.row_stride) * size;
        for (std::int64_t at = cols.first; at < last;) {
            const std::int64_t row = at / pitch, col = at % pitch;
            const std::int64_t until = std::min(last, row * pitch + y.width);
            const std::int64_t whole = until - at == y.width ? (last - at + pitch - y.width) / pitch : 1;
            std::int64_t taken = 1;
            if (at < until)
                taken = run(
                    DenseView{image + row * y.row_stride * size, y.channels, y.width, y.channel_stride, y.col_stride},
                    Range{col, until - at}, at - cols.first, whole);
            at = (row + taken) * pitch;
        }
    }

    void fetch(const ConvOperands& operands, const Strip& strip, Range rows, Range cols) const {
        if (operands.requantizing != nullptr) return;
        for_runs(operands, strip, cols, [&](const DenseView& line, Range run, std::int64_t, std::int64_t) {
            fetch_outputs<Y>(line, rows, run);
            return 1;
        });
    }
    // Rows that are whole are stored filter by filter, where pixels lie together.
    void store(const ConvOperands& operands, const Strip& strip, Range rows, Range cols, std::int64_t width,
               Y* sums) const {
        const std::uint8_t* const bytes = requantized(operands, rows, width, sums);
        Epilogue finish = operands.finish;
        if (finish.bias != nullptr) finish.bias = static_cast<const Y*>(finish.bias) + rows.first;
        for_runs(operands, strip, cols,
                 [&](const DenseView& line, Range run, std::int64_t before, std::int64_t whole) -> std::int64_t {
                     if (bytes == nullptr && line.col_stride == 1) {
                         move_.finish({sums + before, element<Y>(line, rows.first, run.first), rows.count, run.count,
                                       width, line.row_stride, finish, whole, padded_.pitch(), operands.y.row_stride});
                         return whole;
                     }
                     if (bytes != nullptr)
                         RequantizingSink(line, operands.finish, *operands.requantizing)
                             .take_bytes(bytes + before, 4 * width, rows, run);
                     else
                         DenseSink<Y>(line, operands.finish, move_).take_tile(sums + before, width, rows, run);
                     return 1;
                 });
    }

    const PlanesRow& row_;
    const MoveRow& move_;
    const FoldRow& fold_;
    const Padded padded_;
    const PlanesLayout layout_;
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

using Supported = TypeList<Product<float, float, float>, Product<double, double, double>,
                           Product<std::int32_t, std::int32_t, std::int32_t>>;

PlanesLayout derive(Subject& subject, const ConvShape& shape, const Padded& padded, const PlanesRow& row) {
    const StoredMatrix& matrix = subject.operand.by_output();
    const std::int64_t taps = shape.sliding.taps();
    std::int64_t cols = max_block_cols / taps * taps;
    cols = std::min(cols, block_channels(shape, padded, row) * taps);
    cols = std::max<std::int64_t>(1, std::min<std::int64_t>(cols == 0 ? max_block_cols : cols, matrix.cols));
    const std::int64_t panel = std::clamp<std::int64_t>(
        (matrix.rows + most_shared_rows - 1) / most_shared_rows * most_shared_rows, most_shared_rows, most_panel_rows);
    PlanesLayout layout{derive_row_groups(matrix, panel, cols, row.shared_rows), {}};
    RowGroupsLayout& groups = layout.groups;
    layout.offsets.resize(groups.columns.size());
    for (std::size_t part = 0; part < groups.parts.size(); ++part) {
        const std::int64_t each = groups.shared_rows > 0 ? groups.shared_rows : 1;
        const std::int64_t end = part + 1 < groups.parts.size() ? groups.parts[part + 1].entry : groups.entries;
        const std::int64_t first_col = static_cast<std::int64_t>(part) % groups.n_blocks * groups.block_cols;
        for (std::int64_t i = groups.parts[part].entry / each; i < end / each; ++i) {
            const std::int64_t column = first_col + groups.columns[as_size(i)] / column_unit;
            layout.offsets[as_size(i)] = static_cast<std::uint32_t>(padded.offset(column / taps, column % taps));
        }
    }
    AlignedVector<std::uint16_t>().swap(groups.columns);
    return layout;
}

bool serves(const ConvShape& shape) {
    return !shape.deterministic && shape.sliding.pixels() > 0 && shape.channels > 0 &&
           has_short_offsets(Padded(shape, false));
}

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    if (index_in(Supported{}, subject.types) == Supported::count || !serves(shape)) return {};
    const std::vector<Tile> tiles = tiles_of(subject, shape.loops());
    if (tiles.empty()) return {};
    const Padded padded(shape, false);
    const std::int64_t pixels = positions(padded, shape.sliding, padded.rows_of(0));
    const PlanesRow& row = *best_tile(tiles, pixels).row;
    return subject.operand.nnz() * cost_of_tile(row, pixels, lanes_of(tiles)) * static_cast<double>(padded.n_strips()) +
           cost_of_moving(padded, subject, shape, shape.channels_last);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    const Padded padded(shape, false);
    const Tile tile = best_tile(tiles_of(subject, shape.loops()), positions(padded, shape.sliding, padded.rows_of(0)));
    PlanesLayout layout = derive(subject, shape, padded, *tile.row);
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
        return std::make_unique<const PlanesConvolution<decltype(product)>>(matrix, shape, std::string(text), tile,
                                                                            move, fold, std::move(layout));
    });
}

}  // namespace

const ConvWay planes_way{"planes", cost, build};

RowName row_name(const PlanesRow& row) { return name_of_groups(row, "conv", "planes", "shared_planes"); }

}  // namespace cs
