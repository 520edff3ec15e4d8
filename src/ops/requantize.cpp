// SPDX-License-Identifier: BSD-3-Clause
#include "ops/requantize.hpp"

#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "tiles/work.hpp"

namespace cs {

RowName row_name(const RequantizeRow& row) { return {nullptr, "dense", name_of(row.type), "", 1, 1}; }

void requantize(const RequantizeArgs& args, Type out) {
    const auto function = strongest_of(&Table::requantize, usable_levels(), out).row->function;
    const int threads = choose_threads(static_cast<double>(args.rows) * static_cast<double>(args.cols));
    parallel_shares(args.rows, threads, [&](std::int64_t first, std::int64_t last) {
        RequantizeArgs share = args;
        share.sums += first * args.cols;
        share.to = static_cast<char*>(args.to) + first * args.cols;  // of bytes
        share.rows = last - first;
        share.feature = (args.feature + first) % args.features;
        function(share);
    });
}

}  // namespace cs
