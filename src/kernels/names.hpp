// SPDX-License-Identifier: BSD-3-Clause
// What micro-kernels are called: operation, type, tile and ISA level.
#pragma once

#include <string>

#include "kernels/registry.hpp"

namespace cs {

std::string name_of(const Registered<SpmmRow>& row);
std::string name_of(const Registered<SpmvRow>& row);
std::string name_of(const Registered<RowsRow>& row);
std::string name_of(const Registered<RoutedRow>& row);
std::string name_of(const Registered<BlocksRow>& row);
std::string name_of(const Registered<StripsRow>& row);
std::string name_of(const Registered<ColumnsRow>& row);

}  // namespace cs
