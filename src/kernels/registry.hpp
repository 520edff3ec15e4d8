// SPDX-License-Identifier: BSD-3-Clause
// The kernel table: the rows of all ISA levels, strongest last.
#pragma once

#include <vector>

#include "base/isa.hpp"
#include "base/types.hpp"
#include "kernels/table.hpp"

namespace cs {

template <class Row>
struct Registered {
    const Row* row;
    int isa;  // index into isa_levels()
};

// The rows that one level adds.
const Table& table_at(int isa);

// The rows of these levels, in their order. A level inherits the rows of the weaker ones that the CPU supports.
template <class Row>
std::vector<Registered<Row>> rows_of(Rows<Row> Table::* kind, LevelSet levels) {
    std::vector<Registered<Row>> found;
    for (const int isa : levels)
        for (const Row& row : table_at(isa).*kind) found.push_back({&row, isa});
    return found;
}

// The row of the strongest of these levels for which accept() holds; null where there is none.
template <class Row, class Accept>
Registered<Row> strongest(Rows<Row> Table::* kind, LevelSet levels, Accept accept) {
    Registered<Row> found{nullptr, 0};
    for (const int isa : levels)
        for (const Row& row : table_at(isa).*kind)
            if (accept(row)) found = {&row, isa};
    return found;
}

// That for a type, of a kind with one row for each.
template <class Row>
Registered<Row> strongest_of(Rows<Row> Table::* kind, LevelSet levels, Type type) {
    return strongest(kind, levels, [type](const Row& row) { return row.type == type; });
}

// Likewise for a product.
template <class Row>
Registered<Row> strongest_of(Rows<Row> Table::* kind, LevelSet levels, Types types) {
    return strongest(kind, levels, [types](const Row& row) { return row.types == types; });
}

}  // namespace cs
