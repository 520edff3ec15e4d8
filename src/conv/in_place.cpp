// SPDX-License-Identifier: BSD-3-Clause
// Row groups on the planes of an image as they are, where a patch is a pixel: an entry meets the plane of its channel,
// and nothing is copied. What does not lie like that goes the way of products.
//
// Loads that cross cache lines cost two. Rows that share their columns use each of them so often that this costs
// little; others want planes of whole lines, of which tiles begin where these do: the pixels before the first line and
// behind the last one are computed with some of their neighbours, which are computed twice.
#include <algorithm>
#include <limits>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/caches.hpp"
#include "conv/plane_offsets.hpp"
#include "conv/ways.hpp"
#include "kernels/names.hpp"
#include "kernels/planes.hpp"
#include "layouts/row_groups.hpp"
#include "plan/dense.hpp"
#include "tiles/sink.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

using Tile = Registered<PlanesRow>;

// Of the strongest level, for the highest groups that the pattern has, of ascending width; the first of one vector.
std::vector<Tile> tiles_for(Subject& subject) {
    constexpr int most_vectors = 5;
    const int shared = subject.known(rows_to_a_pattern);
    std::vector<Tile> found;
    for (const Tile& tile : rows_of(&Table::planes, subject.levels)) {
        const PlanesRow& row = *tile.row;
        if (row.types != subject.types || row.shared_rows > shared ||
            (row.shared_rows > 0 && subject.operand.outer() % row.shared_rows != 0))
            continue;
        if (!found.empty()) {
            const auto order = [](const Tile& one) { return std::pair(one.row->shared_rows, one.isa); };
            if (order(tile) < order(found.front())) continue;
            if (order(found.front()) < order(tile)) found.clear();
        }
        found.push_back(tile);
    }
    std::sort(found.begin(), found.end(),
              [](const Tile& a, const Tile& b) { return a.row->tile_cols < b.row->tile_cols; });
    while (!found.empty() && found.back().row->tile_cols > most_vectors * found.front().row->tile_cols)
        found.pop_back();
    return found;
}

std::int64_t pixels_of(const ConvShape& shape) { return shape.height * shape.width; }

// Where vectors are cache lines, and planes long enough to be cut into tiles.
bool serves(Subject& subject, const ConvShape& shape, const std::vector<Tile>& tiles) {
    constexpr std::int64_t least_vectors = 8;
    if (tiles.empty() || !shape.is_pixelwise() || shape.channels_last || shape.deterministic ||
        pixels_of(shape) * shape.channels >= std::numeric_limits<std::uint32_t>::max())
        return false;
    const std::int64_t lanes = tiles.front().row->tile_cols, size = bytes_of(subject.types.x);
    return lanes * size == std::int64_t{cache_line} && pixels_of(shape) >= least_vectors * lanes &&
           (tiles.front().row->shared_rows > 0 || pixels_of(shape) % lanes == 0);
}

template <class P>
class InPlace final : public Convolution {
    using X = typename P::X;
    using Y = typename P::Y;

   public:
    InPlace(const Matrix& matrix, const ConvShape& shape, std::string reason, std::unique_ptr<const Convolution> others,
            std::vector<Tile> tiles, PlanesLayout layout)
        : Convolution(matrix, shape, name_of(tiles.back()), std::move(reason)),
          others_(std::move(others)),
          tiles_(std::move(tiles)),
          layout_(std::move(layout)) {}

    bool takes_rows() const override { return others_->takes_rows(); }
    std::int64_t layout_bytes() const override { return layout_.bytes() + others_->layout_bytes(); }
    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        return others_->workspace_bytes(operands, threads);
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        if (!lies_in_planes(operands)) return others_->run(operands, threads, workspace);
        const std::int64_t pixels = pixels_of(shape()), widest = tiles_.back().row->tile_cols;
        const std::int64_t shares = threads == 1 ? 1 : std::clamp<std::int64_t>(pixels / (2 * widest), 1, 4 * threads);
        auto task = [&](std::int64_t number, int) {
            const X* const x = static_cast<const X*>(operands.x.data) + number / shares * operands.x.image_stride;
            const std::int64_t lead = before_line(x), share = number % shares;
            const auto cut = [&](std::int64_t n) {
                return n == 0 ? 0 : n == shares ? pixels : lead + pixels * n / shares / widest * widest;
            };
            multiply(operands, number / shares, {cut(share), cut(share + 1) - cut(share)}, share == 0 ? lead : 0);
        };
        parallel_for(operands.x.images * shares, threads, task);
    }

   private:
    bool lies_in_planes(const ConvOperands& operands) const {
        const ImagesView &x = operands.x, &y = operands.y;
        const auto is_flat = [](const ImagesView& images) {
            return images.col_stride == 1 && (images.height == 1 || images.row_stride == images.width);
        };
        return is_flat(x) && is_flat(y) && x.channel_stride == pixels_of(shape()) && y.height == shape().height &&
               x.height == shape().height && up_to_relu6.have(operands.finish.activation) &&
               operands.requantizing == nullptr;
    }

    // Pixels before the first cache line, which matter where rows have columns of their own.
    std::int64_t before_line(const X* x) const {
        constexpr auto line = static_cast<std::int64_t>(cache_line / sizeof(X));
        const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(x) / sizeof(X)) % line;
        return layout_.groups.shared_rows > 0 || past == 0 ? 0 : line - past;
    }

    // lead: how many pixels of these come before a cache line.
    void multiply(const ConvOperands& operands, std::int64_t image, Range pixels, std::int64_t lead) const {
        const std::int64_t last = pixels.first + pixels.count, least = tiles_.front().row->tile_cols;
        if (lead > 0) tile(operands, image, pixels.first, *tiles_.front().row);
        for (std::int64_t at = pixels.first + lead; at < last;) {
            std::size_t widest = tiles_.size();
            while (widest > 1 && tiles_[widest - 1].row->tile_cols > last - at) --widest;
            const PlanesRow& row = *tiles_[widest - 1].row;
            tile(operands, image, std::min(at, last - least), row);
            at += row.tile_cols;
        }
    }

    // Output pixels from `at` on.
    void tile(const ConvOperands& operands, std::int64_t image, std::int64_t at, const PlanesRow& row) const {
        const ImagesView& y = operands.y;
        const X* const x = static_cast<const X*>(operands.x.data) + image * operands.x.image_stride + at;
        const DenseView to{static_cast<Y*>(y.data) + image * y.image_stride, y.channels, pixels_of(shape()),
                           y.channel_stride, 1};
        const RowGroupsLayout& held = layout_.groups;
        for (std::int64_t panel = 0; panel < held.n_panels; ++panel) {
            const Range rows{panel * held.panel_rows, std::min(held.panel_rows, y.channels - panel * held.panel_rows)};
            fetch_outputs<Y>(to, rows, {at, row.tile_cols});
            for (std::int64_t block = 0; block < held.n_blocks; ++block) {
                auto args = layout_.args_of<typename P::W>(panel, block);
                args.x = x;
                args.from = args.to = element<Y>(to, rows.first, at);
                args.from_stride = args.to_stride = y.channel_stride;
                args.to_cols = row.tile_cols;
                args.first = block == 0;
                if (block == held.n_blocks - 1) args.finish = operands.finish;
                if (args.finish.bias != nullptr)
                    args.finish.bias = static_cast<const Y*>(args.finish.bias) + rows.first;
                args.last = !args.finish.changes_nothing();
                row.function(args);
            }
        }
    }

    const std::unique_ptr<const Convolution> others_;
    const std::vector<Tile> tiles_;
    const PlanesLayout layout_;
};

using Supported = TypeList<Product<float, float, float>, Product<double, double, double>>;

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    const std::vector<Tile> tiles = tiles_for(subject);
    if (index_in(Supported{}, subject.types) == Supported::count || !serves(subject, shape, tiles)) return {};
    // Tiles store all filters of a few pixels, lines that lie apart: more of them than channels cost what is gained
    // where rows share their columns, and the product takes little time.
    if (tiles.front().row->shared_rows > 0 && subject.operand.outer() > shape.channels) return {};
    // Beside the cheapest product, measured: half of its time to a little more than that.
    constexpr double in_place = 0.9;
    const auto options = dense_options(subject, batch_of(pixels_of(shape), true, false));
    return in_place * options.front().cost * static_cast<double>(pixels_of(shape));
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    auto others = products_way.build(matrix, shape);
    const std::lock_guard<ForkSafeMutex> lock(matrix.mutex());
    Subject subject(matrix, Side::rows, shape.types);
    std::vector<Tile> tiles = tiles_for(subject);
    const PlanesRow& widest = *tiles.back().row;
    const StoredMatrix& filters = subject.operand.by_output();
    // Rows with columns of their own meet a channel once for each entry, and want its part of a tile in L1.
    const std::int64_t of_channel = widest.tile_cols * bytes_of(shape.types.x);
    const std::int64_t most = widest.shared_rows > 0 ? max_block_cols : cache_sizes().l1d * 3 / 5 / of_channel;
    const std::int64_t block = std::clamp<std::int64_t>(filters.cols, 1, most), pixels = pixels_of(shape);
    PlanesLayout layout =
        PlanesLayout::of(derive_row_groups(filters, panel_of_all(filters.rows), block, widest.shared_rows), 1,
                         [&](std::int64_t column, std::int64_t) { return column * pixels; });
    const char* const sharing = widest.shared_rows > 4   ? ", eight filters to a pattern"
                                : widest.shared_rows > 0 ? ", four filters to a pattern"
                                                         : "";
    const std::string reason = "planes as they lie: tiles of up to " + std::to_string(widest.tile_cols) + " pixels" +
                               sharing + ", blocks of " + std::to_string(block) + " channels; or " + others->reason();
    return dispatch<Supported>(shape.types, [&](auto product) -> std::unique_ptr<const Convolution> {
        return std::make_unique<const InPlace<decltype(product)>>(matrix, shape, reason, std::move(others),
                                                                  std::move(tiles), std::move(layout));
    });
}

}  // namespace

const ConvWay in_place_way{"in_place", cost, build};

}  // namespace cs
