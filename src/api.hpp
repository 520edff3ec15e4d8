// SPDX-License-Identifier: BSD-3-Clause
// All that the border between Python and C++ sees.
//
// Nothing here checks its arguments: shapes, types and overlap were checked by the caller, patterns where data enters.
#pragma once

#include "base/caches.hpp"
#include "base/epilogue.hpp"
#include "base/isa.hpp"
#include "base/parallel.hpp"
#include "base/views.hpp"
#include "conv/convolution.hpp"
#include "conv/winners.hpp"
#include "kernels/names.hpp"
#include "layouts/costs.hpp"
#include "layouts/matrix.hpp"
#include "net/program.hpp"
#include "net/quantized.hpp"
#include "net/steps.hpp"
#include "ops/bound_call.hpp"
#include "ops/contest.hpp"
#include "ops/linear_winners.hpp"
#include "ops/pool.hpp"
#include "ops/requantize.hpp"
#include "ops/sampled.hpp"
#include "ops/sparse_product.hpp"
#include "ops/winners.hpp"
#include "pattern/pack.hpp"
#include "plan/plan.hpp"
