// SPDX-License-Identifier: BSD-3-Clause
#include "core/registry.hpp"

#include <string>

#include "core/api.hpp"
#include "core/isa.hpp"

// The tables live in per-ISA namespaces; only these declarations know that.
#define CS_ISA_LEVEL(identifier, name, test) \
    namespace cs::ukr::identifier {          \
    extern const Table table;                \
    }
#include "isa_levels.inc"
#undef CS_ISA_LEVEL

namespace cs {
namespace {

const Table* const tables[] = {
#define CS_ISA_LEVEL(identifier, name, test) &ukr::identifier::table,
#include "isa_levels.inc"
#undef CS_ISA_LEVEL
};

}  // namespace

template <class Row>
std::vector<Registered<Row>> rows_of(Rows<Row> Table::* kind, int max_isa) {
    std::vector<Registered<Row>> found;
    for (int isa = 0; isa <= max_isa; ++isa)
        for (const Row& row : tables[isa]->*kind) found.push_back({&row, isa});
    return found;
}

template std::vector<Registered<SpmmRow>> rows_of(Rows<SpmmRow> Table::*, int);
template std::vector<Registered<RowsRow>> rows_of(Rows<RowsRow> Table::*, int);
template std::vector<Registered<SpmvRow>> rows_of(Rows<SpmvRow> Table::*, int);
template std::vector<Registered<RoutedRow>> rows_of(Rows<RoutedRow> Table::*, int);
template std::vector<Registered<BlocksRow>> rows_of(Rows<BlocksRow> Table::*, int);
template std::vector<Registered<StripsRow>> rows_of(Rows<StripsRow> Table::*, int);
template std::vector<Registered<SampledRow>> rows_of(Rows<SampledRow> Table::*, int);
template std::vector<Registered<MoveRow>> rows_of(Rows<MoveRow> Table::*, int);

const char* build_compiler() { return CS_COMPILER; }
const char* build_flags() { return CS_FLAGS; }
const char* isa_levels_left_out() { return CS_ISA_LEFT_OUT; }

}  // namespace cs
