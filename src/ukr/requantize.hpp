// SPDX-License-Identifier: BSD-3-Clause
// Requantising, exactly as arith.hpp says, by one FMA in float64 where the level has it: a factor of 31 bits and a sum
// of 32 are exact there, and a number whose last place counts ones, added in the same rounding, has them rounded half
// to even. It is even itself, as halves are to become; the integer is in its lowest bits. Without an FMA: the functions
// themselves, a multiplication of 64 bits and shifts. With AVX-512 64 outputs at a time in float32 (enclose.hpp), and
// by float64 next to halves alone.
#pragma once

#include "complsparse/arith.hpp"
#include "kernels/requantize.hpp"
#include "ukr/enclose.hpp"
#include "ukr/fold.hpp"
#include "ukr/levels.hpp"
#include "ukr/parts.hpp"
#include "ukr/quantize.hpp"
#include "ukr/vec.hpp"

namespace cs::ukr::CS_ISA {

CS_INLINE std::int64_t row_step(std::int64_t stride, const RequantizeArgs& args) {
    return stride == 0 ? args.cols : stride;
}

#ifdef __FMA__

// Intrinsics, because GCC 12 widens halves of a vector and joins them.
CS_INLINE vec<double, native<double>> as_real(vec<std::int32_t, native<double>> v) {
#ifdef __AVX512F__
    return _mm512_maskz_cvtepi32_pd(0xff, (__m256i)v);
#else
    return _mm256_cvtepi32_pd((__m128i)v);
#endif
}

// Two vectors of sums as outputs; offsets and factors: of each, or one for all.
template <class Out, class Sums, class Real>
CS_INLINE vec<Out, 2 * native<double>> requantize_vectors(const Sums (&sums)[2], const Sums (&offsets)[2],
                                                          const Real (&factors)[2], RequantizedRange range) {
    constexpr int half = native<double>;
    using Both = vec<std::int32_t, 2 * half>;
    auto part = [&](int i) {
        const Real scaled = fma(as_real(sums[i] + offsets[i]), factors[i], broadcast<Real>(counts_ones));
        return (Both)lesser_of(greater_of(scaled, broadcast<Real>(range.least)), broadcast<Real>(range.most));
    };
    Both low;  // the lower 32 bits of each
    for (int i = 0; i < 2 * half; ++i) low[i] = 2 * i;
    const Both ones = __builtin_shuffle(part(0), part(1), low);
    return __builtin_convertvector(ones + range.zero_point, vec<Out, 2 * half>);
}

// As many neighbouring outputs as fill two vectors of float64: of as many features (by_column), or of one.
template <bool by_column, class Out, class Sum>
CS_INLINE vec<Out, 2 * native<double>> requantize_vector(const Sum* sums, const std::int32_t* bias,
                                                         const double* factors, RequantizedRange range) {
    constexpr int half = native<double>;
    using Sums = vec<std::int32_t, half>;
    using Real = vec<double, half>;
    Sums whole[2], offsets[2];
    Real scales[2];
    for (int i = 0; i < 2; ++i) {
        whole[i] = __builtin_convertvector(load<vec<Sum, half>>(sums + i * half), Sums);
        offsets[i] = by_column ? load<Sums>(bias + i * half) : broadcast<Sums>(*bias);
        scales[i] = by_column ? load<Real>(factors + i * half) : broadcast<Real>(*factors);
    }
    return requantize_vectors<Out>(whole, offsets, scales, range);
}

#ifdef __AVX512BW__
// Neighbouring outputs, which may lie in place of the sums; false as above.
template <bool by_column, bool small, class Out, class Sum>
CS_INLINE bool requantize_block(const Sum* sums, const std::int32_t* bias, Factors factors, RequantizedRange range,
                                Out* to) {
    using Sums = vec<std::int32_t, 16>;
    using Real = vec<float, 16>;
    const auto of = [&](int i) -> PartOfBlock {
        const auto factor = [&](const float* f) { return by_column ? load<Real>(f + 16 * i) : broadcast<Real>(*f); };
        const auto whole = __builtin_convertvector(load<vec<Sum, 16>>(sums + 16 * i), Sums);
        const Sums offset = by_column ? load<Sums>(bias + 16 * i) : broadcast<Sums>(*bias);
        return {whole + offset, factor(factors.below), factor(factors.above)};
    };
    __m512i packed;
    if (!enclose(of, std::is_signed_v<Out>, small, range, &packed)) return false;
    store(to, _mm512_maskz_permutexvar_epi32(0xffff, order_of_parts(), packed));
    return true;
}
#endif

// Neighbouring outputs, at most a block of them where they are of as many features; the last ones by way of memory that
// is there.
template <bool by_column, bool small, class Out, class Sum>
CS_INLINE void requantize_run(const Sum* sums, std::int64_t count, const std::int32_t* bias, Factors factors,
                              RequantizedRange range, Out* to) {
    constexpr int at_once = 2 * native<double>;
    std::int64_t i = 0;
    auto exactly = [&](std::int64_t last) {
        for (; i + at_once <= last; i += at_once) {
            const std::int64_t f = by_column ? i : 0;
            store(to + i, requantize_vector<by_column, Out>(sums + i, bias + f, factors.exact + f, range));
        }
    };
#ifdef __AVX512BW__
    while (i + of_block <= count) {
        if (requantize_block<by_column, small, Out>(sums + i, bias, factors, range, to + i))
            i += of_block;
        else
            exactly(i + of_block);
    }
#endif
    exactly(count);
    if (i == count) return;
    const auto left = static_cast<std::size_t>(count - i), of_features = by_column ? left : 1;
    const std::int64_t f = by_column ? i : 0;
    Sum some_sums[at_once]{};
    std::int32_t some_bias[at_once]{};
    double some_factors[at_once]{};
    std::memcpy(some_sums, sums + i, left * sizeof(Sum));
    std::memcpy(some_bias, bias + f, of_features * sizeof *bias);
    std::memcpy(some_factors, factors.exact + f, of_features * sizeof *some_factors);
    const auto outputs = requantize_vector<by_column, Out>(some_sums, some_bias, some_factors, range);
    std::memcpy(to + i, &outputs, left * sizeof(Out));
}

// The first `count` lanes.
template <class V, class Out>
CS_INLINE void store_outputs(Out* to, std::int64_t count, V outputs) {
#ifdef __AVX512BW__
    static_assert(sizeof(V) == 16, "outputs of a vector of sums");
    _mm_mask_storeu_epi8(to, static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(count))), (__m128i)outputs);
#else
    std::memcpy(to, &outputs, static_cast<std::size_t>(count));
#endif
}

// Sums of one feature as outputs, by float64.
template <class Out, class Largest>
CS_INLINE auto requantize_exactly(Largest largest, std::int32_t bias, double factor, RequantizedRange range) {
    constexpr int half = native<double>;
    using Sums = vec<std::int32_t, half>;
    using Real = vec<double, half>;
    const Sums offsets[2] = {broadcast<Sums>(bias), broadcast<Sums>(bias)};
    const Real factors[2] = {broadcast<Real>(factor), broadcast<Real>(factor)};
    Sums sums[2];
    std::memcpy(sums, &largest, sizeof largest);
    return requantize_vectors<Out>(sums, offsets, factors, range);
}

// A line of windows of two columns, two apart: sums stay in registers.
template <int Rows, class Out>
CS_INLINE void requantize_pairs(const FoldArgs& windows, const std::int32_t* from, std::int32_t bias, double factor,
                                RequantizedRange range, Out* to) {
    constexpr int at_once = 2 * native<double>;
    for (std::int64_t i = 0; i < windows.n; i += at_once) {
        const auto largest = fold_pairs<Larger, Rows, vec<std::int32_t, at_once>>(windows, from + 2 * i);
        const auto outputs = requantize_exactly<Out>(largest, bias, factor, range);
        if (i + at_once <= windows.n)
            store(to + i, outputs);
        else
            store_outputs(to + i, windows.n - i, outputs);
    }
}

#ifdef __AVX512BW__
inline constexpr int lines_of_block = 4;

// As many of these lines as a block has vectors, of neighbouring features: their outputs are one block.
template <int Rows, class Out>
CS_INLINE void requantize_lines_of_pairs(const FoldArgs& windows, const std::int32_t* from, const std::int32_t* bias,
                                         Factors factors, bool small, RequantizedRange range, Out* to) {
    using Sums = vec<std::int32_t, 16>;
    using Outputs = vec<Out, 16>;
    for (std::int64_t i = 0; i < windows.n; i += 16) {
        Sums largest[lines_of_block];
#pragma GCC unroll 4
        for (int l = 0; l < lines_of_block; ++l)
            largest[l] = fold_pairs<Larger, Rows, Sums>(windows, from + l * windows.from_line + 2 * i);
        const auto of = [&](int l) { return part_of_feature(largest[l], bias[l], factors, l); };
        __m512i packed;
        const std::int64_t count = windows.n - i < 16 ? windows.n - i : 16;
        if (__builtin_expect(!enclose(of, std::is_signed_v<Out>, small, range, &packed), 0)) {
            for (int l = 0; l < lines_of_block; ++l)
                store_outputs(to + l * windows.to_line + i, count,
                              requantize_exactly<Out>(largest[l], bias[l], factors.exact[l], range));
            continue;
        }
        const __m512i in_order = _mm512_maskz_permutexvar_epi32(0xffff, order_of_parts(), packed);
        for_parts<vec<float, 16>, lines_of_block>((vec<float, 16>)in_order, [&](int l, vec<float, 4> outputs) {
            store_outputs(to + l * windows.to_line + i, count, (Outputs)outputs);
        });
    }
}
#endif

template <bool small, class Out, class Sum>
CS_INLINE void requantize_rows(const RequantizeArgs& args, const Sum* sums, Out* to) {
    const RequantizedRange range = range_of(args);
    const std::int64_t step = row_step(args.sums_stride, args), to_step = row_step(args.to_stride, args);
    if (!args.by_column) {
        std::int64_t feature = args.feature;
        for (std::int64_t r = 0; r < args.rows; ++r) {
            requantize_run<false, small>(sums + r * step, args.cols, args.bias + feature, Factors::of(args, feature),
                                         range, to + r * to_step);
            if (++feature == args.features) feature = 0;
        }
        return;
    }
    for (std::int64_t first = 0; first < args.cols; first += of_block) {
        const std::int64_t count = args.cols - first < of_block ? args.cols - first : of_block;
        for (std::int64_t r = 0; r < args.rows; ++r)
            requantize_run<true, small>(sums + r * step + first, count, args.bias + first, Factors::of(args, first),
                                        range, to + r * to_step + first);
    }
}

template <class Out, class Sum>
void requantize_sums(const RequantizeArgs& given) {
    const RequantizeArgs args = given;  // which no store may change
    const Sum* const sums = static_cast<const Sum*>(args.sums);
    Out* const to = static_cast<Out*>(args.to);
    args.small_factors ? requantize_rows<true>(args, sums, to) : requantize_rows<false>(args, sums, to);
}

#else

// `count` outputs that the compiler turns into lanes: loops of one width each, on arrays that are certainly apart.
template <bool by_column, class Sum>
CS_INLINE void requantize_some(const RequantizeArgs& args, const Sum* __restrict sums, std::int64_t feature,
                               std::int64_t count, std::int32_t* __restrict to) {
    namespace arith = complsparse::arith;
    const std::int32_t *const bias = args.bias + feature, *const multipliers = args.multipliers + feature,
                              *const shifts = args.shifts + feature;
    const std::int32_t zero_point = args.zero_point;
    const arith::Range<std::int32_t> range{args.least, args.most};
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t f = by_column ? i : 0;
        to[i] = arith::requantize(static_cast<std::int32_t>(sums[i]) + bias[f], {multipliers[f], shifts[f]}, zero_point,
                                  range);
    }
}

template <class Out, class Sum>
void requantize_sums(const RequantizeArgs& given) {
    constexpr std::int64_t at_once = 64;
    const RequantizeArgs args = given;  // which no store may change
    std::int32_t outputs[at_once];
    std::int64_t feature = args.feature;
    for (std::int64_t r = 0; r < args.rows; ++r) {
        const Sum* const sums = static_cast<const Sum*>(args.sums) + r * row_step(args.sums_stride, args);
        Out* const to = static_cast<Out*>(args.to) + r * row_step(args.to_stride, args);
        for (std::int64_t first = 0; first < args.cols; first += at_once) {
            const std::int64_t count = args.cols - first < at_once ? args.cols - first : at_once;
            if (args.by_column)
                requantize_some<true>(args, sums + first, first, count, outputs);
            else
                requantize_some<false>(args, sums + first, feature, count, outputs);
            for (std::int64_t i = 0; i < count; ++i) to[first + i] = static_cast<Out>(outputs[i]);
        }
        if (++feature == args.features) feature = 0;
    }
}

#endif

template <class Out>
void requantize(const RequantizeArgs& args) {
    if (args.sum == Type::f32)
        requantize_sums<Out, float>(args);
    else
        requantize_sums<Out, std::int32_t>(args);
}

// Neighbouring outputs of one feature.
template <class Out>
CS_INLINE void requantize_feature(const RequantizeArgs& args, const std::int32_t* sums, std::int64_t feature,
                                  std::int64_t count, Out* to) {
    RequantizeArgs some = args;
    some.sums = sums, some.to = to, some.rows = 1, some.cols = count, some.feature = feature;
    some.sums_stride = some.to_stride = 0;
    requantize_sums<Out, std::int32_t>(some);
}

template <int Rows, class Out>
void requantize_lines(const FoldArgs& windows, const RequantizeArgs& args) {
    constexpr std::int64_t at_once = 64;
    const std::int32_t* from = static_cast<const std::int32_t*>(windows.from);
    Out* to = static_cast<Out*>(windows.to);
    std::int64_t feature = args.feature, line = 0;
#ifdef __AVX512BW__
    if (are_pairs(windows)) {
        const RequantizedRange range = range_of(args);
        for (; line + lines_of_block <= windows.lines && feature + lines_of_block <= args.features;
             line += lines_of_block, feature += lines_of_block) {
            requantize_lines_of_pairs<Rows>(windows, from, args.bias + feature, Factors::of(args, feature),
                                            args.small_factors, range, to);
            from += lines_of_block * windows.from_line, to += lines_of_block * windows.to_line;
        }
        if (feature == args.features) feature = 0;
    }
#endif
    for (; line < windows.lines; ++line, from += windows.from_line, to += windows.to_line) {
#ifdef __FMA__
        if (are_pairs(windows)) {
            requantize_pairs<Rows>(windows, from, args.bias[feature], args.factors[feature], range_of(args), to);
        } else
#endif
        {
            std::int32_t largest[at_once];
            FoldArgs some = windows;
            for (std::int64_t first = 0; first < windows.n; first += at_once) {
                some.n = windows.n - first < at_once ? windows.n - first : at_once;
                fold_line<Larger, Rows>(some, from + first * windows.step, largest);
                requantize_feature(args, largest, feature, some.n, to + first);
            }
        }
        if (++feature == args.features) feature = 0;
    }
}

template <class Out>
void requantize_largest(const FoldArgs& given, const RequantizeArgs& how) {
    const FoldArgs windows = given;  // which no store may change
    const RequantizeArgs args = how;
    windows.rows == 2 ? requantize_lines<2, Out>(windows, args) : requantize_lines<0, Out>(windows, args);
}

template <class Out>
inline constexpr RequantizeRow requantize_row{type_of<Out>,
                                              requantize<Out>,
                                              requantize_largest<Out>,
                                              quantize<Out, float, float>,
                                              quantize<Out, float, double>,
                                              quantize<Out, double, double>};

static constexpr RequantizeRow requantize_of_every_level[] = {
    requantize_row<std::int8_t>,
    requantize_row<std::uint8_t>,
};
template <>
struct EveryLevel<RequantizeRow> {
    static constexpr Rows<RequantizeRow> rows = table_rows(requantize_of_every_level);
};

}  // namespace cs::ukr::CS_ISA
