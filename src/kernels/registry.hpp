// SPDX-License-Identifier: BSD-3-Clause
// The kernel table: the rows of all ISA levels, strongest last.
#pragma once

#include <vector>

#include "kernels/microkernel.hpp"

namespace cs {

template <class Row>
struct Registered {
    const Row* row;
    int isa;  // index into isa_levels()
};

// The rows that one level adds.
const Table& table_at(int isa);

// Rows that the level in use may run, in the order of the levels. A level inherits the rows of the weaker ones.
template <class Row>
std::vector<Registered<Row>> rows_of(Rows<Row> Table::* kind, int max_isa) {
    std::vector<Registered<Row>> found;
    for (int isa = 0; isa <= max_isa; ++isa)
        for (const Row& row : table_at(isa).*kind) found.push_back({&row, isa});
    return found;
}

// The row of the strongest level up to max_isa for which accept() holds; null where there is none.
template <class Row, class Accept>
Registered<Row> strongest(Rows<Row> Table::* kind, int max_isa, Accept accept) {
    Registered<Row> found{nullptr, 0};
    for (int isa = 0; isa <= max_isa; ++isa)
        for (const Row& row : table_at(isa).*kind)
            if (accept(row)) found = {&row, isa};
    return found;
}

// That for a type, of a kind with one row for each.
template <class Row>
Registered<Row> strongest_of(Rows<Row> Table::* kind, int max_isa, decltype(Row::type) type) {
    return strongest(kind, max_isa, [type](const Row& row) { return row.type == type; });
}

}  // namespace cs
