// SPDX-License-Identifier: BSD-3-Clause
// Sums of 8-bit products as 8-bit outputs, on the threads that there are.
#pragma once

#include "kernels/requantize.hpp"

namespace cs {

// `out`: s8 or u8, that of args.to.
void requantize(const RequantizeArgs& args, Type out);

}  // namespace cs
