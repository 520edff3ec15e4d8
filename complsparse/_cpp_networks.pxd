# SPDX-License-Identifier: BSD-3-Clause
# What the border sees of networks in C++: src/api.hpp, one to one.

from libc.stdint cimport int32_t, int64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.vector cimport vector

from complsparse._cpp cimport (
    Activation,
    Contest,
    Convolution,
    Epilogue,
    ImagesView,
    Plan,
    Pool,
    PoolWindow,
    RequantizeArgs,
    Requantizing,
    Sliding,
    Type,
    Units,
    Workspace,
)


cdef extern from "api.hpp" namespace "cs" nogil:
    cdef enum class Memory(unsigned char):
        outside
        batch
        sample
        fixed

    cdef cppclass Step:
        pass

    cdef struct WinnersAt:
        int values, indices, starts
        int64_t vectors, length, most

    cdef cppclass Extents:
        int64_t outer, n, inner

    cdef cppclass Program:
        Program() except +
        int new_value(int64_t) except +
        void place(int, Memory, int64_t)
        int add(unique_ptr[const Step]) except +
        void add_stretch(int, cbool, int64_t) except +
        cbool takes_rows(int)
        void add_chain(int, const vector[int]&, int64_t) except +
        void set_memory(int64_t, int64_t)
        int n_steps()
        int64_t memory_bytes(int)
        void run(unsigned char**, Workspace, int, int64_t*) except +

    unique_ptr[const Step] program_step(const Program&) except +

    cdef cppclass ProductStep:
        Plan plan
        int64_t samples, vectors, inputs, outputs
        Epilogue finish

    cdef cppclass Quantized:
        Type type
        float scale
        int32_t zero_point

    cdef cppclass Frayed:
        Type type, to
        int64_t planes, rows, cols, inner
        int64_t top, left, bottom, right
        int32_t value

    cdef cppclass Outputs:
        Type type
        RequantizeArgs how
        Units units

    unique_ptr[const Step] quantize_step(const Quantized&, int64_t, int, int) except +
    unique_ptr[const Step] dequantize_step(const Quantized&, int64_t, int, int) except +
    unique_ptr[const Step] clip_step(Type, int64_t, int32_t, int32_t, int, int) except +
    unique_ptr[const Step] widen_step(const Frayed&, int, int) except +
    unique_ptr[const Step] widen_winners_step(Type, Type, const WinnersAt&, int) except +
    unique_ptr[const Step] outputs_step(const Outputs&, int, int) except +

    cdef cppclass CopyRuns:
        int64_t runs, run_bytes, first_byte, pitch_bytes

    cdef enum class Pair(unsigned char):
        add
        multiply
        subtract
        divide
        larger
        smaller
        slope

    cdef struct PairAxis:
        int64_t n, a, b

    cdef struct PermutedAxis:
        int64_t n, step

    cdef struct Norm:
        int64_t rows, n
        const void* weight
        const void* bias
        double eps
        cbool centred

    ctypedef void (*Gemm)(char*, char*, int*, int*, int*, void*, void*, int*, void*, int*, void*, void*, int*) noexcept
    ctypedef void (*Gemv)(char*, int*, int*, void*, void*, int*, void*, int*, void*, void*, int*) noexcept

    cdef struct Blas:
        Gemm gemm
        Gemv gemv

    cdef cppclass OfIntegers:
        int32_t pad
        const Requantizing* requantizing

    unique_ptr[const Step] convolution_step(
        const Convolution&, const ImagesView&, const ImagesView&, const Epilogue&, PoolWindow, const OfIntegers&, int,
        int) except +
    unique_ptr[const Step] winners_convolution_step(
        const Convolution&, const ImagesView&, const Epilogue&, PoolWindow, const WinnersAt&, int) except +
    unique_ptr[const Step] product_step(const ProductStep&, int, int) except +
    unique_ptr[const Step] winners_product_step(const ProductStep&, const WinnersAt&, int) except +
    unique_ptr[const Step] contest_step(const Contest&, const Extents&, int, const WinnersAt&) except +
    unique_ptr[const Step] expand_step(const WinnersAt&, Type, int64_t, int) except +
    unique_ptr[const Step] flatten_step(const WinnersAt&, Type, int64_t, const WinnersAt&) except +
    unique_ptr[const Step] pool_step(const Pool&, const ImagesView&, const ImagesView&, int, int) except +
    unique_ptr[const Step] pair_step(
        Pair, Type, vector[PairAxis], const Extents&, Activation, int, int, int) except +
    unique_ptr[const Step] permute_step(Type, vector[PermutedAxis], int, int) except +
    unique_ptr[const Step] norm_step(const Norm&, Type, int, int) except +
    unique_ptr[const Step] activation_step(Type, int64_t, const Epilogue&, int, int) except +
    unique_ptr[const Step] scale_step(Type, const Extents&, const void*, const void*, int, int) except +
    unique_ptr[const Step] softmax_step(Type, const Extents&, int, int) except +
    unique_ptr[const Step] copy_step(const CopyRuns&, int, int) except +
    unique_ptr[const Step] depthwise_step(
        Type, const void*, const ImagesView&, const ImagesView&, const Sliding&, const Epilogue&, int, int) except +

    cdef struct Recurrent:
        cbool is_lstm, reverse, linear_before_reset
        int64_t steps, batch, width, time_step, batch_step
        const void* peephole

    cdef struct RecurrentValues:
        int gates, initial, initial_cell, y, last, last_cell

    unique_ptr[const Step] recurrent_step(
        const Recurrent&, Type, unique_ptr[const Step], const RecurrentValues&) except +

    cdef struct HeadsView:
        int64_t first, sample, head, step
        cbool by_feature

    cdef struct Attention:
        int64_t batch, heads, queries, keys, width, value_width
        double scale
        cbool causal
        HeadsView q, k, v, out, mask

    cdef struct AttentionValues:
        int q, k, v, out, mask

    unique_ptr[const Step] attention_step(const Blas&, Type, const Attention&, const AttentionValues&) except +

    ctypedef int (*HostCall)(void*, unsigned char**) except -1
    unique_ptr[const Step] host_step(HostCall, void*, vector[int]) except +
    unique_ptr[const Step] dense_product_step(
        const Blas&, Type, const void*, int64_t, int64_t, int64_t, const Epilogue&, int, int) except +
    unique_ptr[const Step] dense_convolution_step(
        const Blas&, Type, const void*, const ImagesView&, const ImagesView&, const Sliding&, const Epilogue&, int,
        int) except +
