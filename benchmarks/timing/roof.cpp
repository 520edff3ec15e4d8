// SPDX-License-Identifier: BSD-3-Clause
//
// The roof: what this core can do.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "clock.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

// The width that the compiler was told of: 512, 256 or 128 bits.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct Wide;
template <>
struct Wide<float> {
    using type __attribute__((vector_size(vector_bytes), may_alias, aligned(sizeof(float)))) = float;
};
template <>
struct Wide<double> {
    using type __attribute__((vector_size(vector_bytes), may_alias, aligned(sizeof(double)))) = double;
};

template <class V>
void keep(V& value) {
    asm volatile("" : "+x"(value));
}

// Twelve independent chains hide a latency of up to six cycles at two a cycle and fit sixteen registers with the
// operands. They are twelve variables, not an array: an array would live in memory.
constexpr int chains = 12;

template <class T>
double fma_rate() {
    using V = typename Wide<T>::type;
    V scale = V{} + T(0.999);
    V shift = V{} + T(0.001);
    keep(scale);
    keep(shift);
    V a = scale, b = scale, c = scale, d = scale, e = scale, f = scale;
    V g = scale, h = scale, i = scale, j = scale, k = scale, l = scale;
    const auto step = [&](auto&... acc) { ((acc = acc * scale + shift, keep(acc)), ...); };
    constexpr int64_t steps = 400000;
    double best = 1e30;
    for (int repeat = 0; repeat < 7; ++repeat) {
        const double start = now_ns();
        for (int64_t n = 0; n < steps; ++n) step(a, b, c, d, e, f, g, h, i, j, k, l);
        best = std::min(best, now_ns() - start);
    }
    return 2.0 * chains * steps * (vector_bytes / sizeof(T)) / best;
}

// Streams `bytes` of memory again and again through loads; with `multiply`, each loaded vector feeds one fma. Returns
// (bytes per ns) or (GFLOP/s).
template <class T, bool multiply>
double stream_rate(int64_t bytes) {
    using V = typename Wide<T>::type;
    constexpr int unroll = 8;
    constexpr int64_t step = unroll * vector_bytes;
    bytes = std::max(step, bytes / step * step);
    std::vector<char> memory(static_cast<size_t>(bytes) + 4096, 0);
    const auto address = reinterpret_cast<uintptr_t>(memory.data());
    const char* start_of_data = memory.data() + (4096 - address % 4096) % 4096;
    V scale = V{} + T(0.5);
    keep(scale);
    V a = {}, b = {}, c = {}, d = {}, e = {}, f = {}, g = {}, h = {};
    const auto consume = [&](const char* from, auto&... acc) {
        int64_t at = 0;
        const auto one = [&](V& sum) {
            V value = *reinterpret_cast<const V*>(from + at);
            at += vector_bytes;
            if constexpr (multiply) {
                sum = value * scale + sum;
                keep(sum);
            } else {
                keep(value);
            }
        };
        (one(acc), ...);
    };
    const auto passes = std::max<int64_t>(1, (int64_t(16) << 20) / bytes);
    double best = 1e30;
    for (int repeat = 0; repeat < 9; ++repeat) {
        const double start = now_ns();
        for (int64_t pass = 0; pass < passes; ++pass) {
            for (int64_t offset = 0; offset < bytes; offset += step)
                consume(start_of_data + offset, a, b, c, d, e, f, g, h);
        }
        if (repeat > 0) best = std::min(best, now_ns() - start);  // the first pass brings the memory in
    }
    const double moved = static_cast<double>(bytes) * static_cast<double>(passes);
    return multiply ? 2.0 * moved / sizeof(T) / best : moved / best;
}

}  // namespace

extern "C" {

// Billions of cycles a second, now: each addition waits for the one before, for a cycle.
double clock_ghz() {
    uint64_t sum = 1, step = 3;
    constexpr int64_t additions = 100000;
    double best = 1e30;
    for (int repeat = 0; repeat < 7; ++repeat) {
        const double start = now_ns();
        for (int64_t n = 0; n < additions; n += 10)
            for (int i = 0; i < 10; ++i) {
                sum += step;
                asm volatile("" : "+r"(sum), "+r"(step));
            }
        best = std::min(best, now_ns() - start);
    }
    return static_cast<double>(additions) / best;
}

int vector_width() { return vector_bytes; }
double fma_gflops_f32() { return fma_rate<float>(); }
double fma_gflops_f64() { return fma_rate<double>(); }
double load_gbytes(int64_t bytes) { return stream_rate<float, false>(bytes); }
double fma_load_gflops_f32(int64_t bytes) { return stream_rate<float, true>(bytes); }
double fma_load_gflops_f64(int64_t bytes) { return stream_rate<double, true>(bytes); }

// Billions of 32-bit elements gathered a second from `bytes` of memory, at random positions; 0 where there is no
// gather.
double gather_rate(int64_t bytes) {
#if defined(__AVX2__)
    const auto elements = static_cast<uint32_t>(std::max<int64_t>(64, bytes / 4));
    std::vector<float> table(elements, 1.0f);
    constexpr int positions = 4096;
    std::vector<int32_t> index(positions);
    uint32_t state = 12345;
    for (auto& i : index) {
        state = state * 1664525u + 1013904223u;
        i = static_cast<int32_t>((state >> 8) % elements);
    }
    double best = 1e30;
    constexpr int passes = 200;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const double start = now_ns();
        for (int pass = 0; pass < passes; ++pass) {
#if defined(__AVX512F__)
            for (int i = 0; i < positions; i += 16) {
                __m512 value = _mm512_i32gather_ps(_mm512_loadu_si512(&index[i]), table.data(), 4);
                keep(value);
            }
#else
            for (int i = 0; i < positions; i += 8) {
                const auto* position = reinterpret_cast<const __m256i*>(&index[i]);
                __m256 value = _mm256_i32gather_ps(table.data(), _mm256_loadu_si256(position), 4);
                keep(value);
            }
#endif
        }
        best = std::min(best, now_ns() - start);
    }
    return static_cast<double>(positions) * passes / best;
#else
    (void)bytes;
    return 0.0;
#endif
}

}  // extern "C"
