// SPDX-License-Identifier: BSD-3-Clause
// Chunks, for batches of 8-bit numbers where sixteen rows share many of their columns, and of bfloat16 where they share
// all.
#include "layouts/chunks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/caches.hpp"
#include "base/sizes.hpp"
#include "kernels/interleave.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/dense_choice.hpp"
#include "layouts/quads.hpp"
#include "tiles/units.hpp"

namespace cs {
namespace {

// Blocks whose sums stay in L1 on their way to y: as many as there is room for, because each call of the loop begins
// with a copy that nothing else hides.
std::int64_t panel_blocks(std::int64_t tiles) { return 16 / tiles; }

template <class P>
class ChunksChoice final : public OneRowChoice<P, ChunksRow, ChunksLayout> {
    using X = typename P::X;
    using Y = typename P::Y;
    using Base = OneRowChoice<P, ChunksRow, ChunksLayout>;
    using Base::layout, Base::row;

   public:
    ChunksChoice(Subject& subject, std::string reason, Registered<ChunksRow> found,
                 std::shared_ptr<const ChunksLayout> made)
        : Base(subject, std::move(reason), found, std::move(made)),
          interleave_(
              *strongest_of(&Table::interleave, subject.levels, is_of_pairs(subject.types) ? Type::bf16 : Type::u8)
                   .row),
          move_(*strongest_of(&Table::move, subject.levels, Type::s32).row) {}

    bool requantizes() const override { return std::is_integral_v<Y>; }

   private:
    // How a product is cut into tasks, and what each worker needs.
    struct Cut {
        std::int64_t strip_cols, strips, shares;
        std::int64_t x_bytes, copy_bytes, y_bytes;

        std::int64_t tasks() const { return strips * shares; }
        std::int64_t of_worker() const { return x_bytes + copy_bytes + y_bytes; }
    };

    Cut cut(std::int64_t cols, int threads) const {
        Cut cut{};
        cut.strip_cols = row().most_tiles * tile_register_cols;
        cut.strips = (cols + cut.strip_cols - 1) / cut.strip_cols;
        const std::int64_t tiles = std::min<std::int64_t>(row().most_tiles, tiles_of(cols));
        const std::int64_t panels = (layout().n_blocks() + panel_blocks(tiles) - 1) / panel_blocks(tiles);
        cut.shares = threads > 1 && cut.strips < 2 * threads ? std::min<std::int64_t>(panels, threads) : 1;
        cut.x_bytes = layout().x_rows() * tiles * tile_register_cols * unit_bytes;
        cut.copy_bytes = tiles * chunk_bytes;
        cut.y_bytes = panel_blocks(tiles) * block_rows * tiles * tile_register_cols * std::int64_t{sizeof(Y)};
        return cut;
    }

    static std::int64_t tiles_of(std::int64_t cols) { return (cols + tile_register_cols - 1) / tile_register_cols; }

    std::int64_t bytes(const Source<X>&, const Sink<Y>& sink, int threads) const override {
        const Cut c = cut(sink.cols(), threads);
        return std::min<std::int64_t>(threads, c.tasks()) * c.of_worker();
    }

    void multiply(const Source<X>& source, const Sink<Y>& sink, int threads, unsigned char* memory) const override {
        const Cut c = cut(sink.cols(), threads);
        const UnitsSource<X> units(source, interleave_, move_, 0);
        auto task_of = [&](std::int64_t task, int worker) {
            const std::int64_t first = task / c.shares * c.strip_cols, share = task % c.shares;
            const Range cols{first, std::min(c.strip_cols, sink.cols() - first)};
            const std::int64_t n = layout().n_blocks();
            const Range blocks{n * share / c.shares, n * (share + 1) / c.shares - n * share / c.shares};
            multiply_strip(units, sink, cols, blocks, c, memory + worker * c.of_worker());
        };
        parallel_for(c.tasks(), threads, task_of);
    }

    // Some columns of some blocks of rows.
    void multiply_strip(const UnitsSource<X>& source, const Sink<Y>& sink, Range cols, Range blocks, const Cut& c,
                        unsigned char* own) const {
        const ChunksLayout& held = layout();
        const std::int64_t tiles = tiles_of(cols.count), width = tiles * tile_register_cols;
        auto* const x = reinterpret_cast<std::int32_t*>(own);
        auto* const sums = reinterpret_cast<Y*>(own + c.x_bytes + c.copy_bytes);
        source.pack_tile({0, source.rows()}, cols, width, nullptr, x);
        std::fill(x + source.rows() * width, x + held.x_rows() * width, 0);
        const DenseView& y = sink.view();
        const bool direct =
            sink.in_place() && y.col_stride == 1 && cols.count == width && sink.finish().changes_nothing();
        const std::int64_t end = blocks.first + blocks.count, whole = std::min(end, sink.rows() / block_rows);
        for (std::int64_t block = blocks.first, n; block < end; block += n) {
            const bool to_y = direct && block < whole;
            n = to_y ? whole - block : std::min(panel_blocks(tiles), end - block);
            const Range rows{block * block_rows, std::min(n * block_rows, sink.rows() - block * block_rows)};
            ChunksArgs args = held.args_of(block, n);
            args.x = x;
            args.unit_step = width * unit_bytes;
            args.copies = own + c.x_bytes;
            args.to = to_y ? element<Y>(y, rows.first, cols.first) : sums;
            args.to_stride = (to_y ? y.row_stride : width) * std::int64_t{sizeof(Y)};
            args.tiles = static_cast<int>(tiles);
            row().function(args);
            if (!to_y) sink.take_tile(sums, width, rows, cols);
        }
    }

    const InterleaveRow& interleave_;
    const MoveRow& move_;
};

bool of_pairs(const Subject& subject) { return is_of_pairs(subject.types); }
ChunkUse use_of(const Subject& subject) { return of_pairs(subject) ? ChunkUse::whole : ChunkUse::any; }
std::int64_t cols_of_unit(const Subject& subject) { return of_pairs(subject) ? pair_cols : quad_cols; }
StoredMatrix units_of(Subject& subject, OwnedCsr& owned) {
    const StoredMatrix& matrix = subject.operand.by_output();
    return of_pairs(subject) ? as_pairs(matrix, owned) : as_quads(matrix, owned);
}

ChunkCounts counts_of(Subject& subject) {
    OwnedCsr owned;
    const StoredMatrix units = units_of(subject, owned);
    ChunkCounts counts = count_chunks(units, true, use_of(subject));
    counts.full = counts.full && are_full(units, subject.operand.by_output());
    return counts;
}

std::optional<double> cost(Subject& subject, const Request& request) {
    const ChunksRow* const row = only_row<DotProducts>(&Table::chunks, subject).row;
    if (row == nullptr || !is_of_some_columns(request.batch)) return {};
    const CostConstants& c = costs();
    const auto [copied, in_place, full] = subject.known(counts_of);
    if (of_pairs(subject) && !full) return {};
    const double n = typical_columns(request.batch), tiles = std::ceil(n / tile_register_cols),
                 strips = std::ceil(tiles / row->most_tiles);
    const double in = static_cast<double>(subject.operand.inner()) / static_cast<double>(cols_of_unit(subject)),
                 out = static_cast<double>(subject.operand.outer());
    const double blocks = std::ceil(out / block_rows), chunks = copied + in_place;
    const double of_tile = c.copied_tile * copied + c.neighbours_tile * in_place + c.block_tile * blocks;
    // Weights from beyond L2 are waited for by each strip.
    const double bytes = chunks * chunk_bytes;
    const bool far = bytes > c.l2_share * static_cast<double>(cache_sizes().l2);
    const double of_strip = c.chunk_copied * copied + (far ? bytes / c.far_chunk_bytes : 0);
    double moved = c.quad_moved * (in + out) * n;
    if (has_contiguous_rows(request.batch)) {
        const bool ragged = std::fmod(n, tile_register_cols) != 0;
        moved = (c.quads_in * in + c.quads_out * out + (ragged ? c.ragged_block_tile * blocks : 0)) * tiles;
    }
    return (c.call + strips * of_strip + tiles * of_tile + moved) / n;
}

std::unique_ptr<const Choice> build(Subject& subject, const Request&);
constexpr LayoutKind kind{"chunks", cost, build};

std::unique_ptr<const Choice> build(Subject& subject, const Request&) {
    auto layout = subject.layout<ChunksLayout>(kind, [&] {
        OwnedCsr owned;
        return derive_chunks(units_of(subject, owned), true, use_of(subject));
    });
    const std::string units = of_pairs(subject) ? "pairs" : "quads";
    const double bytes = subject.operand.nnz() * bytes_of(subject.types.w);
    return make_choice<ChunksChoice, DotProducts>(
        subject, "chunks: tiles of 16 rows and 16 " + units + " of columns, " + layout->filled(bytes),
        only_row<DotProducts>(&Table::chunks, subject), std::move(layout));
}

}  // namespace

List<LayoutKind> chunks_kinds() { return {&kind, 1}; }

RowName row_name(const ChunksRow& row) {
    const auto cols = static_cast<int>(row.most_tiles * tile_register_cols);
    return {"spmm", "chunks", name_of(row.types), by(block_rows, cols), block_rows, cols};
}

}  // namespace cs
