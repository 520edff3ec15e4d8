// SPDX-License-Identifier: BSD-3-Clause
// The contract between macro-kernels and micro-kernels: what a layout looks like in memory, what one call computes, and
// the rows of the kernel table. A leaf: it includes nothing of the core but types.hpp, because every ISA level includes
// it.
#pragma once

#include <cstdint>

#include "base/types.hpp"

namespace cs {

// ---- row groups: batches -------------------------------------------------------------------------------------------
//
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

struct GroupRun {
    std::uint32_t groups, count;
};
struct RowTail {
    std::uint16_t row, count;
};

// One (panel, block) against one tile of x. For each of its rows r:  to[r] = from[r] + sum of value * x[column],
// lane by lane over the tile's columns; `from` counts as zero where `first` is set.
struct SpmmArgs {
    const GroupRun* runs;
    const RowTail* tails;
    std::int64_t n_runs, n_tails;
    const std::uint16_t* rows;     // of each group, relative to the panel; a short last group repeats a row
    const std::uint16_t* columns;  // column * column_unit, relative to the block; per entry, or per four that share it
    const void* values;
    const void* x;  // one tile row (tile width) per column of the block, without gaps
    const void* from;
    void* to;
    std::int64_t from_stride, to_stride;  // elements between rows
    bool first;                           // the first block: rows without entries are stored too
    bool last;                            // the last block, and `to` is not `from`: every row is stored
};
using SpmmFunction = void (*)(const SpmmArgs&);

struct SpmmRow {
    Type type;
    int tile_cols;    // NR: columns of x that one call computes
    int shared_rows;  // rows of a group that shares its columns; 0: group_rows rows with columns of their own
    SpmmFunction function;
};

// ---- rows: batches of very sparse matrices -------------------------------------------------------------------------

// y[r, j] = activation(sum of value * x[column, j] + bias[r]) for the rows of [first_row, last_row) and all j < n; rows
// of x and of y are contiguous. Reads the stored matrix itself, columns ascending, one accumulator per output.
struct RowsArgs {
    const std::int64_t* row_ptr;
    const std::int32_t* columns;
    const void* values;
    std::int64_t first_row, last_row;
    const void* x;
    void* y;
    std::int64_t n, x_stride, y_stride;
    const void* bias;
    bool relu;
};
using RowsFunction = void (*)(const RowsArgs&);

struct RowsRow {
    Type type;
    int tile_cols;
    RowsFunction function;
};

// ---- windows: one column -------------------------------------------------------------------------------------------
//
// Lanes are rows: eight rows with about as many entries each form a group, and one vector step multiplies one entry of
// each. x is fetched in two ways. A *tile* step broadcasts a few windows of four neighbouring columns and lets each
// lane pick its column by an in-register permute: it covers the entries that are near each other in column, for a
// quarter of the loads. A *gather* step fetches the lanes' columns one by one and covers the rest. The packer chooses
// how many entries go into tiles. Lanes without an entry hold the value -0.0 (which changes no finite sum) and any
// column; a stored -0.0 becomes 0.0. Where a sum comes out
// non-finite, a masked variant that drops those lanes' products runs again.

inline constexpr int window_lanes = 8;
inline constexpr int window_cols = 4;
inline constexpr int block_tiles = 4;  // tiles come in blocks of four
// Per block: lane l of tile j finds its column in its window in the low two bits of picks[4 * l + j], and the window's
// number in bits 7 and 6 of picks[4 * l + j + 3]: loading 32 bytes at picks + j gives, without further decoding, the
// control of a permute (low bits of each lane) and of a select (its sign bit). 35 bytes are used; with 64 no load
// crosses a cache line.
inline constexpr int block_picks = 64;
// Window bases stored per tile.
constexpr int tile_bases(int windows) { return windows == 2 ? 2 : 4; }

struct WindowGroup {
    std::uint32_t blocks, steps;  // of tiles; of gathers
    bool consecutive;             // the lanes' rows follow each other: their sums are stored at once
    std::int64_t first_block, first_step;
};

// y[rows[i]] = activation(sum of value * x[column] + bias[rows[i]]) for the rows of n_groups groups.
struct SpmvArgs {
    const WindowGroup* groups;
    std::int64_t n_groups;
    const std::uint32_t* rows;  // window_lanes per group; no_row where a lane is empty
    const std::uint8_t* picks;
    const std::uint16_t* bases;
    const void* tile_values;
    const std::uint16_t* columns;
    const void* values;
    const void* x;  // contiguous
    void* y;
    std::int64_t y_stride;
    const void* bias;
    bool relu;
};
inline constexpr std::uint32_t no_row = 0xffffffff;
using SpmvFunction = void (*)(const SpmvArgs&);

struct SpmvRow {
    Type type;
    int windows;  // per tile; 0: gather steps only
    SpmvFunction function;
};

// ---- routed: patterns in which every row owns the same number of entries in every window --------------------------
//
// A *layer* gives each row one entry out of one window of neighbouring columns: so all rows of a vector find their
// activation in the same few registers, and an in-register permute by kernel id routes it to the lane. No gather, and
// one load of x serves all units. A *member* is block_rows neighbouring rows of one pattern; lanes are members, so that
// one permute serves block_rows multiplications. A *unit* is a vector of members. Layers are taken a *superlayer* at a
// time: its ids lie in one 32-bit word per lane. group_units units alternate superlayer by superlayer, so that the x
// registers of a superlayer serve them all.
//
// Lanes without an entry in a layer hold the value -0.0 (which changes no sum, except one of -0.0) and any column; a
// stored -0.0 becomes 0.0. Where a sum comes out non-finite, a masked variant that drops those lanes' products runs.

inline constexpr int group_units = 4;
constexpr int id_bits(int window) { return window <= 16 ? 4 : window <= 32 ? 5 : 8; }
constexpr int superlayer(int window) { return 32 / id_bits(window) / 2 * 2; }  // layers; even: bf16 comes in pairs
// Members are dealt to lanes such that interleaving the sums of a member's rows, by the unpack instructions that every
// ISA has, gives the rows in order.
constexpr int member_of_lane(int block_rows, int lanes, int lane) {
    const int quad = lane / 4, k = lane % 4;
    return block_rows == 4 ? lanes / 4 * k + quad : block_rows == 2 ? lanes / 2 * (k / 2) + 2 * quad + k % 2 : lane;
}

// y[row, j] = activation(sum over layers + bias[row]) for the rows of n_units units (n_rows of them exist) and
// tile_cols columns.
struct RoutedArgs {
    const std::uint32_t* bases;  // [layer]: the first column of its window
    std::int64_t n_layers;
    const std::uint32_t* ids;  // [group of units][superlayer][unit][lane]: column in the window, layer after layer
    // [group][superlayer][unit][layer][row of the member][lane]. bf16: two layers share a word, [layer / 2], the first
    // in the low half.
    const void* values;
    std::int64_t n_units, n_rows;
    const void* x;  // columns of x: contiguous, x_stride elements apart
    void* y;        // columns of y, likewise
    std::int64_t x_stride, y_stride;
    const void* bias;  // of the first row, or none
    bool relu, padded;
};
using RoutedFunction = void (*)(const RoutedArgs&);

// How weights lie in memory: as computed, or as bfloat16 where that is lossless.
enum class Weights : std::uint8_t { as_computed, bf16 };

struct RoutedRow {
    Type type;
    Weights weights;
    int lanes, window;  // members per unit; most columns in a window
    int block_rows, tile_cols;
    RoutedFunction function;
};

// ---- blocks: one column of a matrix of whole blocks ----------------------------------------------------------------
//
// Blocks of block_side rows and columns: the four values of x that a block needs come by one load, shared by its rows.
// Lanes are the columns of a block; they are added up once per row, at its end. Rows of blocks of about the same length
// are taken rows_at_once at a time, so that their sums do not wait for each other.

inline constexpr int block_side = 4;
inline constexpr int rows_at_once = 4;

// y[row] = activation(sum + bias[row]) for n_rows rows of blocks; they come in groups of rows_at_once.
struct BlocksArgs {
    const std::uint32_t* first_rows;  // [row of blocks]: its first row; no_row where a group has fewer
    const std::uint32_t* counts;      // [group]: blocks in each of its rows of blocks, shorter ones padded with zeros
    std::int64_t n_groups;
    const std::uint16_t* columns;  // [group][step][row of blocks]: first column / block_side
    const void* values;            // likewise, block_side * block_side values each, by rows
    const void* x;                 // contiguous
    void* y;
    std::int64_t y_stride;
    const void* bias;
    bool relu;
};
using BlocksFunction = void (*)(const BlocksArgs&);

struct BlocksRow {
    Type type;
    BlocksFunction function;
};

// ---- strips: one column of a matrix whose rows share their columns, many at a time ---------------------------------
//
// A *strip* is strip_rows neighbouring rows with the same columns, which come in quads of strip_cols neighbours: whole
// 16 x 16 blocks, say. Lanes are rows, so nothing is added up across lanes, and a value of x serves a whole vector.

inline constexpr int strip_rows = 16;
inline constexpr int strip_cols = 4;

// y[row] = activation(sum + bias[row]) for the rows of n_strips strips.
struct StripsArgs {
    const std::uint32_t* counts;   // [strip]: quads
    const std::uint16_t* columns;  // [quad]: its first column
    const void* values;            // [quad][column][row]
    std::int64_t n_strips;
    const void* x;  // contiguous
    void* y;
    std::int64_t y_stride;
    const void* bias;  // of the first row, or none
    bool relu;
};
using StripsFunction = void (*)(const StripsArgs&);

struct StripsRow {
    Type type;
    StripsFunction function;
};

// ---- columns: activations of which few are there --------------------------------------------------------------------
//
// The entries column by column, so that a product reads only the columns that its activations meet. A *unit* is what
// one column owns of block_rows neighbouring rows that share their pattern (one row where they do not); its *target* is
// the number of that block of rows. Units of a column have different targets: columns_unroll of them are loaded,
// multiplied and stored together. A column may be padded with units whose target is the block behind the last: there is
// room for it in the sums, and nobody reads it.

inline constexpr int columns_unroll = 4;
// Targets are distances from the first sum in units of so many bytes: what an x86 address scales an index by for
// nothing.
constexpr int target_unit(int block_bytes) { return block_bytes < 8 ? block_bytes : 8; }

// y[r] = activation(sum over i of activations[i] * W[r, winners[i]] + bias[r]) for n_rows rows, one accumulator each,
// in the order of i.
struct ColumnsArgs {
    const std::uint32_t* starts;   // [column]: its first unit
    const std::uint16_t* targets;  // [unit]
    const void* values;            // [unit][row of the block]
    const std::int32_t* winners;   // columns, ascending
    const void* activations;
    std::int64_t n_winners;
    void* sums;  // of whole blocks, and of one block more where columns are padded
    void* y;     // contiguous; may be sums
    std::int64_t n_rows;
    const void* bias;  // of the first row, or none
    bool relu;
    bool prefetch;  // columns come from beyond L2
};
using ColumnsFunction = void (*)(const ColumnsArgs&);

struct ColumnsRow {
    Type type;
    int block_rows;
    ColumnsFunction function;
};

// ---- sampled products ----------------------------------------------------------------------------------------------

// out[i] = sum over r < depth of p[r] * q[columns[i] * depth + r]
struct SampledArgs {
    const void* p;
    const void* q;
    const std::int32_t* columns;
    std::int64_t n_columns, depth;
    void* out;
};
using SampledFunction = void (*)(const SampledArgs&);

struct SampledRow {
    Type type;
    SampledFunction function;
};

// ---- winners -------------------------------------------------------------------------------------------------------

// Where the last contest was decided: the next one looks there first. Never more than a guess.
struct KwtaHint {
    std::int64_t threshold = 0;  // a key
    std::uint64_t spread = 0;    // look this far to either side; 0: there was none
};

// The k largest of x[i] + bias[i], ranked by (x[i] + bias[i]) * boost[i], equal ones by their place; NaN comes last.
// relu drops those that are not above zero afterwards. 8-bit integers take neither bias nor boost, other integers no
// boost.
struct KwtaArgs {
    const void* x;  // contiguous
    std::int64_t n, k;
    const void* bias;   // n entries, or none
    const void* boost;  // likewise
    bool relu;
    // Room for n keys (32 bits, 64 for 64-bit types) and a cache line, twice; for n sums and a cache line, with a bias.
    void* keys;
    void* candidates;
    void* sums;
    std::int64_t wanted_candidates;  // what the hint's spread should come to
    KwtaHint* hint;
    void* values;  // room for k
    std::int32_t* indices;
    std::int64_t count;  // how many it wrote
};
using KwtaFunction = void (*)(KwtaArgs&);

struct KwtaRow {
    ValueType type;
    KwtaFunction function;
};

// Longer vectors are faster one by one.
inline constexpr std::int64_t longest_in_lanes = 512;

// The same for as many vectors as there are lanes, of longest_in_lanes entries at most. Entries i of all vectors stand
// side by side at x + i * stride. k <= n.
struct KwtaLanesArgs {
    const void* x;
    std::int64_t stride, n, k;
    const void* bias;
    const void* boost;
    bool relu;
    std::int64_t vectors;  // that are written; x has all lanes
    void* keys;            // room for lanes times n, rounded up to most_winners
    void* values;          // k for each vector
    std::int32_t* indices;
    std::int64_t* counts;
};
using KwtaLanesFunction = void (*)(KwtaLanesArgs&);

struct KwtaLanesRow {
    ValueType type;
    int lanes, most_winners;
    KwtaLanesFunction function;
};

// ---- data movement -------------------------------------------------------------------------------------------------

// to[c * to_stride + r] = from[r * from_stride + c]
struct TransposeArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, to_stride;
};
using TransposeFunction = void (*)(const TransposeArgs&);

// to[r, c] = activation(from[r, c] + bias[r]); from may be to.
struct EpilogueArgs {
    const void* from;
    void* to;
    std::int64_t rows, cols, from_stride, to_stride;
    const void* bias;  // of the first row, or none
    bool relu;
};
using EpilogueFunction = void (*)(const EpilogueArgs&);

struct MoveRow {
    Type type;
    int lanes;  // of the level's vectors
    TransposeFunction transpose;
    EpilogueFunction epilogue;
};

// ---- the table -----------------------------------------------------------------------------------------------------

template <class Row>
struct Rows {
    const Row* first = nullptr;
    int count = 0;
    const Row* begin() const { return first; }
    const Row* end() const { return first + count; }
};

template <class Row, int n>
constexpr Rows<Row> table_rows(const Row (&list)[n]) {
    return {list, n};
}

// What one ISA level adds to the weaker ones.
struct Table {
    Rows<SpmmRow> spmm;
    Rows<RowsRow> rows;
    Rows<SpmvRow> spmv;
    Rows<RoutedRow> routed;
    Rows<BlocksRow> blocks;
    Rows<StripsRow> strips;
    Rows<ColumnsRow> columns;
    Rows<SampledRow> sampled;
    Rows<MoveRow> move;
    Rows<KwtaRow> kwta;
    Rows<KwtaLanesRow> kwta_lanes;
};

}  // namespace cs
