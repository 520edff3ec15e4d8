// SPDX-License-Identifier: BSD-3-Clause
// The kernel table: the rows of all ISA levels, strongest last.
#pragma once

#include <vector>

#include "core/microkernel.hpp"

namespace cs {

template <class Row>
struct Registered {
    const Row* row;
    int isa;  // index into isa_levels()
};

// The rows that one level adds.
template <class Row>
Rows<Row> rows_at(Rows<Row> Table::* kind, int isa);

// Rows that the level in use may run, in the order of the levels. A level inherits the rows of the weaker ones.
template <class Row>
std::vector<Registered<Row>> rows_of(Rows<Row> Table::* kind, int max_isa) {
    std::vector<Registered<Row>> found;
    for (int isa = 0; isa <= max_isa; ++isa)
        for (const Row& row : rows_at(kind, isa)) found.push_back({&row, isa});
    return found;
}

// The row of the strongest level up to max_isa for which accept() holds; null where there is none.
template <class Row, class Accept>
Registered<Row> strongest(Rows<Row> Table::* kind, int max_isa, Accept accept) {
    Registered<Row> found{nullptr, 0};
    for (int isa = 0; isa <= max_isa; ++isa)
        for (const Row& row : rows_at(kind, isa))
            if (accept(row)) found = {&row, isa};
    return found;
}

}  // namespace cs
