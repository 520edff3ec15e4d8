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
Rows<Row> rows_at(Rows<Row> Table::* kind, int isa) {
    return tables[isa]->*kind;
}

template Rows<SpmmRow> rows_at(Rows<SpmmRow> Table::*, int);
template Rows<RowsRow> rows_at(Rows<RowsRow> Table::*, int);
template Rows<SpmvRow> rows_at(Rows<SpmvRow> Table::*, int);
template Rows<RoutedRow> rows_at(Rows<RoutedRow> Table::*, int);
template Rows<BlocksRow> rows_at(Rows<BlocksRow> Table::*, int);
template Rows<StripsRow> rows_at(Rows<StripsRow> Table::*, int);
template Rows<ColumnsRow> rows_at(Rows<ColumnsRow> Table::*, int);
template Rows<SampledRow> rows_at(Rows<SampledRow> Table::*, int);
template Rows<MoveRow> rows_at(Rows<MoveRow> Table::*, int);
template Rows<KwtaRow> rows_at(Rows<KwtaRow> Table::*, int);
template Rows<KwtaLanesRow> rows_at(Rows<KwtaLanesRow> Table::*, int);

const char* build_compiler() { return CS_COMPILER; }
const char* build_flags() { return CS_FLAGS; }
const char* isa_levels_left_out() { return CS_ISA_LEFT_OUT; }

}  // namespace cs
