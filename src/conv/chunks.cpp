// SPDX-License-Identifier: BSD-3-Clause
// Chunks on padded planes: convolutions of quads of 8-bit numbers on tile registers, where sixteen filters share many
// of their columns.
#include "layouts/chunks.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>
#include <utility>

#include "base/caches.hpp"
#include "conv/pixels.hpp"
#include "conv/planes.hpp"
#include "conv/ways.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"

namespace cs {
namespace {

constexpr std::int64_t panel_blocks = 4;

class ChunksLoop {
   public:
    ChunksLoop(const ChunksRow& row, ChunksLayout layout) : row_(row), layout_(std::move(layout)) {}

    std::int64_t tile_cols() const { return tile_register_cols; }
    std::int64_t most_cols() const { return row_.most_tiles * tile_register_cols; }
    std::int64_t panel_rows() const { return panel_blocks * block_rows; }
    std::int64_t n_panels() const { return (layout_.n_blocks() + panel_blocks - 1) / panel_blocks; }
    // Sums that leave tile registers are read again at once, from L1; in rows as long as there is room for, because
    // each begins with the numbers of its filter.
    std::int64_t sums_bytes() const { return cache_sizes().l1d * 2 / 3; }
    std::int64_t own_bytes() const { return row_.most_tiles * chunk_bytes; }
    std::int64_t layout_bytes() const { return layout_.bytes(); }
    bool gives_outputs() const { return false; }
    void give_outputs(std::int64_t, const std::int32_t*, std::int32_t*, const PlanesOutputs&) const {}

    void multiply(std::int64_t panel, const std::int32_t* x, std::int64_t positions, std::int32_t* sums,
                  std::int64_t width, unsigned char* own) const {
        const std::int64_t first = panel * panel_blocks;
        ChunksArgs args = layout_.args_of(first, std::min(panel_blocks, layout_.n_blocks() - first));
        args.x = x;
        args.unit_step = unit_bytes;
        args.copies = own;
        args.to = sums;
        args.to_stride = width * std::int64_t{sizeof *sums};
        args.tiles = static_cast<int>((positions + tile_register_cols - 1) / tile_register_cols);
        row_.function(args);
    }

   private:
    const ChunksRow& row_;
    ChunksLayout layout_;
};

Registered<ChunksRow> row_for(const Subject& subject, const ConvShape& shape) {
    if (!shape.of_quads || shape.sliding.pixels() == 0 || shape.channels == 0) return {};
    return strongest_of(&Table::chunks, subject.levels, shape.loops());
}

ChunkCounts counts_of(Subject& subject) { return count_chunks(subject.operand.by_output(), false); }

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    const Padded padded(shape, false);
    if (row_for(subject, shape).row == nullptr || !has_short_offsets(padded)) return {};
    const double tiles = std::ceil(static_cast<double>(positions(padded, shape.sliding, padded.rows_of(0))) /
                                   static_cast<double>(tile_register_cols)) *
                         static_cast<double>(padded.n_strips());
    const double blocks = std::ceil(static_cast<double>(subject.operand.outer()) / static_cast<double>(block_rows));
    const CostConstants& c = costs();
    return tiles * (c.image_chunk_tile * subject.known(counts_of).copied + c.image_block_tile * blocks) +
           cost_of_moving(padded, subject, shape, shape.channels_last);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    const Registered<ChunksRow> row = row_for(subject, shape);
    const StoredMatrix& filters = subject.operand.by_output();
    ChunksLayout layout = derive_chunks(filters, false);
    const Padded padded(shape, false);
    const std::int64_t taps = shape.sliding.taps();
    for (std::uint32_t& unit : layout.units)
        unit = unit < filters.cols ? static_cast<std::uint32_t>(padded.offset(unit / taps, unit % taps)) : 0;
    using Quads = Product<std::int32_t, std::int32_t, std::int32_t>;
    return std::make_unique<const PlanesConvolution<Quads, ChunksLoop>>(
        matrix, shape, name_of(row),
        "padded planes: tiles of 16 filters and 16 quads, " +
            layout.filled(static_cast<double>(unit_bytes) * subject.operand.nnz()),
        ChunksLoop(*row.row, std::move(layout)), strongest_of(&Table::move, subject.levels, shape.types.y).row,
        strongest_of(&Table::fold, subject.levels, shape.types.y).row);
}

}  // namespace

const ConvWay chunks_way{"chunks", cost, build};

}  // namespace cs
