// SPDX-License-Identifier: BSD-3-Clause
#include "kernels/registry.hpp"

#include "all_contracts.hpp"

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

const Table& table_at(int isa) { return *tables[isa]; }

}  // namespace cs
