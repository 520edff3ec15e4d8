# SPDX-License-Identifier: BSD-3-Clause
# What the border sees of C++: src/api.hpp, one to one.

from libc.stdint cimport int32_t, int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "api.hpp" namespace "cs" nogil:
    cdef enum class Type(unsigned char):
        pass

    int n_types, n_products, pair_product
    int bytes_of(Type)
    char kind_of(Type)
    const char* type_name "cs::name_of"(Type)

    cdef struct Types:
        Type w, x, y

    const Types* product_list()
    Type stored_as(Type)

    cdef enum class Side(unsigned char):
        rows
        columns

    cdef struct StoredMatrix:
        int64_t rows, cols
        const int64_t* row_ptr
        const int32_t* columns
        const void* values
        Type type

    cdef struct DenseView:
        void* data
        int64_t rows, cols, row_stride, col_stride

    cdef struct WinnersView:
        const void* values
        const int32_t* indices
        const int64_t* starts
        int64_t vectors, length

    cdef struct VectorsView:
        const void* data
        int64_t outer, inner, n, outer_stride, inner_stride, stride

    cdef enum class Activation(unsigned char):
        none
        relu

    int n_activations
    const char* activation_name "cs::name_of"(Activation)
    double default_parameter(Activation)

    cdef cppclass Epilogue:
        const void* bias
        Activation activation
        double parameter
        cbool over_zeros

    # --- plans
    cdef cppclass Matrix:
        Matrix(const StoredMatrix&) except +
        Matrix(const StoredMatrix&, const Matrix&) except +
        const StoredMatrix& stored()

    cdef cppclass PlanRequest:
        Side side
        Types types
        int64_t n, winners
        cbool deterministic, contiguous_rows
        int candidate

    cdef cppclass Requantizing:
        pass

    cdef cppclass Operands:
        DenseView x
        const WinnersView* winners
        DenseView y
        Epilogue finish
        const Requantizing* requantizing
        cbool widens

    cdef cppclass Choice:
        cbool requantizes()
        cbool leaves_zeros()

    cdef cppclass Workspace:
        unsigned char* memory
        int64_t bytes

    cdef cppclass Plan:
        const Choice* choice
        void run(const Operands&, Workspace) except +
        int64_t workspace_bytes(const Operands&)
        const string& name()
        string reason() except +

    cdef struct BatchWidth:
        int64_t least

    const BatchWidth* batch_widths
    int n_batch_widths

    cdef struct Candidate:
        const char* layout
        double cost

    vector[Candidate] c_candidates "cs::candidates"(const Matrix&, const PlanRequest&) except +
    Plan make_plan(const Matrix&, const PlanRequest&) except +
    Plan known_plan(const Matrix&, const PlanRequest&)
    void multiply(const Plan&, const Operands&) except +

    cdef cppclass BoundCall:
        Plan plan
        Operands operands

    void bind(BoundCall&, const Plan&, const Operands&) except +
    void run_bound_call(void*) noexcept
    void run(const BoundCall&) except +

    # --- convolutions
    cdef struct ImagesView:
        void* data
        int64_t images, channels, height, width, image_stride, channel_stride, row_stride, col_stride

    cdef struct Sliding:
        int64_t kernel_rows, kernel_cols, stride_rows, stride_cols, dilation_rows, dilation_cols, top, left
        int64_t out_rows, out_cols

    cdef cppclass ConvShape:
        Types types
        int64_t channels, height, width
        Sliding sliding
        cbool channels_last, deterministic

    cdef cppclass PoolWindow:
        int64_t rows, cols

    cdef cppclass ConvOperands:
        ImagesView x, y
        Epilogue finish
        const WinnersView* winners
        int32_t pad
        const Requantizing* requantizing

    cdef cppclass WinnersCost:
        double each, fixed

    cdef cppclass Convolution:
        int64_t workspace_bytes(const ConvOperands&, int)
        int threads_for(const ConvOperands&)
        int64_t layout_bytes()
        cbool requantizes()
        cbool pools(PoolWindow)
        const string& name()
        const string& reason()

    cdef struct ConvCandidate:
        const char* way
        double cost

    vector[ConvCandidate] c_conv_candidates "cs::conv_candidates"(const Matrix&, const ConvShape&) except +
    unique_ptr[const Convolution] make_convolution(const Matrix&, const ConvShape&, int) except +
    optional[WinnersCost] c_winners_cost "cs::winners_cost"(
        const Matrix&, const ConvShape&, cbool) except +
    unique_ptr[const Convolution] make_scatter(const Matrix&, const ConvShape&, cbool) except +
    void convolve(const Convolution&, const ConvOperands&) except +
    void convolve_in(const Convolution&, const ConvOperands&, Workspace) except +

    cdef struct RequantizeArgs:
        const void* sums
        Type sum
        void* to
        int64_t rows, cols, feature, features
        cbool by_column
        const int32_t* bias
        const int32_t* multipliers
        const int32_t* shifts
        const double* factors
        const float* below
        const float* above
        cbool small_factors
        int32_t zero_point, least, most

    cdef struct QuantizeArgs:
        const void* from_ "from"
        void* to
        int64_t n
        double scale
        int32_t zero_point

    void c_quantize "cs::quantize"(const QuantizeArgs&, Type, Type, int) except +
    void c_requantize "cs::requantize"(const RequantizeArgs&, Type, int) except +

    Requantizing requantizing(const RequantizeArgs&, Type)

    cdef struct Units:
        const double* units
        double least, most

    void c_real_outputs "cs::real_outputs"(const RequantizeArgs&, const Units&, Type)

    cdef enum class PoolKind(unsigned char):
        largest
        mean_inside
        mean

    cdef struct Pool:
        PoolKind kind
        Type type
        Sliding sliding
        int64_t padded_rows, padded_cols

    void c_pool "cs::pool"(const Pool&, const ImagesView&, const ImagesView&) except +

    void sampled_multiply(const StoredMatrix&, const DenseView&, const DenseView&, void*) except +

    cdef struct SparseOperand:
        StoredMatrix matrix
        Side side
        cbool canonical

    cdef cppclass SparseProduct:
        SparseProduct(const SparseOperand&, const SparseOperand&) except +
        int64_t room_in_place() const
        void multiply_in_place(int32_t*, void*) except +
        void multiply() except +
        int64_t nnz() const
        void copy_to[Index](Index*, Index*, void*) const
        void copy_to[Index](Index*) const

    # --- what there is
    cdef struct MicroKernelInfo:
        string name, types
        const char* op
        const char* isa
        const char* layout
        int tile_rows, tile_cols
        cbool runnable

    vector[MicroKernelInfo] microkernels() except +

    cdef struct LayoutInfo:
        const char* layout
        Side side
        int64_t bytes, slots

    vector[LayoutInfo] built_layouts(const Matrix&) except +

    cdef struct CostField:
        const char* name

    const vector[CostField]& cost_fields()
    double cost_value(const CostField&)
    void set_cost_value(const CostField&, double)

    # --- winners
    vector[uint64_t] c_mark "cs::mark"(const VectorsView&, Type, double, int64_t*) except +
    void c_collect "cs::collect"(const VectorsView&, int, const vector[uint64_t]&, const int64_t*, void*, int32_t*)
    void c_expand "cs::expand"(const WinnersView&, int, void*, int64_t)

    cdef struct ContestHint:
        int64_t threshold

    cdef struct Contest:
        VectorsView x
        Type type
        int64_t k
        const void* bias
        const void* boost
        cbool relu

    void c_compete "cs::compete"(const Contest&, ContestHint*, void*, int32_t*, int64_t*) except +

    int64_t strip_of(int64_t, int64_t, Type)
    void multiply_and_compete(const Plan&, const Operands&, const Contest&, void*, int32_t*, int64_t*) except +

    cdef struct BoundContest:
        Contest contest
        cbool warm
        int64_t turn
        void* values
        int32_t* indices
        int64_t* starts

    void run_bound_contest(void*) noexcept

    # --- patterns
    cdef cppclass Pattern[Index]:
        int64_t rows, cols
        const int64_t* row_ptr
        const Index* columns

    cdef enum class CsrRule:
        none
        negative_shape
        first_pointer
        pointers_descend
        last_pointer
        column_range

    cdef struct CsrReport:
        CsrRule broken
        int64_t at
        cbool sorted
        cbool unique

    CsrReport validate_csr[Index](const Pattern[Index]&, int64_t, int64_t)
    int64_t c_max_column_count "cs::max_column_count"[Index](const Index*, int64_t, int64_t) except +

    cdef struct Block:
        int rows, cols

    Block c_detect_block "cs::detect_block"[Index](const Pattern[Index]&)
    cbool c_has_block "cs::has_block"[Index](const Pattern[Index]&, Block)

    cdef cppclass Sets:
        vector[int64_t] set_ptr, row_order

    cdef struct Interrupt:
        cbool (*wanted)(void*) noexcept nogil
        void* context

    cdef enum class Packed:
        yes
        no
        interrupted

    Packed c_pack_strict "cs::pack_strict"[Index](const Pattern[Index]&, int, int64_t, Interrupt, Sets&) except +

    void c_pack_split "cs::pack_split"[Index](const Pattern[Index]&, Sets&, int32_t*, int32_t*) except +

    cdef enum class PackingRule:
        none
        pointers
        permutation
        shared_column

    cdef struct PackingReport:
        PackingRule broken
        int64_t at, set, column, first_row, second_row

    PackingReport validate_packing[Index](
        const Pattern[Index]&, const int64_t*, int64_t, const int64_t*, int64_t) except +

    # --- the CPU
    cdef struct IsaLevel:
        const char* name
        cbool supported

    const vector[IsaLevel]& c_isa_levels "cs::isa_levels"()
    int selected_isa()
    cbool select_isa(string)

    cdef struct CacheSizes:
        long l1d, l2, l3

    const CacheSizes& c_cache_sizes "cs::cache_sizes"()
    const char* build_compiler()
    const char* build_flags()
    const char* isa_levels_left_out()

    # --- threads
    int effective_threads()
    void set_threads(int)

    cdef struct ThreadReport:
        const char* backend
        int own, runtime, quota, confinement
        cbool forked
        int effective

    ThreadReport c_thread_report "cs::thread_report"()
