// SPDX-License-Identifier: BSD-3-Clause
// Row groups: batches.
#pragma once

#include <cstdint>

#include "base/epilogue.hpp"
#include "base/types.hpp"

namespace cs {

// Rows are cut into panels, columns into blocks. Inside a (panel, block) the rows are sorted by the number of entries
// they own there and taken four at a time: the four rows' entries are interleaved for as long as all four have one (a
// group of `count` steps), the rest of the longer rows follows in tails. So a group's loop count is known, groups of
// the same count form runs, and the loop exit is predicted; nothing is padded. A row's entries stay in ascending column
// order, in one accumulator, across groups, tails and blocks: the bits of an output depend on its row alone.
//
// Where neighbouring rows come in fours or eights of one pattern, these are the groups, and list their columns once.

inline constexpr int group_rows = 4;
inline constexpr int most_shared_rows = 8;  // panels are multiples of it
// Columns are stored as multiples of this many bytes, relative to the block, in 16 bits: an x86 address scales the
// index by 1, 2, 4 or 8 for nothing, so one layout serves tiles of 16, 32, 64 and 128 bytes.
inline constexpr int column_unit = 16;
inline constexpr int max_block_cols = 65536 / column_unit;
// In the list of a group's rows: more of the row's entries follow in a tail. So panels have at most as many rows.
inline constexpr std::uint16_t has_tail = 1u << 15;

struct GroupRun {
    std::uint32_t groups, count;
};
struct RowTail {
    std::uint16_t row, count;
};

// One (panel, block) against one tile of x. For each of its rows r:  to[r] = from[r] + sum of value * x[column],
// lane by lane over the tile's columns, and then what `finish` says; `from` counts as zero where `first` is set.
template <class Column>
struct GroupsArgs {
    const GroupRun* runs;
    const RowTail* tails;
    std::int64_t n_runs, n_tails;
    const std::uint16_t* rows;  // of each group, relative to the panel, with has_tail; a short last group repeats a row
    const Column* columns;      // where each entry's row of x lies; per entry, or per group that shares it
    const void* values;
    const void* x;
    std::int64_t x_step;  // bytes between its rows over column_unit; for micro-kernels that read rows that lie apart
    const void* from;
    void* to;
    std::int64_t from_stride, to_stride;  // elements between rows
    std::int64_t to_cols;                 // of `to`: all of the tile, or the first alone where the micro-kernel can
    bool first;                           // the first block: rows without entries are stored too
    bool last;                            // the last block, and what is stored is not `from`: every row is stored
    Epilogue finish;                      // of the last block; bias: of the panel's rows
};
// Columns are column * column_unit, relative to the block; x has one tile row per column of the block, without gaps but
// where the micro-kernel reads rows that lie apart.
using RowGroupsArgs = GroupsArgs<std::uint16_t>;
using RowGroupsFunction = void (*)(const RowGroupsArgs&);

// How the values of a group's rows with columns of their own get into all lanes: four by one load and a permute each,
// or each by a load.
enum class Values : std::uint8_t { spread, broadcast };

struct RowGroupsRow {
    Types types;
    int tile_cols;      // NR: columns of x that one call computes
    int shared_rows;    // rows of a group that shares its columns; 0: group_rows rows with columns of their own
    double cycles;      // an entry of each row of a group, at best: how tiles compare, whatever the matrix
    bool stores_first;  // columns alone, where a tile is not full
    RowGroupsFunction function;
    Values come = Values::spread;
    bool reads_apart = false;  // x_step may be any
    Activations takes = up_to_relu6;
};

}  // namespace cs
