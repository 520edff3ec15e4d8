// SPDX-License-Identifier: BSD-3-Clause
// Bringing dense operands into tiles and out again: the table of it, and copies that end with an epilogue.
#pragma once

#include "kernels/move.hpp"
#include "ukr/activations.hpp"
#include "ukr/levels.hpp"
#include "ukr/pad.hpp"
#include "ukr/transpose.hpp"
#include "ukr/vec.hpp"
#include "ukr/widen.hpp"

namespace cs::ukr::CS_ISA {

// Columns [c, cols) of one row: whole vectors, then the first lanes of one, or ever narrower ones where a level has no
// such loads and stores.
template <class T, int Lanes, class Apply>
inline void finish_row(const T* from, T* to, std::int64_t c, std::int64_t cols, const T* bias, Apply apply) {
    using V = vec<T, Lanes>;
    auto finish = [&](V v) {
        if (bias != nullptr) v = static_cast<V>(v + broadcast<V>(*bias));
        return apply(v);
    };
    for (; c + Lanes <= cols; c += Lanes) store(to + c, finish(load<V>(from + c)));
    if constexpr (has_first_lanes<V>) {
        if (c < cols) store_first<V>(to + c, cols - c, finish(load_first<V>(from + c, cols - c)));
    } else if constexpr (Lanes > 1) {
        if (c < cols) finish_row<T, Lanes / 2>(from, to, c, cols, bias, apply);
    }
}

// One row of lines. Where they lie one behind the other, the last vector of a line may reach into the next, which is
// written after it: no store needs a mask but the last ones of the row.
template <class T, int Lanes, class Apply>
inline void finish_lines(const FinishArgs& args, const T* from, T* to, const T* bias, Apply apply) {
    std::int64_t line = 0;
    if (args.cols > 0 && args.to_line == args.cols && args.from_line >= args.cols) {
        const std::int64_t reach = (args.cols + Lanes - 1) / Lanes * Lanes;
        for (; (args.lines - line) * args.cols >= reach + args.cols; ++line, from += args.from_line, to += args.to_line)
            finish_row<T, Lanes>(from, to, 0, reach, bias, apply);
    }
    for (; line < args.lines; ++line, from += args.from_line, to += args.to_line)
        finish_row<T, Lanes>(from, to, 0, args.cols, bias, apply);
}

template <class T, int Lanes, class Apply>
void finish_rows(const FinishArgs& given, Apply apply) {
    const FinishArgs args = given;  // which no store may change
    if constexpr (!has_first_lanes<vec<T, Lanes>> && Lanes > 1) {
        if (args.cols < Lanes) return finish_rows<T, Lanes / 2>(args, apply);  // start no wider than a row is
    }
    const T* const bias = static_cast<const T*>(args.finish.bias);
    for (std::int64_t r = 0; r < args.rows; ++r)
        finish_lines<T, Lanes>(args, static_cast<const T*>(args.from) + r * args.from_stride,
                               static_cast<T*>(args.to) + r * args.to_stride, bias != nullptr ? bias + r : nullptr,
                               apply);
}

template <class T>
void finish(const FinishArgs& args) {
    with_activation<T>(args.finish.activation, static_cast<T>(args.finish.parameter),
                       [&](auto apply) { finish_rows<T, native<T>>(args, apply); });
}

template <class T, class Function>
constexpr Function of_float(Function function) {
    return std::is_same_v<T, float> ? function : nullptr;
}

template <class T>
inline constexpr MoveRow move_row{type_of<T>, native<T>,
                                  // floats have more ways to be turned, and no bit changes
                                  transpose<std::conditional_t<std::is_same_v<T, std::int32_t>, float, T>>, finish<T>,
                                  widen<T, T>, of_float<T>(transpose_halves), of_float<T>(widen<float, Bfloat16>),
                                  pad<T>, pad_pair<T>};

static constexpr MoveRow move_of_every_level[] = {
    move_row<float>,        move_row<double>,      move_row<std::int64_t>,
    move_row<std::int32_t>, move_row<std::int8_t>, move_row<std::uint8_t>,
};
template <>
struct EveryLevel<MoveRow> {
    static constexpr Rows<MoveRow> rows = table_rows(move_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
