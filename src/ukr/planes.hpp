// SPDX-License-Identifier: BSD-3-Clause
// spmm on planes: the loop of row groups, on runs at offsets.
//
// Runs begin anywhere: a load that crosses a cache line costs two, so rows with columns of their own take about one
// and a half times the loads of aligned tiles. Where rows share their columns, a load serves all of them.
#pragma once

#include "kernels/planes.hpp"
#include "ukr/fold.hpp"
#include "ukr/levels.hpp"
#include "ukr/outputs.hpp"
#include "ukr/quads.hpp"
#include "ukr/row_groups.hpp"

namespace cs::ukr::CS_ISA {

#ifdef __AVX512F__
// The sums of a window stay in registers, four of each row of a group: a load serves four FMAs, a value too. Whether
// any of them is NaN is asked once for all, so that folding takes one instruction each.
template <class T, int Shared>
void largest_of_windows(const PlanesArgs& given) {
    constexpr int L = native<T>;
    using V = vec<T, L>;
    const PlanesArgs args = given;  // which no store may change
    const std::uint16_t* rows = args.rows;
    const std::uint32_t* columns = args.columns;
    const T *values = static_cast<const T*>(args.values), *x = static_cast<const T*>(args.x);
    T* const to = static_cast<T*>(args.to);
    for (const GroupRun* run = args.runs; run != args.runs + args.n_runs; ++run) {
        const std::uint32_t count = run->count;
        for (std::uint32_t left = run->groups; left > 0; --left, rows += Shared) {
            V sum[Shared][window_outputs] = {};
#pragma GCC unroll 1
            for (std::uint32_t j = 0; j < count; ++j, columns += window_outputs, values += Shared) {
                V of_x[window_outputs];
                for (int w = 0; w < window_outputs; ++w) of_x[w] = load<V>(x + columns[w]);
#pragma GCC unroll 4
                for (int r = 0; r < Shared; ++r) {
                    const V value = broadcast<V>(values[r]);
#pragma GCC unroll 4
                    for (int w = 0; w < window_outputs; ++w) sum[r][w] = fma(value, of_x[w], sum[r][w]);
                }
            }
            const auto fold = [&](auto largest) {
#pragma GCC unroll 4
                for (int r = 0; r < Shared; ++r)
                    store(to + rows[r] * args.to_stride,
                          largest(largest(sum[r][0], sum[r][2]), largest(sum[r][1], sum[r][3])));
            };
            constexpr auto all = static_cast<__mmask16>((1u << L) - 1);
            __mmask16 numbers = all;
#pragma GCC unroll 4
            for (int r = 0; r < Shared; ++r)
                numbers = numbers_in(numbers_in(numbers, sum[r][0], sum[r][1]), sum[r][2], sum[r][3]);
            if (numbers == all)
                fold([](V a, V b) { return greater_of(b, a); });
            else
                fold([](V a, V b) { return Larger::of(a, b); });
        }
    }
}
#endif

template <class T, int NV, int Shared>
constexpr PlanesFunction windows_function() {
#ifdef __AVX512F__
    if constexpr (NV == 1 && Shared == 4) return largest_of_windows<T, Shared>;
#endif
    return nullptr;
}

template <class T, int NV, int Shared = 0>
inline constexpr PlanesRow planes_row{uniform(type_of<T>), native<T>* NV, Shared,
                                      row_groups<T, native<T>, NV, Shared, 1, std::uint32_t>,
                                      windows_function<T, NV, Shared>()};

#ifdef __AVX512VBMI__
template <int NV, int Shared>
void outputs_of_planes(const PlanesArgs& args, const PlanesOutputs& outputs) {
    row_groups_of<std::int32_t, 16, NV, Shared, 1, std::uint32_t, DotQuads, Values::spread, false>(
        args, Outputs<NV>::of(outputs));
}
#endif

template <int NV, int Shared>
constexpr PlanesOutputsFunction outputs_function() {
#ifdef __AVX512VBMI__
    return outputs_of_planes<NV, Shared>;
#else
    return nullptr;
#endif
}

// Of quads of 8-bit numbers.
template <int NV, int Shared = 0>
inline constexpr PlanesRow quad_planes_row{
    Types{Type::s8, Type::u8, Type::s32},
    native<std::int32_t>* NV,
    Shared,
    row_groups<std::int32_t, native<std::int32_t>, NV, Shared, 1, std::uint32_t, DotQuads>,
    nullptr,
    outputs_function<NV, Shared>()};

static constexpr PlanesRow planes_of_every_level[] = {
    planes_row<float, 1>,     planes_row<float, 2>,  planes_row<float, 1, 4>, planes_row<float, 2, 4>,
    planes_row<float, 1, 8>,  planes_row<double, 1>, planes_row<double, 2>,   planes_row<double, 1, 4>,
    planes_row<double, 2, 4>, quad_planes_row<1>,    quad_planes_row<2>,      quad_planes_row<1, 4>,
    quad_planes_row<2, 4>,
};
template <>
struct EveryLevel<PlanesRow> {
    static constexpr Rows<PlanesRow> rows = table_rows(planes_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
