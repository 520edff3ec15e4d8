// SPDX-License-Identifier: BSD-3-Clause
// The kernel table of one ISA level: rows of every kind of micro-kernel, as the table of kinds in src/meson.build lists
// them.
#pragma once

namespace cs {

#define CS_KIND(stem, Row) struct Row;
#include "kinds.inc"
#undef CS_KIND

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
#define CS_KIND(stem, Row) Rows<Row> stem;
#include "kinds.inc"
#undef CS_KIND
};

}  // namespace cs
