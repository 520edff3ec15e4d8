// SPDX-License-Identifier: BSD-3-Clause
// Row groups whose entries are told where they meet x, in place of the columns of a tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/aligned.hpp"
#include "base/sizes.hpp"
#include "layouts/row_groups.hpp"
#include "layouts/stored.hpp"

namespace cs {

struct PlanesLayout {
    RowGroupsLayout groups;                // without its columns
    std::int64_t places;                   // of an entry: one, or one for each output of a window
    AlignedVector<std::uint32_t> offsets;  // for each of the columns that there were, of each place
    std::int64_t bytes() const { return groups.bytes() + bytes_of_arrays(offsets); }

    // place(column, i): elements of x before place i of an entry of this column.
    template <class Place>
    static PlanesLayout of(RowGroupsLayout groups, std::int64_t places, const Place& place) {
        PlanesLayout layout{std::move(groups), places, {}};
        RowGroupsLayout& held = layout.groups;
        layout.offsets.reserve(held.columns.size() * as_size(places));
        for (std::size_t part = 0; part < held.parts.size(); ++part) {
            const std::int64_t each = held.shared_rows > 0 ? held.shared_rows : 1;
            const std::int64_t end = part + 1 < held.parts.size() ? held.parts[part + 1].entry : held.entries;
            const std::int64_t first_col = static_cast<std::int64_t>(part) % held.n_blocks * held.block_cols;
            for (std::int64_t at = held.parts[part].entry / each; at < end / each; ++at)
                for (std::int64_t i = 0; i < places; ++i)
                    layout.offsets.push_back(
                        static_cast<std::uint32_t>(place(first_col + held.columns[as_size(at)] / column_unit, i)));
        }
        AlignedVector<std::uint16_t>().swap(held.columns);
        return layout;
    }
    template <class W>
    GroupsArgs<std::uint32_t> args_of(std::int64_t panel, std::int64_t block) const {
        const RowGroupsLayout::Part& part = groups.part(panel, block);
        auto args = groups.args_of<W>(part, offsets.data());
        args.columns += (places - 1) * (args.columns - offsets.data());
        return args;
    }
};

// Rows of a panel: as many as there are, in whole groups.
inline std::int64_t panel_of_all(std::int64_t rows) {
    constexpr std::int64_t most = 2048, each = most_shared_rows;
    return std::clamp<std::int64_t>((rows + each - 1) / each * each, each, most);
}

}  // namespace cs
