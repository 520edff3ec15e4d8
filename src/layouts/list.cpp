// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/layout.hpp"

namespace cs {
namespace {

// Filled when the library is loaded: a fork during a first call would leave that unfinished for ever.
const std::vector<const LayoutKind*> kinds = [] {
    std::vector<const LayoutKind*> all;
#define CS_LAYOUT(stem) \
    for (const LayoutKind& kind : stem##_kinds()) all.push_back(&kind);
#include "kinds.inc"
#undef CS_LAYOUT
    return all;
}();

}  // namespace

const std::vector<const LayoutKind*>& layout_kinds() { return kinds; }

}  // namespace cs
