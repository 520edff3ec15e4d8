// SPDX-License-Identifier: BSD-3-Clause
// spmm on row groups: four rows against one tile of x.
//
// Loads bound this loop: each entry needs its own row of the x tile (NV loads). Interleaving four rows saves the rest:
// their four values come by one load and are spread over the lanes by in-register permutes, their four columns by one
// 64-bit load. 4 * NV independent accumulators hide the latency of the FMA (4 cycles, two a cycle). Where permutes take
// an FMA's place, values come by broadcasts instead.
//
// Where the rows of a group share their columns, a load of x serves all of them, and the FMAs are the bound.
//
// A tile narrower than a register would leave lanes idle: there each register holds the sums of Parts such rows, side
// by side, and an FMA serves as many. Rows with columns of their own gain nothing by it: loads of x are the bound, and
// parts of x would have to be joined.
#pragma once

#include "kernels/row_groups.hpp"
#include "ukr/finish.hpp"
#include "ukr/parts.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

// What an entry adds to a sum.
struct MultiplyAdd {
    template <class V>
    static CS_INLINE V of(V value, V x, V sum) {
        return fma(value, x, sum);
    }
};

// What becomes of the sums of rows once they are complete: stored, with what the epilogue says.
struct StoredSums {
    static constexpr bool stores = true;
};

// Shared: the rows of a group, which share their columns; 0: group_rows rows with columns of their own. Column: of 16
// bits, units of a block of tile rows; of 32, elements. Apart: the tile's rows are x_step units apart. Ending: what
// complete sums become.
template <class T, int Lanes, int NV, int Shared, int Parts, class Column, class Step, Values Come, bool Apart,
          class Ending = StoredSums>
struct RowGroups {
    using V = vec<T, Lanes>;
    using Part = vec<T, Lanes / Parts>;  // a row's share of a register
    static constexpr int rows_of_group = Shared > 0 ? Shared : group_rows;
    static constexpr int tile = Lanes / Parts * NV;
    static constexpr int sums_of_group = rows_of_group / Parts * NV;  // registers
    static_assert(Parts == 1 || (NV == 1 && Shared > 0), "several rows in a register share the part of x beside them");
    static constexpr bool in_block = sizeof(Column) == 2;
    // Bytes of x per unit of a stored column.
    static constexpr std::size_t scale = in_block ? sizeof(T) * tile / column_unit : sizeof(T);
    static_assert(!in_block || sizeof(T) * tile % column_unit == 0, "a tile row is a whole number of column units");

    const char* x;
    std::size_t x_step;
    const T* from;
    T* to;
    std::int64_t from_stride, to_stride, to_cols;
    bool finishes;
    Finish<T> finish;
    Ending ending{};

    // Masks are for nothing with AVX-512; with AVX2 a masked store takes as long as many whole ones.
    static constexpr bool stores_first =
        vector_bytes == 64 && sizeof(T) >= 4 && (sizeof(V) == 64 || std::is_same_v<T, float>);

    // Of the part that a register of a row holds.
    static constexpr int part = Lanes / Parts;
    static constexpr std::int64_t lanes_of(std::int64_t cols, int v) {
        const std::int64_t left = cols - v * part;
        return left < 0 ? 0 : left > part ? part : left;
    }

    static CS_INLINE std::int64_t row_of(std::uint16_t listed) { return listed & (has_tail - 1); }

    // Sums of a row to where they are to be, and from there. `listed`: with has_tail where they are not complete.
    CS_INLINE void put(std::uint16_t listed, Part (&sum)[NV]) const {
        const std::int64_t row = row_of(listed);
        T* const at = to + row * to_stride;
        if (finishes && (listed & has_tail) == 0)
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) sum[v] = finish.of_row(sum[v], row);
        if constexpr (stores_first)
            if (to_cols < tile) {
                for (int v = 0; v < NV; ++v) store_first<Part>(at + v * part, lanes_of(to_cols, v), sum[v]);
                return;
            }
        for (int v = 0; v < NV; ++v) store(at + v * part, sum[v]);
    }
    // Complete sums of some rows, and those that a tail will complete.
    template <int Rows>
    CS_INLINE void end(const std::uint16_t* rows, V (*sum)[NV]) const {
        if constexpr (!Ending::stores) {
            unsigned any = 0;
#pragma GCC unroll 16
            for (int r = 0; r < Rows; ++r) any |= rows[r];
            if ((any & has_tail) == 0) return ending.template rows<Rows>(rows, sum);
            for (int r = 0; r < Rows; ++r)
                if ((rows[r] & has_tail) == 0)
                    ending.template rows<1>(rows + r, sum + r);
                else
                    put(rows[r], sum[r]);
            return;
        }
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) put(rows[r], sum[r]);
    }
    CS_INLINE void take(std::int64_t row, Part (&sum)[NV]) const {
        const T* const at = to + row * to_stride;
        if constexpr (stores_first)
            if (to_cols < tile) {
                for (int v = 0; v < NV; ++v) sum[v] = load_first<Part>(at + v * part, lanes_of(to_cols, v));
                return;
            }
        for (int v = 0; v < NV; ++v) sum[v] = load<Part>(at + v * part);
    }

    CS_INLINE const char* x_at(std::size_t column) const { return x + column * (Apart ? x_step : scale); }
    CS_INLINE Part x_row(std::size_t column, int v) const {
        return load<Part>(x_at(column) + static_cast<std::size_t>(v) * sizeof(Part));
    }

    // The columns of a group's four rows, by few loads.
    struct Columns {
        static constexpr int each = sizeof(std::uint64_t) / sizeof(Column), bits = 8 * sizeof(Column);
        std::uint64_t words[group_rows / each];
        static CS_INLINE Columns at(const Column* from) { return load<Columns>(from); }
        template <int R>
        CS_INLINE std::size_t of_row() const {
            const std::uint64_t word = words[R / each];
            return R % each == each - 1 ? word >> (64 - bits) : (word >> (bits * (R % each))) & ((1ull << bits) - 1);
        }
    };

    // Entry j of row R of a group.
    template <int R>
    CS_INLINE void entry(V (&sum)[NV], Columns columns, const T* values) const {
        const std::size_t column = columns.template of_row<R>();
        const V value = Come == Values::spread ? spread<V, R>(values) : broadcast<V>(values[R]);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) sum[v] = Step::of(value, x_row(column, v), sum[v]);
    }

    // Entry j of all rows of a group that shares its columns: x is loaded once, and values come by broadcasts from
    // memory, which leave the vector ports to the FMA.
    CS_INLINE void shared_entry(V (*sum)[NV], std::size_t column, const T* values) const {
        V x_part[NV];
        for (int v = 0; v < NV; ++v) x_part[v] = x_row(column, v);
#pragma GCC unroll 16
        for (int r = 0; r < rows_of_group; ++r) {
            const V value = broadcast<V>(values[r]);
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) sum[r][v] = Step::of(value, x_part[v], sum[r][v]);
        }
    }

    template <int Groups>
    CS_INLINE void steps(V (&sum)[Groups * rows_of_group][NV], const Column* columns, const T* values,
                         std::uint32_t count) const {
        const std::size_t entries = std::size_t{rows_of_group} * count;  // from one group to the next
        if constexpr (Shared > 0) {
#pragma GCC unroll 1
            for (std::uint32_t j = 0; j < count; ++j, ++columns, values += rows_of_group)
#pragma GCC unroll 2
                for (int g = 0; g < Groups; ++g)
                    shared_entry(sum + g * rows_of_group, columns[static_cast<std::size_t>(g) * count],
                                 values + static_cast<std::size_t>(g) * entries);
            return;
        }
#pragma GCC unroll 1
        for (std::uint32_t j = 0; j < count; ++j, columns += rows_of_group, values += rows_of_group)
#pragma GCC unroll 2
            for (int g = 0; g < Groups; ++g) {
                const std::size_t at = static_cast<std::size_t>(g) * entries;
                const auto packed = Columns::at(columns + at);
                entry<0>(sum[g * rows_of_group + 0], packed, values + at);
                entry<1>(sum[g * rows_of_group + 1], packed, values + at);
                entry<2>(sum[g * rows_of_group + 2], packed, values + at);
                entry<3>(sum[g * rows_of_group + 3], packed, values + at);
            }
    }

    // Several rows to a register, which share their columns: entry j of all of a group.
    CS_INLINE void packed_entry(V* sum, std::size_t column, const T* values) const {
        const V x_part = repeat_part<V, Parts>(x_at(column));
#pragma GCC unroll 8
        for (int n = 0; n < sums_of_group; ++n) sum[n] = Step::of(spread_parts<V, Parts>(values, n), x_part, sum[n]);
    }

    template <int Groups, bool First>
    CS_INLINE void packed_group(const std::uint16_t* rows, const Column* columns, const T* values,
                                std::uint32_t count) const {
        V sum[Groups][sums_of_group];
        auto row = [&](int g, int n, int i) { return rows[g * rows_of_group + n * Parts + i]; };
        for (int g = 0; g < Groups; ++g)
            for (int n = 0; n < sums_of_group; ++n)
                sum[g][n] =
                    First ? V{}
                          : join_parts<V, Parts>([&](int i) { return from + row_of(row(g, n, i)) * from_stride; });
#pragma GCC unroll 1
        for (std::uint32_t j = 0; j < count; ++j, ++columns, values += rows_of_group)
#pragma GCC unroll 4
            for (int g = 0; g < Groups; ++g)
                packed_entry(sum[g], columns[static_cast<std::size_t>(g) * count],
                             values + std::size_t{rows_of_group} * static_cast<std::size_t>(g) * count);
        for (int g = 0; g < Groups; ++g)
            for (int n = 0; n < sums_of_group; ++n)
                for_parts<V, Parts>(sum[g][n], [&](int i, Part own) {
                    Part sums[NV] = {own};
                    put(row(g, n, i), sums);
                });
    }

    template <int Groups, bool First>
    CS_INLINE void wide_group(const std::uint16_t* rows, const Column* columns, const T* values,
                              std::uint32_t count) const {
        V sum[Groups * rows_of_group][NV];
        for (int r = 0; r < Groups * rows_of_group; ++r)
            for (int v = 0; v < NV; ++v)
                sum[r][v] = First ? V{} : load<V>(from + row_of(rows[r]) * from_stride + v * Lanes);
        steps<Groups>(sum, columns, values, count);
        end<Groups * rows_of_group>(rows, sum);
    }

    template <int Groups, bool First>
    CS_INLINE void group(const std::uint16_t* rows, const Column* columns, const T* values, std::uint32_t count) const {
        if constexpr (Parts > 1)
            packed_group<Groups, First>(rows, columns, values, count);
        else
            wide_group<Groups, First>(rows, columns, values, count);
    }

    template <bool First>
    void run(const GroupsArgs<Column>& args) const {
        const std::uint16_t* rows = args.rows;
        const Column* columns = args.columns;
        const T* values = static_cast<const T*>(args.values);
        auto advance = [&](std::uint32_t groups, std::uint32_t count) {
            rows += rows_of_group * groups;
            columns += std::size_t{Shared > 0 ? 1 : rows_of_group} * groups * count;
            values += std::size_t{rows_of_group} * groups * count;
        };
        for (const GroupRun* run = args.runs; run != args.runs + args.n_runs; ++run) {
            if (run->count == 0 && !First && !args.last) break;  // the rest of the rows own nothing here
            std::uint32_t left = run->groups;
            auto do_groups = [&](auto at_once) {
                for (; left >= at_once(); left -= at_once()) {
                    group<static_cast<int>(at_once()), First>(rows, columns, values, run->count);
                    advance(at_once(), run->count);
                }
            };
            // Independent sums enough for the latency of the FMA; broadcasts take longer than it.
            if constexpr (sums_of_group == 1) do_groups(std::integral_constant<std::uint32_t, 4>{});
            if constexpr (sums_of_group <= 4 && Come == Values::spread)
                do_groups(std::integral_constant<std::uint32_t, 2>{});
            do_groups(std::integral_constant<std::uint32_t, 1>{});
        }
        for (const RowTail* tail = args.tails; tail != args.tails + args.n_tails; ++tail) {
            Part sum[NV];
            take(tail->row, sum);
            for (std::uint32_t j = 0; j < tail->count; ++j, ++columns, ++values) {
                const Part value = broadcast<Part>(*values);
                for (int v = 0; v < NV; ++v) sum[v] = Step::of(value, x_row(*columns, v), sum[v]);
            }
            if constexpr (Ending::stores)
                put(tail->row, sum);
            else
                ending.template rows<1>(&tail->row, &sum);
        }
    }
};

template <class T, int Lanes, int NV, int Shared, int Parts, class Column, class Step, Values Come, bool Apart,
          class Ending = StoredSums>
void row_groups_of(const GroupsArgs<Column>& args, const Ending& ending = {}) {
    const RowGroups<T, Lanes, NV, Shared, Parts, Column, Step, Come, Apart, Ending> tile{
        static_cast<const char*>(args.x),
        static_cast<std::size_t>(args.x_step),
        static_cast<const T*>(args.from),
        static_cast<T*>(args.to),
        args.from_stride,
        args.to_stride,
        args.to_cols,
        !args.finish.changes_nothing(),
        Finish<T>::of(args.finish),
        ending};
    if (args.first)
        tile.template run<true>(args);
    else
        tile.template run<false>(args);
}

// Whole registers, whose rows may be cache lines of wider ones. Where places of x are found by a multiplication, a tile
// takes 4% longer.
template <class T, int Lanes, Values Come>
inline constexpr bool reads_apart = Come == Values::broadcast && sizeof(vec<T, Lanes>) == 64;

template <class T, int Lanes, int NV, int Shared, int Parts, class Column, class Step = MultiplyAdd,
          Values Come = Values::spread>
void row_groups(const GroupsArgs<Column>& args) {
    if constexpr (reads_apart<T, Lanes, Come>)
        if (args.x_step * column_unit != std::int64_t{sizeof(T)} * Lanes * NV)
            return row_groups_of<T, Lanes, NV, Shared, Parts, Column, Step, Come, true>(args);
    row_groups_of<T, Lanes, NV, Shared, Parts, Column, Step, Come, false>(args);
}

// What an entry of each row of a group takes, in cycles: two loads and two FMAs go in one, and the permute that spreads
// values over parts of a register takes an FMA's place.
constexpr double cycles_of_entry(int registers, int shared, int parts, Values come = Values::spread) {
    const int rows = shared > 0 ? shared : group_rows, sums = rows / parts * registers;
    const int loads = shared == 0 ? rows * registers + 1 + (come == Values::spread ? 1 : rows)
                                  : registers + 1 + (parts > 1 ? (rows + 3) / 4 : rows);
    const int vectors = parts > 1 ? 2 * sums : sums;
    return (vectors > loads ? vectors : loads) / 2.0;
}

template <class T, int Lanes, int NV, int Shared = 0, int Parts = 1, Values Come = Values::spread>
inline constexpr RowGroupsRow row_groups_row{
    uniform(type_of<T>),
    Lanes / Parts* NV,
    Shared,
    cycles_of_entry(NV, Shared, Parts, Come),
    RowGroups<T, Lanes, NV, Shared, Parts, std::uint16_t, MultiplyAdd, Come, false>::stores_first,
    row_groups<T, Lanes, NV, Shared, Parts, std::uint16_t, MultiplyAdd, Come>,
    Come,
    reads_apart<T, Lanes, Come>};

}  // namespace cs::ukr::CS_ISA
