// SPDX-License-Identifier: BSD-3-Clause
//
// The timing loop that every figure of this folder comes from, and the rivals as C functions.
//
// A candidate is `void function(void* context)`. Ours comes from the extension (BoundCall), a rival is one of the
// functions below with its operands in the context; the address of the library routine it calls is in the context too,
// so nothing is linked against any BLAS. Both sides pay the same: one indirect call, no Python, no ctypes.
//
// Compiled on first use by loop.py. Plain C ABI: the structs are mirrored there field by field.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

double now_ns() {
    using clock = std::chrono::steady_clock;
    return static_cast<double>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now().time_since_epoch()).count());
}

// Time that this thread spent on a core: less than the time that passed when somebody else had the core.
double cpu_ns() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

constexpr int row_major = 101;
constexpr int col_major = 102;

}  // namespace

extern "C" {

// --- the loop
// ---------------------------------------------------------------------------------------------------------

struct Candidate {
    void (*function)(void*);
    void* context;
    // Slept after this candidate's sample: some thread pools spin for a while after their last job and would sit on the
    // core of the next candidate.
    double settle_ns;
};

static double time_calls(const Candidate& candidate, int64_t calls) {
    const double start = now_ns();
    for (int64_t i = 0; i < calls; ++i) candidate.function(candidate.context);
    return now_ns() - start;
}

static void settle(const Candidate& candidate) {
    if (candidate.settle_ns > 0)
        std::this_thread::sleep_for(std::chrono::nanoseconds(static_cast<int64_t>(candidate.settle_ns)));
}

// Calls per sample: at least `min_calls` and as many as last `sample_ns`, but no more than last `max_sample_ns`.
void calibrate(const Candidate* candidates, int count, double sample_ns, double max_sample_ns, int64_t min_calls,
               int64_t* calls) {
    for (int c = 0; c < count; ++c) {
        time_calls(candidates[c], 1);  // first touch of the operands
        int64_t n = 1;
        double elapsed = time_calls(candidates[c], n);
        const double long_enough = std::min(sample_ns, 0.25e6);  // 0.25 ms: the clock's resolution is far below
        while (elapsed < long_enough) {
            n *= 2;
            elapsed = time_calls(candidates[c], n);
        }
        const double per_call = std::max(elapsed / static_cast<double>(n), 0.1);
        int64_t wanted = std::max<int64_t>(min_calls, static_cast<int64_t>(sample_ns / per_call) + 1);
        const auto affordable = std::max<int64_t>(1, static_cast<int64_t>(max_sample_ns / per_call));
        calls[c] = std::min(wanted, affordable);
        settle(candidates[c]);
    }
}

// rounds x count nanoseconds per call. The order of the candidates is rotated by one each round, so that none always
// follows the same neighbour; a tenth of each sample runs untimed first, so that every sample starts with its own
// operands in the caches. A sample during which this thread did not have its core to itself is taken again, up to
// `attempts` times in all; `share` says how much of the core the sample had that was kept. With `alone` (all work is on
// this thread) a sample that stays disturbed counts the time that its thread had the core.
void race(const Candidate* candidates, int count, int rounds, const int64_t* calls, int attempts, int alone,
          double* ns_per_call, double* share) {
    constexpr double undisturbed = 0.97;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < count; ++i) {
            const int c = (i + round) % count;
            const int64_t at = static_cast<int64_t>(round) * count + c;
            share[at] = -1;
            for (int attempt = 0; attempt < attempts && share[at] < undisturbed; ++attempt) {
                time_calls(candidates[c], calls[c] / 10 + 1);
                const double cpu = cpu_ns();
                const double elapsed = time_calls(candidates[c], calls[c]);
                const double worked = cpu_ns() - cpu;
                const double had = worked / elapsed;
                if (had > share[at]) {
                    share[at] = had;
                    const double counted = alone && had < undisturbed ? worked : elapsed;
                    ns_per_call[at] = counted / static_cast<double>(calls[c]);
                }
            }
            settle(candidates[c]);
        }
    }
}

// What the loop itself costs.
void empty_call(void*) {}

// --- rivals: MKL sparse, inspector-executor
// -----------------------------------------------------------------------------

struct MatrixDescr {  // struct matrix_descr of mkl_spblas.h
    int type, mode, diag;
};
constexpr int operation_non_transpose = 10;  // SPARSE_OPERATION_NON_TRANSPOSE
constexpr MatrixDescr general = {20, 0, 0};  // SPARSE_MATRIX_TYPE_GENERAL

// mkl_sparse_?_mm takes its descriptor by value, which ctypes can do as well; these three keep the Python side short.
int sparse_hint_mv(void* set_mv_hint, void* handle, int calls) {
    using Hint = int (*)(void*, int, MatrixDescr, int);
    return reinterpret_cast<Hint>(set_mv_hint)(handle, operation_non_transpose, general, calls);
}

int sparse_hint_mm(void* set_mm_hint, void* handle, int layout, int columns, int calls) {
    using Hint = int (*)(void*, int, MatrixDescr, int, int, int);
    return reinterpret_cast<Hint>(set_mm_hint)(handle, operation_non_transpose, general, layout, columns, calls);
}

struct SparseMv {
    void* routine;  // mkl_sparse_?_mv
    void* handle;
    const void* x;
    void* y;
    int status;  // of the last call: a form that MKL does not offer says so here and writes nothing
};

}  // extern "C"

namespace {

template <class T>
void call_sparse_mv(void* context) {
    using Mv = int (*)(int, T, void*, MatrixDescr, const T*, T, T*);
    auto& c = *static_cast<SparseMv*>(context);
    c.status = reinterpret_cast<Mv>(c.routine)(operation_non_transpose, T(1), c.handle, general,
                                               static_cast<const T*>(c.x), T(0), static_cast<T*>(c.y));
}

}  // namespace

extern "C" {

void sparse_mv_f32(void* context) { call_sparse_mv<float>(context); }
void sparse_mv_f64(void* context) { call_sparse_mv<double>(context); }

// `panel` columns at a time where panel > 0. With buffers, each panel of x is copied to a dense (columns, panel) array
// and its result copied back, inside the timing; without, the routine reads and writes the panel where it lies.
// `transpose` (then x is (n, columns), y is (n, rows), and the buffers hold n columns): x is transposed into the buffer
// and the result back, by `copy_routine`, mkl_?omatcopy.
struct SparseMm {
    void* routine;  // mkl_sparse_?_mm
    void* copy_routine;
    void* handle;
    const void* x;
    void* y;
    void* x_buffer;
    void* y_buffer;
    int64_t rows, columns, n;
    int64_t panel;
    int layout;
    int transpose;
    int status;
};

}  // extern "C"

namespace {

template <class T>
using MmRoutine = int (*)(int, T, void*, MatrixDescr, int, const T*, int, int, T, T*, int);

template <class T>
void copy_rows(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; ++r)
        std::memcpy(to + r * to_stride, from + r * from_stride, static_cast<size_t>(width) * sizeof(T));
}

template <class T>
void call_sparse_mm(void* context) {
    auto& c = *static_cast<SparseMm*>(context);
    const auto mm = reinterpret_cast<MmRoutine<T>>(c.routine);
    const auto* x = static_cast<const T*>(c.x);
    auto* y = static_cast<T*>(c.y);
    const int n = static_cast<int>(c.n);
    const int rows = static_cast<int>(c.rows);
    const int columns = static_cast<int>(c.columns);
    const auto multiply = [&](const T* panel_x, int width, int x_stride, T* panel_y, int y_stride) {
        c.status = mm(operation_non_transpose, T(1), c.handle, general, c.layout, panel_x, width, x_stride, T(0),
                      panel_y, y_stride);
    };
    if (c.transpose) {
        using Copy = void (*)(char, char, size_t, size_t, T, const T*, size_t, T*, size_t);
        const auto copy = reinterpret_cast<Copy>(c.copy_routine);
        auto* x_buffer = static_cast<T*>(c.x_buffer);
        auto* y_buffer = static_cast<T*>(c.y_buffer);
        copy('R', 'T', n, columns, T(1), x, columns, x_buffer, n);
        multiply(x_buffer, n, n, y_buffer, n);
        copy('R', 'T', rows, n, T(1), y_buffer, n, y, rows);
        return;
    }
    if (c.panel == 0) {
        multiply(x, n, c.layout == row_major ? n : columns, y, c.layout == row_major ? n : rows);
        return;
    }
    for (int64_t j = 0; j < c.n; j += c.panel) {
        const int width = static_cast<int>(std::min(c.panel, c.n - j));
        if (c.layout == col_major) {  // a panel of a column-major array is contiguous: nothing to copy
            multiply(x + j * c.columns, width, columns, y + j * c.rows, rows);
        } else if (c.x_buffer == nullptr) {
            multiply(x + j, width, n, y + j, n);
        } else {
            auto* x_buffer = static_cast<T*>(c.x_buffer);
            auto* y_buffer = static_cast<T*>(c.y_buffer);
            copy_rows(x + j, c.n, x_buffer, width, c.columns, width);
            multiply(x_buffer, width, width, y_buffer, width);
            copy_rows(y_buffer, width, y + j, c.n, c.rows, width);
        }
    }
}

}  // namespace

extern "C" {

void sparse_mm_f32(void* context) { call_sparse_mm<float>(context); }
void sparse_mm_f64(void* context) { call_sparse_mm<double>(context); }

// --- rivals: MKL sparse times sparse, dense result
// ------------------------------------------------------------------------------

struct SparseSpmmd {
    void* routine;  // mkl_sparse_?_spmmd
    void* a;
    void* b;
    void* c;
    int ldc;  // of the row-major result
    int status;
};

}  // extern "C"

namespace {

template <class T>
void call_sparse_spmmd(void* context) {
    using Spmmd = int (*)(int, void*, void*, int, T*, int);
    auto& c = *static_cast<SparseSpmmd*>(context);
    c.status =
        reinterpret_cast<Spmmd>(c.routine)(operation_non_transpose, c.a, c.b, row_major, static_cast<T*>(c.c), c.ldc);
}

}  // namespace

extern "C" {

void sparse_spmmd_f32(void* context) { call_sparse_spmmd<float>(context); }
void sparse_spmmd_f64(void* context) { call_sparse_spmmd<double>(context); }

// --- one call after the other
// -------------------------------------------------------------------------------------------

// Each call is the next of `count` calls with operands of their own: what one call brought into the caches is of little
// use to the next.
struct InTurn {
    void (*const* functions)(void*);
    void* const* contexts;
    int64_t count, next;
};

void in_turn(void* context) {
    auto& c = *static_cast<InTurn*>(context);
    const int64_t now = c.next;
    c.next = now + 1 < c.count ? now + 1 : 0;
    c.functions[now](c.contexts[now]);
}

// --- rivals on transposed arrays
// ----------------------------------------------------------------------------------------

// A candidate that works on transposed arrays, called by somebody whose arrays are plain: x (columns, n) is transposed
// into x_buffer, the candidate reads it and writes y_buffer (n, rows), which is transposed into y. All of it is timed.
struct Transposed {
    void (*function)(void*);
    void* context;
    const void* x;
    void* x_buffer;
    const void* y_buffer;
    void* y;
    int64_t rows, columns, n;
};

}  // extern "C"

namespace {

// In tiles of one cache line each way; whole tiles have constant bounds, which the compiler turns into shuffles.
template <class T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to) {
    constexpr int64_t tile = 64 / sizeof(T);
    for (int64_t r = 0; r < rows; r += tile) {
        for (int64_t c = 0; c < columns; c += tile) {
            if (r + tile <= rows && c + tile <= columns) {
                for (int64_t i = 0; i < tile; ++i)
                    for (int64_t j = 0; j < tile; ++j) to[(c + i) * rows + r + j] = from[(r + j) * columns + c + i];
                continue;
            }
            for (int64_t i = c; i < std::min(columns, c + tile); ++i)
                for (int64_t j = r; j < std::min(rows, r + tile); ++j) to[i * rows + j] = from[j * columns + i];
        }
    }
}

template <class T>
void call_transposed(void* context) {
    const auto& c = *static_cast<Transposed*>(context);
    transpose(static_cast<const T*>(c.x), c.columns, c.n, static_cast<T*>(c.x_buffer));
    c.function(c.context);
    transpose(static_cast<const T*>(c.y_buffer), c.n, c.rows, static_cast<T*>(c.y));
}

}  // namespace

extern "C" {

void transposed_f32(void* context) { call_transposed<float>(context); }
void transposed_f64(void* context) { call_transposed<double>(context); }

// --- rivals: dense BLAS
// -------------------------------------------------------------------------------------------------

// One struct for cblas_?gemm, cblas_?gemm_compute, cblas_?gemv and the Fortran interface: c = op(a) op(b).
struct Dense {
    void* routine;
    const void* a;
    const void* b;
    void* c;
    int order, trans_a, trans_b;  // cblas enumerators; for gemm_compute a packed side is CblasPacked
    int m, n, k;
    int lda, ldb, ldc;
};

}  // extern "C"

namespace {

template <class T>
void call_cblas_gemm(void* context) {
    using Gemm = void (*)(int, int, int, int, int, int, T, const T*, int, const T*, int, T, T*, int);
    const auto& c = *static_cast<const Dense*>(context);
    reinterpret_cast<Gemm>(c.routine)(c.order, c.trans_a, c.trans_b, c.m, c.n, c.k, T(1), static_cast<const T*>(c.a),
                                      c.lda, static_cast<const T*>(c.b), c.ldb, T(0), static_cast<T*>(c.c), c.ldc);
}

// alpha went into the packed side.
template <class T>
void call_cblas_gemm_compute(void* context) {
    using Compute = void (*)(int, int, int, int, int, int, const T*, int, const T*, int, T, T*, int);
    const auto& c = *static_cast<const Dense*>(context);
    reinterpret_cast<Compute>(c.routine)(c.order, c.trans_a, c.trans_b, c.m, c.n, c.k, static_cast<const T*>(c.a),
                                         c.lda, static_cast<const T*>(c.b), c.ldb, T(0), static_cast<T*>(c.c), c.ldc);
}

// m x n is the shape of the stored a, b the vector.
template <class T>
void call_cblas_gemv(void* context) {
    using Gemv = void (*)(int, int, int, int, T, const T*, int, const T*, int, T, T*, int);
    const auto& c = *static_cast<const Dense*>(context);
    reinterpret_cast<Gemv>(c.routine)(c.order, c.trans_a, c.m, c.n, T(1), static_cast<const T*>(c.a), c.lda,
                                      static_cast<const T*>(c.b), 1, T(0), static_cast<T*>(c.c), 1);
}

char fortran_letter(int trans) { return trans == 111 ? 'N' : 'T'; }

template <class T>
void call_fortran_gemm(void* context) {
    using Gemm = void (*)(char*, char*, int*, int*, int*, T*, const T*, int*, const T*, int*, T*, T*, int*);
    auto& c = *static_cast<Dense*>(context);
    char trans_a = fortran_letter(c.trans_a);
    char trans_b = fortran_letter(c.trans_b);
    T one = 1;
    T zero = 0;
    reinterpret_cast<Gemm>(c.routine)(&trans_a, &trans_b, &c.m, &c.n, &c.k, &one, static_cast<const T*>(c.a), &c.lda,
                                      static_cast<const T*>(c.b), &c.ldb, &zero, static_cast<T*>(c.c), &c.ldc);
}

template <class T>
void call_fortran_gemv(void* context) {
    using Gemv = void (*)(char*, int*, int*, T*, const T*, int*, const T*, int*, T*, T*, int*);
    auto& c = *static_cast<Dense*>(context);
    char trans = fortran_letter(c.trans_a);
    T one = 1;
    T zero = 0;
    int stride = 1;
    reinterpret_cast<Gemv>(c.routine)(&trans, &c.m, &c.n, &one, static_cast<const T*>(c.a), &c.lda,
                                      static_cast<const T*>(c.b), &stride, &zero, static_cast<T*>(c.c), &stride);
}

}  // namespace

extern "C" {

void cblas_gemm_f32(void* context) { call_cblas_gemm<float>(context); }
void cblas_gemm_f64(void* context) { call_cblas_gemm<double>(context); }
void cblas_gemm_compute_f32(void* context) { call_cblas_gemm_compute<float>(context); }
void cblas_gemm_compute_f64(void* context) { call_cblas_gemm_compute<double>(context); }
void cblas_gemv_f32(void* context) { call_cblas_gemv<float>(context); }
void cblas_gemv_f64(void* context) { call_cblas_gemv<double>(context); }
void fortran_gemm_f32(void* context) { call_fortran_gemm<float>(context); }
void fortran_gemm_f64(void* context) { call_fortran_gemm<double>(context); }
void fortran_gemv_f32(void* context) { call_fortran_gemv<float>(context); }
void fortran_gemv_f64(void* context) { call_fortran_gemv<double>(context); }

}  // extern "C"

// --- the roof: what this core can do
// ------------------------------------------------------------------------------------

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
