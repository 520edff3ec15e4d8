// SPDX-License-Identifier: BSD-3-Clause
// A level for tests (-Dprobe_level=true), with features that no CPU has together. It has the rows of every level, and
// of the tiles that levels choose more than any other, and each of its functions ends the process: none may ever run.
#include "ukr/every_level.hpp"

namespace cs::ukr::CS_ISA {

template <class Result, class Args>
Result end(Args&) {
    __builtin_trap();
}

template <class Row>
constexpr Row ending(Row row) {
    row.function = end;
    return row;
}
constexpr MoveRow ending(MoveRow row) {
    row.transpose = end;
    row.finish = end;
    row.widen = end;
    row.transpose_halves = end;
    row.widen_halves = end;
    row.pad = end;
    return row;
}

constexpr ByteWindowsRow ending(ByteWindowsRow row) {
    row.function = end;
    row.move = [](const void*, void*, std::int64_t, std::uint8_t) { __builtin_trap(); };
    return row;
}

constexpr FoldRow ending(FoldRow row) {
    row.largest = end;
    row.mean = end;
    return row;
}

constexpr DepthwiseRow ending(DepthwiseRow row) {
    row.function = end;
    return row;
}

constexpr ArithmeticRow ending(ArithmeticRow row) {
    row.add = end;
    row.multiply = end;
    row.subtract = end;
    row.divide = end;
    row.larger = end;
    row.smaller = end;
    row.slope = end;
    row.scale = end;
    row.softmax = end;
    row.norm = end;
    return row;
}

template <class Row, int n>
struct Made {
    Row rows[n]{};
};

template <class Row, int n, class Make>
constexpr Made<Row, n> make_rows(Make make) {
    Made<Row, n> made;
    for (int i = 0; i < n; ++i) made.rows[i] = ending(make(i));
    return made;
}

template <class Row>
struct Probe {
    static constexpr Rows<Row> listed = EveryLevel<Row>::rows;
    static constexpr auto made = make_rows<Row, listed.count>([](int i) { return listed.first[i]; });
};

// Tiles of 16 to 256 bytes, of rows that share no columns, and of four and eight that do.
template <>
struct Probe<RowGroupsRow> {
    static constexpr auto made = make_rows<RowGroupsRow, n_products * 15>([](int i) {
        const Types types = products.types[i % n_products];
        const int width = i / n_products % 5, shared = i / n_products / 5 * group_rows;
        return RowGroupsRow{types, (column_unit << width) / bytes_of(types.x), shared, 1, true, nullptr};
    });
};

template <>
struct Probe<WindowsRow> {
    static constexpr auto made = make_rows<WindowsRow, n_products * 3>([](int i) {
        constexpr int windows[] = {0, 2, 3};
        return WindowsRow{products.types[i % n_products], windows[i / n_products], nullptr};
    });
};

template <>
struct Probe<ByteWindowsRow> {
    static constexpr auto made = make_rows<ByteWindowsRow, 2 * 3 * 4>([](int i) {
        constexpr int windows[] = {64, 128, 256};
        const Type x = i % 2 == 0 ? Type::u8 : Type::s8;
        return ByteWindowsRow{{Type::s8, x, Type::s32}, 16, windows[i / 2 % 3], 1 << i / 6, 1, nullptr, nullptr};
    });
};

template <>
struct Probe<ChunksRow> {
    static constexpr auto made = make_rows<ChunksRow, 2>(
        [](int i) { return ChunksRow{{Type::s8, i == 0 ? Type::u8 : Type::s8, Type::s32}, 4, nullptr}; });
};

template <>
struct Probe<RoutedRow> {
    static constexpr auto made = make_rows<RoutedRow, 2 * 3 * 4 * 4>([](int i) {
        constexpr int heights[] = {1, 2, 4}, windows[] = {8, 16, 32, 64};
        return RoutedRow{uniform(Type::f32),
                         static_cast<Weights>(i % 2),
                         16,
                         windows[i / 6 % 4],
                         heights[i / 2 % 3],
                         1 << i / 24,
                         nullptr};
    });
};

constexpr Table all_rows() {
    Table table;
#define CS_KIND(stem, Row) table.stem = table_rows(Probe<Row>::made.rows);
#include "kinds.inc"
#undef CS_KIND
    return table;
}

extern const Table table;
constexpr Table table = all_rows();

}  // namespace cs::ukr::CS_ISA
