// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/sizes.hpp"
#include "layouts/chunks.hpp"
#include "layouts/stored.hpp"

namespace cs {
namespace {

// Of sixteen units that lie together so many are worth a chunk of their own: no copy is as much as four multiplications
// of six.
constexpr std::int64_t least_together = 10;

// The units of a block of rows: those of windows that are well filled, and the others.
class UnitsOfBlock {
   public:
    UnitsOfBlock(const StoredMatrix& units, bool in_place, ChunkUse use)
        : units_(units),
          in_place_(in_place),
          least_together_(use == ChunkUse::any ? least_together : chunk_units),
          in_block_(as_size(units.cols), false) {}

    void find(std::int64_t block) {
        for (const std::int32_t unit : list_) in_block_[as_size(unit)] = false;
        list_.clear(), windows_.clear(), scattered_.clear();
        const std::int64_t end = std::min((block + 1) * block_rows, units_.rows);
        for (std::int64_t i = units_.row_ptr[block * block_rows]; i < units_.row_ptr[end]; ++i)
            if (!in_block_[as_size(units_.columns[i])]) {
                in_block_[as_size(units_.columns[i])] = true;
                list_.push_back(units_.columns[i]);
            }
        std::sort(list_.begin(), list_.end());
        for (std::size_t first = 0, next; first < list_.size(); first = next) {
            const std::int64_t window = list_[first] / chunk_units;
            for (next = first; next < list_.size() && list_[next] / chunk_units == window;) ++next;
            if (in_place_ && static_cast<std::int64_t>(next - first) >= least_together_)
                windows_.push_back(window * chunk_units);
            else
                scattered_.insert(scattered_.end(), list_.begin() + static_cast<std::ptrdiff_t>(first),
                                  list_.begin() + static_cast<std::ptrdiff_t>(next));
        }
    }

    std::int64_t size() const { return static_cast<std::int64_t>(list_.size()); }
    const std::vector<std::int64_t>& windows() const { return windows_; }      // first units
    const std::vector<std::int32_t>& scattered() const { return scattered_; }  // ascending
    std::int64_t chunks_of_scattered() const {
        return (static_cast<std::int64_t>(scattered_.size()) + chunk_units - 1) / chunk_units;
    }

   private:
    const StoredMatrix& units_;
    const bool in_place_;
    const std::int64_t least_together_;
    std::vector<bool> in_block_;
    std::vector<std::int32_t> list_, scattered_;
    std::vector<std::int64_t> windows_;
};

std::int64_t blocks_of(const StoredMatrix& units) { return (units.rows + block_rows - 1) / block_rows; }

}  // namespace

std::int64_t ChunksLayout::bytes() const { return bytes_of_arrays(first_chunks, units, copied, weights); }

std::string ChunksLayout::filled(double entries) const {
    const double all = static_cast<double>(std::max<std::int64_t>(1, slots()));
    return std::to_string(std::lround(100 * entries / all)) + "% filled";
}

ChunkCounts count_chunks(const StoredMatrix& units, bool in_place, ChunkUse use) {
    ChunkCounts counts;
    UnitsOfBlock of_block(units, in_place, use);
    std::int64_t places = 0;
    for (std::int64_t block = 0; block < blocks_of(units); ++block) {
        of_block.find(block);
        counts.copied += static_cast<double>(of_block.chunks_of_scattered());
        counts.in_place += static_cast<double>(of_block.windows().size());
        places += of_block.size() * std::min(block_rows, units.rows - block * block_rows);
    }
    counts.full = places == units.nnz();
    return counts;
}

ChunksLayout derive_chunks(const StoredMatrix& units, bool in_place, ChunkUse use) {
    ChunksLayout layout;
    layout.n_units = units.cols;
    const auto zero_unit = static_cast<std::uint32_t>(units.cols);
    const auto* const values = static_cast<const unsigned char*>(units.values);
    UnitsOfBlock of_block(units, in_place, use);
    std::vector<std::size_t> places(as_size(units.cols));  // of a unit of the block: chunk * chunk_units + which
    for (std::int64_t block = 0; block < blocks_of(units); ++block) {
        of_block.find(block);
        for (const std::int64_t first : of_block.windows()) {
            layout.copied.push_back(0);
            for (std::int64_t unit = first; unit < first + chunk_units; ++unit) {
                if (unit < units.cols) places[as_size(unit)] = layout.units.size();
                layout.units.push_back(static_cast<std::uint32_t>(unit));
            }
        }
        for (const std::int32_t unit : of_block.scattered()) {
            places[as_size(unit)] = layout.units.size();
            layout.units.push_back(static_cast<std::uint32_t>(unit));
        }
        for (auto left = static_cast<std::int64_t>(of_block.scattered().size()); left > 0; left -= chunk_units)
            layout.copied.push_back(static_cast<std::uint8_t>(
                use == ChunkUse::whole
                    ? chunk_units
                    : std::min(chunk_units, (left + units_at_once - 1) / units_at_once * units_at_once)));
        const std::size_t n_chunks = layout.copied.size();
        layout.units.resize(n_chunks * chunk_units, zero_unit);
        layout.first_chunks.push_back(static_cast<std::int64_t>(n_chunks));
        layout.weights.resize(n_chunks * chunk_bytes, 0);
        const std::int64_t first_row = block * block_rows, end = std::min(first_row + block_rows, units.rows);
        for (std::int64_t row = first_row; row < end; ++row)
            for (std::int64_t i = units.row_ptr[row]; i < units.row_ptr[row + 1]; ++i) {
                const std::size_t place = places[as_size(units.columns[i])];
                const std::size_t chunk = place / chunk_units, unit = place % chunk_units;
                std::memcpy(
                    &layout.weights[chunk * chunk_bytes + (as_size(row - first_row) * chunk_units + unit) * unit_bytes],
                    values + i * unit_bytes, unit_bytes);
            }
    }
    return layout;
}

}  // namespace cs
