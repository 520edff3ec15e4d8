// SPDX-License-Identifier: BSD-3-Clause
#include "ops/requantize.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/names.hpp"
#include "kernels/registry.hpp"
#include "tiles/work.hpp"

namespace cs {

RowName row_name(const RequantizeRow& row) { return {nullptr, "dense", name_of(row.type), "", 1, 1}; }

Requantizing requantizing(const RequantizeArgs& how, Type out) {
    return {how, strongest_of(&Table::requantize, usable_levels(), out).row,
            strongest_of(&Table::move, usable_levels(), Type::u8).row};
}

void requantize(const RequantizeArgs& args, Type out, int threads) {
    const auto function = strongest_of(&Table::requantize, usable_levels(), out).row->function;
    const int worth = choose_threads(static_cast<double>(args.rows) * static_cast<double>(args.cols));
    parallel_shares(args.rows, std::min(worth, threads), [&](std::int64_t first, std::int64_t last) {
        RequantizeArgs share = args;
        share.sums = static_cast<const char*>(args.sums) + first * args.cols * bytes_of(args.sum);
        share.to = static_cast<char*>(args.to) + first * args.cols;  // of bytes
        share.rows = last - first;
        share.feature = (args.feature + first) % args.features;
        function(share);
    });
}

namespace {

template <class Sum, class To>
void real_outputs_of(const RequantizeArgs& args, const Units& units) {
    auto* to = static_cast<To*>(args.to);
    const auto* sums = static_cast<const Sum*>(args.sums);
    for (std::int64_t r = 0; r < args.rows; ++r, sums += args.cols, to += args.cols) {
        const std::int64_t of_row = r % args.features;
        for (std::int64_t c = 0; c < args.cols; ++c) {
            const std::int64_t f = args.by_column ? c : of_row;
            const double exact =
                static_cast<double>(static_cast<std::int32_t>(sums[c]) + args.bias[f]) * units.units[f];
            const double within = std::min(std::max(exact, units.least), units.most);
            if constexpr (std::is_floating_point_v<To>)
                to[c] = static_cast<To>(within);
            else
                to[c] = static_cast<To>(static_cast<std::int32_t>(std::nearbyint(within)) + args.zero_point);
        }
    }
}

template <class To>
void real_outputs_as(const RequantizeArgs& args, const Units& units) {
    if (args.sum == Type::f32)
        real_outputs_of<float, To>(args, units);
    else
        real_outputs_of<std::int32_t, To>(args, units);
}

}  // namespace

void quantize(const QuantizeArgs& numbers, Type from, Type out, int threads) {
    const RequantizeRow& row = *strongest_of(&Table::requantize, usable_levels(), out).row;
    const QuantizeFunction function = from == Type::f32 ? row.quantize_widened : row.quantize_doubles;
    const int worth = choose_threads(2 * static_cast<double>(numbers.n));
    parallel_shares(numbers.n, std::min(worth, threads), [&](std::int64_t first, std::int64_t last) {
        QuantizeArgs share = numbers;
        share.from = static_cast<const char*>(numbers.from) + first * bytes_of(from);
        share.to = static_cast<char*>(numbers.to) + first;  // of bytes
        share.n = last - first;
        function(share);
    });
}

void real_outputs(const RequantizeArgs& args, const Units& units, Type out) {
    if (out == Type::f32)
        real_outputs_as<float>(args, units);
    else if (out == Type::u8)
        real_outputs_as<std::uint8_t>(args, units);
    else
        real_outputs_as<std::int8_t>(args, units);
}

}  // namespace cs
