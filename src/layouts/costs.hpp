// SPDX-License-Identifier: BSD-3-Clause
// What could serve a product, and at what cost.
#pragma once

#include <vector>

#include "layouts/operand.hpp"
#include "plan/plan.hpp"

namespace cs {

// How a product can be done: a layout and its family of micro-kernels.
enum class Family { routed, strips, blocks, windows, shared_row_groups, row_groups, rows };
constexpr const char* family_names[] = {"routed",     "strips", "blocks", "windows", "shared_row_groups",
                                        "row_groups", "rows"};

struct Option {
    Family family;
    double cost;  // cycles per column of x
};

// Of one side of a matrix, at the ISA level in use. Call it under the layouts' lock: what it finds out about the
// pattern stays with them.
class CostModel {
   public:
    CostModel(const Matrix& matrix, Side side);

    // By ascending cost. The figures are measured (docs/developer/performance-notes.md, "The cost model").
    std::vector<Option> options(Layouts::Kind kind);

    // Of this level's widest vectors: narrow weights where they come from beyond L2 and lose nothing, the narrowest
    // window, the most rows of a pattern. Null where the pattern is not for it.
    const RoutedRow* routed_row();
    // Rows of the groups that share their columns, of those that the pattern and a micro-kernel have; 0: none. Wide
    // batches take the groups with the widest tiles, others those with the most rows.
    int shared_groups(Layouts::Kind kind);

    const Structure& structure();
    Operand& operand() { return operand_; }

   private:
    double routed_cost(const RoutedRow& row, Layouts::Kind kind);

    Layouts& layouts_;
    Operand operand_;
    const int side_;
    const int isa_;
    int lanes_;
};

}  // namespace cs
