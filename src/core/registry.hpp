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

// Rows that the level in use may run, in the order of the levels. A level inherits the rows of the weaker ones.
template <class Row>
std::vector<Registered<Row>> rows_of(Rows<Row> Table::* kind, int max_isa);

// The row of the strongest level up to max_isa for which accept() holds; null where there is none.
template <class Row, class Accept>
Registered<Row> strongest(Rows<Row> Table::* kind, int max_isa, Accept accept) {
    Registered<Row> found{nullptr, 0};
    for (const Registered<Row>& registered : rows_of(kind, max_isa))
        if (accept(*registered.row)) found = registered;
    return found;
}

}  // namespace cs
