// SPDX-License-Identifier: BSD-3-Clause
// Convolutions of 8-bit numbers: four channels of a pixel are one quad of 32 bits, images and filters both, and the
// ways for images serve these as any others, with a loop that multiplies quads. Of a single channel, four neighbouring
// taps of a row are one, and each pixel is a quad with the three that follow it.
#include "layouts/quads.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "conv/quad_images.hpp"
#include "conv/ways.hpp"
#include "layouts/costs.hpp"
#include "tiles/requantizing_sink.hpp"
#include "tiles/work.hpp"

namespace cs {
namespace {

// The ways for images, whose loops for quads there are.
const std::vector<const ConvWay*>& ways() {
    static const std::vector<const ConvWay*> all{&planes_way, &filter_lanes_way, &chunks_way};
    return all;
}

// Which four columns of the filters are one.
class Fours {
   public:
    explicit Fours(const ConvShape& shape) : sliding_(shape.sliding), of_taps_(are_taps(shape)) {}

    bool of_taps() const { return of_taps_; }
    std::int64_t quads(std::int64_t cols) const {
        return of_taps_ ? sliding_.kernel_rows * quads_of_row() : quads_for(cols / sliding_.taps()) * sliding_.taps();
    }
    std::int64_t quad_of(std::int64_t col) const {
        const std::int64_t channel = col / sliding_.taps(), tap = col % sliding_.taps();
        if (!of_taps_) return channel / quad_cols * sliding_.taps() + tap;
        return tap / sliding_.kernel_cols * quads_of_row() + tap % sliding_.kernel_cols / quad_cols;
    }
    std::int64_t byte_of(std::int64_t col) const {
        return (of_taps_ ? col % sliding_.kernel_cols : col / sliding_.taps()) % quad_cols;
    }

    ConvShape shape_of_quads(const ConvShape& shape) const {
        ConvShape of = shape;
        of.types = uniform(Type::s32);
        of.deterministic = false;  // sums of integers are exact in any order
        of.of_quads = true;
        if (of_taps_) {
            of.sliding.kernel_cols = quads_of_row();
            of.sliding.dilation_cols *= quad_cols;
        } else {
            of.channels = quads_for(shape.channels);
        }
        return of;
    }

   private:
    static std::int64_t quads_for(std::int64_t n) { return (n + quad_cols - 1) / quad_cols; }
    // Windows that begin and end in the image: what lies around it would be in the middle of a quad. The last quad of a
    // row may reach beyond, with taps that are zero, but not begin there.
    static bool are_taps(const ConvShape& shape) {
        const Sliding& s = shape.sliding;
        return shape.channels == 1 && s.left == 0 &&
               (s.out_cols - 1) * s.stride_cols + (s.kernel_cols - 1) * s.dilation_cols < shape.width;
    }
    std::int64_t quads_of_row() const { return quads_for(sliding_.kernel_cols); }

    const Sliding sliding_;
    const bool of_taps_;
};

// Filters whose columns are quads.
StoredMatrix filters_of_quads(const StoredMatrix& filters, const Fours& fours, OwnedCsr& owned) {
    struct Entry {
        std::int32_t column;
        std::uint32_t value;
    };
    const auto* const values = static_cast<const std::uint8_t*>(filters.values);
    std::vector<Entry> row;
    std::vector<std::uint32_t> quads;
    owned.row_ptr.assign(1, 0);
    for (std::int64_t r = 0; r < filters.rows; ++r) {
        row.clear();
        for (std::int64_t at = filters.row_ptr[r]; at < filters.row_ptr[r + 1]; ++at) {
            const std::int64_t column = filters.columns[at];
            row.push_back({static_cast<std::int32_t>(fours.quad_of(column)), static_cast<std::uint32_t>(values[at])
                                                                                 << 8 * fours.byte_of(column)});
        }
        std::stable_sort(row.begin(), row.end(), [](const Entry& a, const Entry& b) { return a.column < b.column; });
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (i == 0 || row[i].column != row[i - 1].column)
                owned.columns.push_back(row[i].column), quads.push_back(row[i].value);
            else
                quads.back() |= row[i].value;
        }
        owned.row_ptr.push_back(static_cast<std::int64_t>(quads.size()));
    }
    owned.values.resize(quads.size() * sizeof(std::uint32_t));
    if (!quads.empty()) std::memcpy(owned.values.data(), quads.data(), owned.values.size());
    return {filters.rows,         fours.quads(filters.cols), owned.row_ptr.data(),
            owned.columns.data(), owned.values.data(),       Type::s32};
}

struct QuadFilters {
    OwnedCsr owned;
    Matrix matrix;
    QuadFilters(const StoredMatrix& filters, const Fours& fours) : matrix(filters_of_quads(filters, fours, owned)) {}
};

struct Found {
    const ConvWay* way = nullptr;
    double cost = 0;
};

Found cheapest(const Matrix& matrix, const ConvShape& shape) {
    Subject subject(matrix, Side::rows, shape.types);
    Found best;
    for (const ConvWay* way : ways())
        if (const auto cost = way->cost(subject, shape); cost && (best.way == nullptr || *cost < best.cost))
            best = {way, *cost};
    return best;
}

class QuadsConvolution final : public Convolution {
   public:
    QuadsConvolution(const Matrix& matrix, const ConvShape& shape, const Fours& fours,
                     std::unique_ptr<const QuadFilters> filters, std::unique_ptr<const Convolution> way,
                     std::vector<std::int32_t> starts, const InterleaveRow& row)
        : Convolution(matrix, shape, way->name(),
                      (fours.of_taps() ? "four taps as one; " : "four channels as one; ") + way->reason()),
          of_taps_(fours.of_taps()),
          filters_(std::move(filters)),
          way_(std::move(way)),
          starts_(std::move(starts)),
          interleave_(row) {}

    bool requantizes() const override { return way_->requantizes(); }
    bool pools(PoolWindow window) const override { return way_->pools(window); }
    std::int64_t layout_bytes() const override { return way_->layout_bytes() + bytes_of_arrays(starts_); }

    std::int64_t workspace_bytes(const ConvOperands& operands, int threads) const override {
        const Images images = images_of(operands);
        return bias_bytes() + images.bytes + way_->workspace_bytes(of_quads(operands, images, nullptr), threads);
    }

    void run(const ConvOperands& operands, int threads, Workspace workspace) const override {
        const Images images = images_of(operands);
        auto* const bias = reinterpret_cast<std::int32_t*>(workspace.memory);
        unsigned char* const copy = workspace.memory + bias_bytes();
        ConvOperands of = of_quads(operands, images, copy);
        Requantizing moved{};
        if (is_signed()) {
            const auto* const given = operands.requantizing != nullptr
                                          ? operands.requantizing->how.bias
                                          : static_cast<const std::int32_t*>(operands.finish.bias);
            for (std::size_t r = 0; r < starts_.size(); ++r)
                bias[r] = static_cast<std::int32_t>(static_cast<std::uint32_t>(starts_[r]) +
                                                    static_cast<std::uint32_t>(given != nullptr ? given[r] : 0));
            if (operands.requantizing != nullptr) {
                moved = *operands.requantizing;
                moved.how.bias = bias;
                of.requantizing = &moved;
            } else {
                of.finish.bias = bias;
            }
        }
        const std::int64_t needed = bias_bytes() + images.bytes;
        // Some images at a time, so that the copy of them is still in a cache.
        for (std::int64_t first = 0; first < operands.x.images; first += images.at_once) {
            const std::int64_t count = std::min(images.at_once, operands.x.images - first);
            of.x.images = of.y.images = count;
            if (images.in_place) {
                of.x.data = static_cast<char*>(operands.x.data) + first * operands.x.image_stride;
            } else if (!of.interleaving) {
                ImagesView from = operands.x;
                from.data = static_cast<char*>(operands.x.data) + first * operands.x.image_stride;
                from.images = count;
                if (of_taps_)
                    quads_of_neighbours(from, of.x, shape().sliding.dilation_cols, flip(), interleave_, threads);
                else
                    interleave_images(from, of.x, flip(), interleave_, threads);
            }
            of.y.data = static_cast<char*>(operands.y.data) +
                        first * operands.y.image_stride * (operands.requantizing != nullptr ? 1 : 4);
            way_->run(of, threads, {workspace.memory + needed, workspace.bytes - needed});
        }
    }

   private:
    // Images as quads: read where they lie, or by a way that interleaves them, or copied.
    struct Images {
        bool in_place;
        std::int64_t at_once, bytes;
    };
    bool interleaves(const ImagesView& x) const {
        return way_->interleaves() && !of_taps_ && x.col_stride == 1 && x.channels > 1;
    }

    bool is_signed() const { return shape().types.x == Type::s8; }
    std::uint8_t flip() const { return is_signed() ? 0x80 : 0; }
    std::int64_t bias_bytes() const {
        return is_signed() ? round_to_lines(static_cast<std::int64_t>(starts_.size()), sizeof(std::int32_t)) * 4 : 0;
    }

    Images images_of(const ConvOperands& operands) const {
        const ImagesView& x = operands.x;
        if (!is_signed() && !of_taps_ && are_quads(x)) return {true, std::max<std::int64_t>(1, x.images), 0};
        if (interleaves(x)) return {false, std::max<std::int64_t>(1, x.images), 0};
        const std::int64_t quads = (x.channels + quad_cols - 1) / quad_cols * x.height * x.width;
        constexpr std::int64_t some = 1 << 18;  // bytes
        const std::int64_t at_once = std::clamp<std::int64_t>(some / std::max<std::int64_t>(1, 4 * quads), 1,
                                                              std::max<std::int64_t>(1, x.images));
        return {false, at_once, round_to_lines(at_once * quads * 4, 1)};
    }

    ConvOperands of_quads(const ConvOperands& operands, const Images& images, unsigned char* copy) const {
        ConvOperands of = operands;
        of.x = images.in_place ? as_quads(operands.x) : quads_in(operands.x, copy);
        of.pad = static_cast<std::int32_t>(0x01010101u *
                                           (static_cast<std::uint8_t>(operands.pad) ^ static_cast<unsigned>(flip())));
        of.x.images = of.y.images = std::min(images.at_once, operands.x.images);
        if (!images.in_place && interleaves(operands.x))
            of.interleaving = Interleaving{operands.x, flip(), &interleave_};
        return of;
    }

    const bool of_taps_;
    const std::unique_ptr<const QuadFilters> filters_;
    const std::unique_ptr<const Convolution> way_;
    const std::vector<std::int32_t> starts_;
    const InterleaveRow& interleave_;
};

std::optional<double> cost(Subject& subject, const ConvShape& shape) {
    if (!is_of_bytes(subject.types)) return {};
    const Fours fours(shape);
    const QuadFilters filters(subject.operand.by_output(), fours);
    const Found found = cheapest(filters.matrix, fours.shape_of_quads(shape));
    if (found.way == nullptr) return {};
    return found.cost + 0.15 * static_cast<double>(shape.channels * shape.height * shape.width);
}

std::unique_ptr<const Convolution> build(const Matrix& matrix, const ConvShape& shape) {
    const Fours fours(shape);
    auto filters = std::make_unique<const QuadFilters>(matrix.stored(), fours);
    const ConvShape of_quads = fours.shape_of_quads(shape);
    auto way = cheapest(filters->matrix, of_quads).way->build(filters->matrix, of_quads);
    return std::make_unique<const QuadsConvolution>(matrix, shape, fours, std::move(filters), std::move(way),
                                                    starts_of_moved(matrix.stored()),
                                                    *strongest_of(&Table::interleave, usable_levels(), Type::u8).row);
}

}  // namespace

const ConvWay quads_way{"quads", cost, build};

}  // namespace cs
