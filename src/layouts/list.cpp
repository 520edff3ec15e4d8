// SPDX-License-Identifier: BSD-3-Clause
#include "layouts/layout.hpp"

namespace cs {

const std::vector<const LayoutKind*>& layout_kinds() {
    static const std::vector<const LayoutKind*> kinds = [] {
        std::vector<const LayoutKind*> all;
#define CS_LAYOUT(stem) \
    for (const LayoutKind& kind : stem##_kinds()) all.push_back(&kind);
#include "kinds.inc"
#undef CS_LAYOUT
        return all;
    }();
    return kinds;
}

}  // namespace cs
