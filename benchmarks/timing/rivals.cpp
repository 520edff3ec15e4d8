// SPDX-License-Identifier: BSD-3-Clause
//
// The rivals as C functions for the timing loop: MKL's sparse products, dense BLAS, and what a caller does whose arrays
// lie otherwise. The structs are mirrored by the classes of benchmarks/rivals.

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace {

constexpr int row_major = 101;
constexpr int col_major = 102;

}  // namespace

extern "C" {

// --- MKL sparse, inspector-executor ---

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

// --- MKL sparse times sparse, dense result ---

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

// --- on transposed arrays ---

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

// --- dense BLAS ---

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
