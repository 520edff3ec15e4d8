// SPDX-License-Identifier: BSD-3-Clause
#include "ops/requantize.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
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

// Cut off before they are rounded, which is the same between integers: then adding 1.5 * 2^52 rounds to one.
template <class From, class To>
void quantize_some(const From* from, std::int64_t n, double scale, std::int32_t zero_point, To* to) {
    constexpr double counts_ones = 0x1.8p52;
    const double least = std::numeric_limits<To>::min() - zero_point,
                 most = std::numeric_limits<To>::max() - zero_point;
    for (std::int64_t i = 0; i < n; ++i) {
        const double within = std::min(std::max(static_cast<double>(from[i]) / scale, least), most);
        to[i] = static_cast<To>(static_cast<std::int32_t>((within + counts_ones) - counts_ones) + zero_point);
    }
}

template <class From, class To>
void quantize_all(const RealNumbers& numbers, double scale, std::int32_t zero_point, void* to, int threads) {
    const int worth = choose_threads(2 * static_cast<double>(numbers.n));
    parallel_shares(numbers.n, std::min(worth, threads), [&](std::int64_t first, std::int64_t last) {
        quantize_some(static_cast<const From*>(numbers.from) + first, last - first, scale, zero_point,
                      static_cast<To*>(to) + first);
    });
}

}  // namespace

void quantize(const RealNumbers& numbers, double scale, std::int32_t zero_point, void* to, Type out, int threads) {
    const auto of = [&](auto from) {
        using From = decltype(from);
        if (out == Type::u8)
            quantize_all<From, std::uint8_t>(numbers, scale, zero_point, to, threads);
        else
            quantize_all<From, std::int8_t>(numbers, scale, zero_point, to, threads);
    };
    numbers.type == Type::f32 ? of(float{}) : of(double{});
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
