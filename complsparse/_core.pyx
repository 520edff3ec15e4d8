# SPDX-License-Identifier: BSD-3-Clause
# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The border between Python and C++: checks arrays fast, releases the GIL, calls one C++ function.

What a fast check does not accept goes to `complsparse._ops`, which converts it or explains in words why it cannot.
"""

import os
import sys
import threading

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from complsparse._cpp cimport (
    Block,
    CsrReport,
    CsrRule,
    DenseView,
    Epilogue,
    Matrix,
    PackingReport,
    PackingRule,
    Pattern,
    PlanRequest,
    Sets,
    Side,
    StoredMatrix,
    ThreadReport,
    Type,
)
from complsparse._cpp cimport Plan as CPlan
from complsparse cimport _cpp as c

cnp.import_array()

cdef extern from *:
    """
    // Calls of this type's objects go to the function that each holds at this offset: no tuple and dict of arguments.
    static void set_vectorcall(PyObject* type, Py_ssize_t offset) {
        ((PyTypeObject*)type)->tp_vectorcall_offset = offset;
        ((PyTypeObject*)type)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    }
    """
    ctypedef PyObject* (*vectorcallfunc)(PyObject*, PyObject* const*, size_t, PyObject*)
    Py_ssize_t PyVectorcall_NARGS(size_t)
    void set_vectorcall(object, Py_ssize_t)

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewFromDescr(type, cnp.dtype, int, const cnp.npy_intp*, const cnp.npy_intp*, void*, int, PyObject*)
    int PyArray_SetBaseObject(cnp.ndarray, object) except -1
    cnp.ndarray PyArray_Zeros(int, const cnp.npy_intp*, cnp.dtype, int)

ctypedef fused index_t:
    int32_t
    int64_t

cdef object _lock = threading.Lock()  # guards the creation of Matrix objects, not their use
cdef bint _deterministic = False
cdef class Compressed  # below: what winners are

cdef object _ops = None  # complsparse._ops, imported on first need: it imports this module


def _renew_lock():
    """In a forked child: the thread that held the lock is not there to give it back."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)

# What C++ reads once of the machine, it reads now: a fork during the first reading would leave it unfinished for ever.
c.c_cache_sizes()
c.selected_isa()
c.effective_threads()


cdef object ops():
    global _ops
    if _ops is None:
        from complsparse import _ops as module
        _ops = module
    return _ops


# --- compute types ---------------------------------------------------------------------------------------------------

cdef int n_compute_types = 3
cdef int[3] type_nums = [cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_INT64]
cdef tuple compute_dtypes = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64))

cdef inline int compute_type(int type_num) noexcept nogil:
    """Index of the compute type that a NumPy type is, or -1."""
    if type_num == cnp.NPY_FLOAT32:
        return 0
    if type_num == cnp.NPY_FLOAT64:
        return 1
    if type_num == cnp.NPY_INT64:
        return 2
    return -1


cdef inline Type as_type(int compute) noexcept nogil:
    return Type.f32 if compute == 0 else (Type.f64 if compute == 1 else Type.i64)


cdef inline int element_shift(int type_num) noexcept nogil:
    """The binary logarithm of the bytes of an element of this compute type."""
    return 2 if type_num == cnp.NPY_FLOAT32 else 3


# --- the stored matrix -----------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc_clear
cdef class _Store:
    """The arrays of one stored matrix and its C++ form in each compute type; shared by a matrix and its transpose."""
    cdef cnp.ndarray indptr, indices, data
    cdef int64_t rows, cols
    cdef Matrix* matrices[3]
    cdef list converted  # value arrays in compute types other than the stored dtype

    def __cinit__(self):
        self.matrices[0] = self.matrices[1] = self.matrices[2] = NULL
        self.converted = []

    def __dealloc__(self):
        for i in range(n_compute_types):
            del self.matrices[i]

    cdef const Matrix* matrix(self, int compute) except NULL:
        if self.matrices[compute] == NULL:
            self._make(compute)
        return self.matrices[compute]

    cdef _make(self, int compute):
        cdef cnp.ndarray values
        if cnp.PyArray_TYPE(self.indices) != cnp.NPY_INT32 or self.rows >= 2**31:
            raise ValueError(
                f"a matrix of shape ({self.rows}, {self.cols}) can be stored but not multiplied: "
                "products need fewer than 2**31 rows and columns"
            )
        values = self.data.astype(compute_dtypes[compute], copy=False)
        cdef StoredMatrix stored
        stored.rows = self.rows
        stored.cols = self.cols
        stored.row_ptr = <const int64_t*> cnp.PyArray_DATA(self.indptr)
        stored.columns = <const int32_t*> cnp.PyArray_DATA(self.indices)
        stored.values = cnp.PyArray_DATA(values)
        stored.type = as_type(compute)
        with _lock:
            if self.matrices[compute] == NULL:
                self.converted.append(values)
                self.matrices[compute] = new Matrix(stored)


cdef _Store _make_unbound():
    cdef _Store store = _Store()
    store.indptr = np.zeros(1, dtype=np.int64)
    store.indices = np.zeros(0, dtype=np.int32)
    store.data = np.zeros(0, dtype=np.float32)
    store.rows = store.cols = 0
    return store


cdef _Store _unbound = _make_unbound()


cdef class Operand:
    cdef _Store store
    cdef bint transposed
    cdef readonly tuple shape
    cdef int64_t rows, cols  # of the logical matrix
    cdef int compute         # type of products with operands of that type: the stored dtype's, or -1

    def __cinit__(self, *args, **kwargs):
        self.store = _unbound  # so that an object made by __new__ alone is an empty matrix and not a null pointer
        self.shape = (0, 0)
        self.rows = self.cols = 0
        self.compute = 0

    def _bind(self, cnp.ndarray indptr, cnp.ndarray indices, cnp.ndarray data, shape, Operand shared=None):
        if shared is not None:
            self.store = shared.store
            self.transposed = not shared.transposed
        else:
            self.store = _Store()
            self.store.indptr = indptr
            self.store.indices = indices
            self.store.data = data
            self.store.rows, self.store.cols = shape
            self.transposed = False
        self.rows = self.store.cols if self.transposed else self.store.rows
        self.cols = self.store.rows if self.transposed else self.store.cols
        self.shape = (self.rows, self.cols)
        self.compute = compute_type(cnp.PyArray_TYPE(self.store.data))
        if self.compute < 0 and self.store.data.dtype.name in ("float16", "bfloat16"):
            self.compute = 0  # their products with float32 are float32

    @cython.final
    cdef bint is_small(self, int64_t n) noexcept:
        """So few multiplications, inputs and outputs that releasing the GIL would cost as much as the product."""
        return (<double> cnp.PyArray_DIMS(self.store.data)[0] + self.rows + self.cols) * n < 20_000

    @property
    def dtype(self):
        return self.store.data.dtype

    @property
    def nnz(self):
        return cnp.PyArray_SIZE(self.store.data)

    def _layouts(self):
        found = []
        cdef vector[c.LayoutInfo] infos
        cdef size_t i
        for compute in range(n_compute_types):
            if self.store is None or self.store.matrices[compute] == NULL:
                continue
            infos = c.built_layouts(self.store.matrices[compute][0])
            for i in range(infos.size()):
                of_transpose = (infos[i].side == Side.columns) != self.transposed
                found.append(dict(layout=infos[i].layout.decode(), dtype=compute_dtypes[compute].name,
                                  transposed=of_transpose, bytes=infos[i].bytes, slots=infos[i].slots))
        return found

    def _choices(self):
        """For each range of batch sizes: the micro-kernel and why. Builds the layouts."""
        cdef int compute = self.compute if self.compute >= 0 else 0
        cdef CPlan plan
        found = []
        for n in _described_batches:
            plan = plan_for(self, compute, False, n, _deterministic, True)
            add_choice(found, n, c.microkernel_name(plan).decode(), c.choice_reason(plan).decode())
        return found

    def _winners_choices(self, int64_t winners):
        """As `_choices`, for vectors of so many winners each."""
        cdef int compute = self.compute if self.compute >= 0 else 0
        cdef c.WinnersPlan plan
        found = []
        for n in _described_batches:
            plan = winners_plan_for(self, compute, False, n, n * winners, _deterministic)
            add_choice(found, n, c.winners_microkernel_name(plan).decode(), c.winners_choice_reason(plan).decode())
        return found

    def _prepare_winners(self, int64_t n, int64_t winners, dtype, bint deterministic):
        """Builds the layout of W @ x for n vectors of so many winners each."""
        winners_plan_for(self, compute_type(np.dtype(dtype).num), False, n, n * winners, deterministic)

    def _prepare(self, int64_t n, dtype, bint deterministic, bint from_right=False):
        """Builds the layout of W @ X (from_right: X @ W) for n columns (rows) of X in the compute dtype given."""
        plan_for(self, compute_type(np.dtype(dtype).num), from_right, n, deterministic, not from_right)


cdef tuple _described_batches = (1, 2, 4, 8, 12, 16, 32, 64, 128, 256)


cdef object add_choice(list found, n, str name, str reason):
    """One more batch size: in the last range, if the same serves both."""
    last = found[len(found) - 1] if found else None  # no negative index: this module does not wrap around
    if last and last["microkernel"] == name and last["reason"] == reason:
        last["n_last"] = n
    else:
        found.append(dict(n_first=n, n_last=n, microkernel=name, reason=reason))


cdef PlanRequest request_for(Operand W, bint from_right, int64_t n, bint deterministic, bint contiguous_rows) noexcept:
    cdef PlanRequest request
    request.side = Side.columns if W.transposed != from_right else Side.rows
    request.n = n
    request.deterministic = deterministic
    request.contiguous_rows = contiguous_rows
    request.candidate = -1
    return request


cdef CPlan plan_for(Operand W, int compute, bint from_right, int64_t n, bint deterministic,
                    bint contiguous_rows, int candidate=-1) except *:
    cdef const Matrix* matrix = W.store.matrix(compute)
    cdef PlanRequest request = request_for(W, from_right, n, deterministic, contiguous_rows)
    request.candidate = candidate
    cdef CPlan plan
    with nogil:
        plan = c.make_plan(matrix[0], request)
    return plan


def candidates(Operand W, int64_t n, dtype, bint batch_major=False):
    """The layouts that could serve ``W @ X`` with n columns, cheapest first as the cost model sees it."""
    cdef const Matrix* matrix = W.store.matrix(compute_type(np.dtype(dtype).num))
    cdef PlanRequest request = request_for(W, False, n, False, not batch_major)
    cdef vector[c.Candidate] found
    with nogil:
        found = c.c_candidates(matrix[0], request)
    return [dict(layout=found[i].layout.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]


# --- products --------------------------------------------------------------------------------------------------------

cdef inline bint is_view(cnp.ndarray a, int type_num, bint swap, DenseView* view) noexcept:
    """The array as a matrix, if it is of this compute type, native, aligned, and its strides are whole elements.

    A vector is one column; `swap` gives the transposed view of a matrix. No division: it would cost as much as all else.
    """
    cdef int ndim = cnp.PyArray_NDIM(a), row_axis = ndim == 2 and swap, shift = element_shift(type_num)
    cdef cnp.npy_intp* dims = cnp.PyArray_DIMS(a)
    cdef cnp.npy_intp* strides = cnp.PyArray_STRIDES(a)
    cdef cnp.npy_intp all_strides
    if ndim < 1 or ndim > 2 or not cnp.PyArray_ISBEHAVED_RO(a):
        return False
    if cnp.PyArray_TYPE(a) != type_num and not (
            type_num == cnp.NPY_INT64 and cnp.PyArray_TYPE(a) == cnp.NPY_LONGLONG and sizeof(long long) == 8):
        return False
    view.data = cnp.PyArray_DATA(a)
    view.rows, view.row_stride = dims[row_axis], strides[row_axis] >> shift
    all_strides = strides[0]
    if ndim == 2:
        view.cols, view.col_stride = dims[1 - row_axis], strides[1 - row_axis] >> shift
        all_strides |= strides[1]
    else:
        view.cols = view.col_stride = 1
    return all_strides & ((1 << shift) - 1) == 0


cdef inline void extent(const DenseView& a, int shift, uintptr_t* first, uintptr_t* last) noexcept:
    """Addresses of the first byte of the view's memory and of the byte after its last."""
    cdef uintptr_t low = <uintptr_t> a.data, high = low
    cdef int64_t size, down, right
    if a.rows > 0 and a.cols > 0:
        size = <int64_t> 1 << shift  # strides may be negative, and C++17 shifts no negative number
        down, right = (a.rows - 1) * a.row_stride * size, (a.cols - 1) * a.col_stride * size
        low += <uintptr_t> (min(down, 0) + min(right, 0))
        high += <uintptr_t> (max(down, 0) + max(right, 0) + size)
    first[0] = low
    last[0] = high


cdef inline bint apart(const DenseView& a, const DenseView& b, int type_num) noexcept:
    """Certainly no common memory."""
    cdef uintptr_t a_first, a_last, b_first, b_last
    extent(a, element_shift(type_num), &a_first, &a_last)
    extent(b, element_shift(type_num), &b_first, &b_last)
    return a_last <= b_first or b_last <= a_first


cdef inline bint repeats(const DenseView& a) noexcept:
    """An element may stand at several indices (a broadcast array): two threads would write it."""
    cdef int64_t down = abs(a.row_stride), right = abs(a.col_stride)
    if a.rows == 0 or a.cols == 0:
        return False
    if (a.rows > 1 and down == 0) or (a.cols > 1 and right == 0):
        return True
    if a.rows == 1 or a.cols == 1:
        return False
    return right <= down * (a.rows - 1) if down < right else down <= right * (a.cols - 1)


cdef object product(Operand W, object dense, bint from_right, bint features_last, object out, object bias, object activation):
    """The product of W and a dense array if the fast checks accept everything, else None and nothing is written.

    W @ X; from_right: X @ W; features_last (with from_right unset): linear's x -> x @ W.T.
    """
    cdef int compute = W.compute
    cdef bint swap = from_right or features_last  # C++ computes W X: rows of X are transposed views of the rows of x
    if compute < 0 or not cnp.PyArray_CheckExact(dense):
        return None
    cdef cnp.ndarray x = dense, y
    cdef int type_num = type_nums[compute], ndim = cnp.PyArray_NDIM(x)
    cdef int64_t inner = W.rows if from_right else W.cols
    cdef int64_t outer = W.cols if from_right else W.rows
    cdef DenseView x_view, y_view, bias_view
    if not is_view(x, type_num, swap, &x_view) or x_view.rows != inner:
        return None
    cdef CPlan plan = plan_for(W, compute, from_right, x_view.cols, _deterministic, x_view.col_stride == 1)
    cdef cnp.npy_intp dims[2]
    if ndim == 1:
        dims[0] = outer
    else:
        dims[0], dims[1] = (x_view.cols, outer) if swap else (outer, x_view.cols)
    if out is None:
        y = cnp.PyArray_EMPTY(ndim, dims, type_num, 0)
        is_view(y, type_num, swap, &y_view)
    else:
        if not cnp.PyArray_CheckExact(out):
            return None
        y = out
        if cnp.PyArray_NDIM(y) != ndim or not is_view(y, type_num, swap, &y_view) or not cnp.PyArray_ISWRITEABLE(y):
            return None
        if y_view.rows != outer or y_view.cols != x_view.cols:
            return None
        if repeats(y_view) or not apart(y_view, x_view, type_num):
            return None
    cdef Epilogue epilogue
    epilogue.bias = NULL
    epilogue.relu = False
    if bias is not None:
        if not cnp.PyArray_CheckExact(bias):
            return None
        if (cnp.PyArray_NDIM(bias) != 1 or not is_view(bias, type_num, False, &bias_view) or bias_view.rows != outer
                or not cnp.PyArray_IS_C_CONTIGUOUS(bias) or not apart(y_view, bias_view, type_num)):
            return None
        epilogue.bias = bias_view.data
    if activation is not None:
        if type(activation) is not str or activation != "relu":
            return None
        epilogue.relu = True
    if W.is_small(x_view.cols):
        c.multiply(plan, x_view, y_view, epilogue)
    else:
        with nogil:
            c.multiply(plan, x_view, y_view, epilogue)
    return y


def matmul(A, B, /, *, out=None, bias=None, activation=None, dtype=None):
    """Matrix product where one operand is a ComplementaryMatrix.

    Parameters
    ----------
    A, B : ComplementaryMatrix and array_like or scipy.sparse
        ``W @ X`` with W (M, K) and X (K,), (K, N) or (..., K, N), or ``X @ W`` with X (M,), (N, M) or (..., N, M), as
        `numpy.matmul`. Dense operands may have any strides and byte order and may be read-only. `Winners` lie along the
        axis that the product sums over. Of scipy.sparse operands the stored entries are taken as winners; the result is
        dense.
    out : ndarray, optional
        Where the result is written: exactly its shape and dtype, writeable, sharing no memory with an input.
    bias : array_like, optional
        One entry per output feature, added along that axis: to the rows of ``W @ X``, to the columns of ``X @ W``.
    activation : None or "relu"
        Applied after the bias. NaN stays NaN.
    dtype : dtype, optional
        Of the result, as in `numpy.matmul`.

    Returns
    -------
    ndarray
        ``out`` if given.

    Raises
    ------
    ValueError
        Shapes that do not match, winners along another axis, `out` that overlaps an input or cannot be written, an
        unknown activation.
    TypeError
        dtypes without a product, `out` of another dtype, no ComplementaryMatrix among the operands.

    Notes
    -----
    Time is O(nnz * N); with winners O(nnz * their share * N), and no more than that of the dense product. Entries that are
    not stored never touch the activations: ``0 * nan`` of such an entry is 0. Nor do zeros that are not stored touch weights.
    The result has the same bits for every number of threads, alignment and memory order.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]], dtype=np.float32))
    >>> cs.matmul(W, np.array([1.0, 10.0], dtype=np.float32), bias=np.array([1.0, -9.0], dtype=np.float32))
    array([21., -6.], dtype=float32)
    """
    if dtype is None:
        if isinstance(A, Operand):
            if isinstance(B, Compressed):
                result = winners_product(A, B, False, False, out, bias, activation)
            else:
                result = product(A, B, False, False, out, bias, activation)
        elif isinstance(B, Operand):
            if isinstance(A, Compressed):
                result = winners_product(B, A, True, False, out, bias, activation)
            else:
                result = product(B, A, True, False, out, bias, activation)
        else:
            result = None
        if result is not None:
            return result
    return ops().matmul(A, B, out, bias, activation, dtype)


def linear(x, W, bias=None, *, activation=None, out=None, dtype=None):
    """A linear layer: ``y = activation(x @ W.T + bias)``, batch first, as `torch.nn.functional.linear`.

    Parameters
    ----------
    x : array_like, Winners or scipy.sparse, shape (..., K)
        Activations; the features are the last axis.
    W : ComplementaryMatrix, shape (M, K)
        Weights.
    bias : array_like, shape (M,), optional
    activation : None or "relu"
    out : ndarray, shape (..., M), optional
        Where the result is written: exactly its dtype, writeable, sharing no memory with an input.
    dtype : dtype, optional
        Of the result.

    Returns
    -------
    ndarray, shape (..., M)

    Raises
    ------
    ValueError, TypeError
        As `complsparse.matmul`.

    Notes
    -----
    Time is O(nnz * N) for N vectors. Activations are brought into the order that the micro-kernel wants inside the
    product, a tile at a time.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]], dtype=np.float32))
    >>> cs.linear(np.array([[1.0, 10.0], [0.0, -1.0]], dtype=np.float32), W, activation="relu")
    array([[20.,  3.],
           [ 0.,  0.]], dtype=float32)
    """
    if dtype is None and isinstance(W, Operand):
        if isinstance(x, Compressed):
            result = winners_product(W, x, False, True, out, bias, activation)
        else:
            result = product(W, x, False, True, out, bias, activation)
        if result is not None:
            return result
    return ops().linear(x, W, bias, activation, out, dtype)


def product_into(Operand W, cnp.ndarray x, cnp.ndarray y, bint from_right, bint features_last, bias, bint relu):
    """The product of W in the dtype of y, for arrays that `_ops` has brought into that dtype and shape."""
    cdef int type_num = cnp.PyArray_TYPE(y), compute = compute_type(type_num)
    cdef bint swap = from_right or features_last
    cdef DenseView x_view, y_view
    if compute < 0 or not is_view(x, type_num, swap, &x_view) or not is_view(y, type_num, swap, &y_view):
        raise AssertionError("product_into takes aligned native arrays of one compute dtype")
    if (x_view.rows != (W.rows if from_right else W.cols) or y_view.rows != (W.cols if from_right else W.rows)
            or x_view.cols != y_view.cols):
        raise AssertionError("product_into takes arrays of matching shapes")
    cdef Epilogue epilogue
    epilogue.bias = NULL
    epilogue.relu = relu
    cdef cnp.ndarray b
    if bias is not None:
        b = np.require(bias, y.dtype, ["C", "A"])
        if cnp.PyArray_SIZE(b) != y_view.rows:
            raise AssertionError("product_into takes one bias entry per output feature")
        epilogue.bias = cnp.PyArray_DATA(b)
    cdef CPlan plan = plan_for(W, compute, from_right, x_view.cols, _deterministic, x_view.col_stride == 1)
    with nogil:
        c.multiply(plan, x_view, y_view, epilogue)


# --- products with winners -------------------------------------------------------------------------------------------

cdef c.WinnersPlan winners_plan_for(Operand W, int compute, bint from_right, int64_t n, int64_t winners,
                                    bint deterministic, int candidate=-1) except *:
    cdef const Matrix* matrix = W.store.matrix(compute)
    cdef c.WinnersRequest request
    request.side = Side.columns if W.transposed != from_right else Side.rows
    request.n = n
    request.winners = winners
    request.deterministic = deterministic
    request.candidate = candidate
    cdef c.WinnersPlan plan
    with nogil:
        plan = c.make_winners_plan(matrix[0], request)
    return plan


def winners_candidates(Operand W, int64_t n, int64_t winners, dtype):
    """The ways to ``W @ x`` for n vectors of so many winners each, cheapest first as the cost model sees it."""
    cdef const Matrix* matrix = W.store.matrix(compute_type(np.dtype(dtype).num))
    cdef c.WinnersRequest request
    request.side = Side.columns if W.transposed else Side.rows
    request.n = n
    request.winners = n * winners
    request.deterministic = False
    request.candidate = -1
    cdef vector[c.Candidate] found
    with nogil:
        found = c.c_winners_candidates(matrix[0], request)
    return [dict(layout=found[i].layout.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]


cdef inline c.WinnersView winners_view(Compressed w) noexcept:
    cdef c.WinnersView view
    view.values = w.entries
    view.indices = w.places
    view.starts = w.starts
    view.n = w.n_vectors
    return view


cdef inline bint bias_fits(object bias, int type_num, int64_t features, const DenseView& y, Epilogue* epilogue):
    """Whether the epilogue can read this bias where it lies."""
    cdef DenseView view
    epilogue.bias = NULL
    if bias is None:
        return True
    if (not cnp.PyArray_CheckExact(bias) or cnp.PyArray_NDIM(bias) != 1 or not is_view(bias, type_num, False, &view)
            or view.rows != features or not cnp.PyArray_IS_C_CONTIGUOUS(bias) or not apart(y, view, type_num)):
        return False
    epilogue.bias = view.data
    return True


cdef object winners_product(Operand W, Compressed w, bint from_right, bint features_last, object out, object bias,
                            object activation):
    """As `product`, of winners: None where the fast checks do not accept everything."""
    cdef int compute = W.compute, ndim = len(w.shape)
    cdef bint last = from_right or features_last  # the features are the last axis
    if compute < 0 or w.value_dtype.type_num != type_nums[compute] or ndim > 2:
        return None
    if type(w.axis) is not int or <int> w.axis != (ndim - 1 if last or ndim == 1 else 0):
        return None
    cdef int type_num = type_nums[compute]
    cdef int64_t inner = W.rows if from_right else W.cols
    cdef int64_t outer = W.cols if from_right else W.rows
    if w.length != inner:
        return None
    cdef cnp.npy_intp dims[2]
    cdef cnp.ndarray y
    cdef DenseView y_view
    dims[0], dims[1] = (w.n_vectors, outer) if last and ndim == 2 else (outer, w.n_vectors)
    if out is None:
        y = cnp.PyArray_EMPTY(ndim, dims, type_num, 0)
    else:
        if not cnp.PyArray_CheckExact(out) or cnp.PyArray_NDIM(out) != ndim or not cnp.PyArray_ISWRITEABLE(out):
            return None
        y = out
        if cnp.PyArray_DIMS(y)[0] != dims[0] or (ndim == 2 and cnp.PyArray_DIMS(y)[1] != dims[1]):
            return None
    if not is_view(y, type_num, last, &y_view) or (out is not None and repeats(y_view)):
        return None
    cdef Epilogue epilogue
    if not bias_fits(bias, type_num, outer, y_view, &epilogue):
        return None
    epilogue.relu = activation is not None
    if epilogue.relu and (type(activation) is not str or activation != "relu"):
        return None
    cdef c.WinnersPlan plan = winners_plan_for(W, compute, from_right, w.n_vectors, w.n_entries(), _deterministic)
    cdef c.WinnersView x_view = winners_view(w)
    if W.is_small(w.n_vectors):
        c.multiply_winners(plan, x_view, y_view, epilogue)
    else:
        with nogil:
            c.multiply_winners(plan, x_view, y_view, epilogue)
    return y


def winners_into(Operand W, Compressed w, cnp.ndarray values, cnp.ndarray y, bint from_right, bint features_last, bias,
                 bint relu, int candidate=-1):
    """The product of W and winners in the dtype of y, C-contiguous, for arguments that `_ops` has checked.

    `values` are those of w in that dtype. `candidate`: index into `winners_candidates`; -1: the first.
    """
    cdef int type_num = cnp.PyArray_TYPE(y), compute = compute_type(type_num)
    cdef int64_t outer = W.cols if from_right else W.rows
    cdef bint last = from_right or features_last or len(w.shape) == 1
    cdef int64_t n = w.n_vectors if last else w.shape[len(w.shape) - 1]  # in a product; others have their own outputs
    cdef int64_t n_batches = 1 if last else (w.n_vectors // n if n > 0 else 0)
    if (compute < 0 or not cnp.PyArray_IS_C_CONTIGUOUS(y) or not cnp.PyArray_ISBEHAVED(y)
            or cnp.PyArray_TYPE(values) != type_num or not cnp.PyArray_ISCARRAY_RO(values)
            or cnp.PyArray_SIZE(values) != w.n_entries() or cnp.PyArray_SIZE(y) != outer * w.n_vectors
            or w.length != (W.rows if from_right else W.cols)):
        raise AssertionError("winners_into takes contiguous arrays of one compute dtype and of matching shapes")
    cdef Epilogue epilogue
    epilogue.bias = NULL
    epilogue.relu = relu
    if bias is not None:
        if cnp.PyArray_TYPE(bias) != type_num or not cnp.PyArray_ISCARRAY_RO(bias) or cnp.PyArray_SIZE(bias) != outer:
            raise AssertionError("winners_into takes a contiguous bias with one entry per output feature")
        epilogue.bias = cnp.PyArray_DATA(bias)
    if w.n_vectors == 0:
        return
    cdef c.WinnersPlan plan = winners_plan_for(
        W, compute, from_right, w.n_vectors, w.n_entries(), _deterministic, candidate)
    cdef c.WinnersView x_view = winners_view(w)
    cdef DenseView y_view
    cdef int64_t _batch
    x_view.values = cnp.PyArray_DATA(values)
    x_view.n = n
    y_view.rows, y_view.cols = outer, n
    y_view.row_stride = 1 if last else n
    y_view.col_stride = outer if last else 1
    y_view.data = cnp.PyArray_DATA(y)
    with nogil:
        for _batch in range(n_batches):
            c.multiply_winners(plan, x_view, y_view, epilogue)
            x_view.starts += n
            y_view.data = <char*> y_view.data + outer * n * (<int64_t> 1 << element_shift(type_num))


cdef object _token = object()  # who has it may make plans and bound calls; made otherwise they hold null pointers


# --- bound calls -----------------------------------------------------------------------------------------------------

@cython.final
cdef class BoundCall:
    """A product bound to its arrays: `function` is the address of ``void (*)(void*)``, `context` its argument.

    The addresses are valid while this object lives; the function may be called without the GIL.
    """
    cdef tuple owners
    cdef bint small
    cdef void (*run)(void*) noexcept nogil
    cdef void* bound  # one of these
    cdef c.BoundCall call
    cdef c.BoundWinnersCall winners_call

    @property
    def function(self):
        return <uintptr_t> self.run

    @property
    def context(self):
        return <uintptr_t> self.bound

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a BoundCall is made by Plan.bind")
        self.run = c.run_bound_call
        self.bound = &self.call

    def __call__(self):
        if self.small:
            self.run(self.bound)
        else:
            with nogil:
                self.run(self.bound)


@cython.final
cdef class Plan:
    """A product bound to a matrix and a batch size: ``f(x, out=y)`` checks the arrays and runs one micro-kernel.

    Made by `ComplementaryMatrix.plan`.
    """
    cdef vectorcallfunc vectorcall
    cdef Operand W
    cdef bint small
    cdef CPlan plan
    cdef Epilogue epilogue
    cdef cnp.ndarray bias
    cdef int type_num
    cdef readonly bint batch_major
    cdef readonly int64_t n
    cdef readonly object winners  # of a vector, about; None: a plan for dense operands
    cdef c.WinnersPlan winners_plan

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a Plan is made by ComplementaryMatrix.plan")
        self.vectorcall = <vectorcallfunc> plan_vectorcall

    @property
    def dtype(self):
        return np.dtype(compute_dtypes[compute_type(self.type_num)])

    @property
    def microkernel(self):
        if self.winners is not None:
            return c.winners_microkernel_name(self.winners_plan).decode()
        return c.microkernel_name(self.plan).decode()

    def __repr__(self):
        order = "batch-major" if self.batch_major else "feature-major"
        if self.winners is not None:
            order += f", about {self.winners} winners each"
        return f"<Plan: {self.W.shape} times {self.n}, {self.dtype}, {order}, {self.microkernel}>"

    cdef bint accepts(self, cnp.ndarray a, int64_t features, DenseView* view) noexcept:
        return (is_view(a, self.type_num, self.batch_major, view) and view.rows == features and view.cols == self.n)

    cdef cnp.ndarray output(self, cnp.ndarray x, object out, DenseView* x_view, DenseView* y_view):
        """Checks both arrays; the array that the result goes to."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray y
        if self.winners is not None or not self.accepts(x, self.W.cols, x_view):
            raise ops().plan_input_error(self.W, self, x)
        if out is None:
            dims[0], dims[1] = (self.n, self.W.rows) if self.batch_major else (self.W.rows, self.n)
            if cnp.PyArray_NDIM(x) == 1:
                dims[0] = self.W.rows
            y = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), dims, self.type_num, 0)
            is_view(y, self.type_num, self.batch_major, y_view)
            return y
        if not cnp.PyArray_Check(out):
            raise ops().plan_output_error(self.W, self, x, out)
        y = out
        if (cnp.PyArray_NDIM(y) != cnp.PyArray_NDIM(x) or not self.accepts(y, self.W.rows, y_view)
                or not cnp.PyArray_ISWRITEABLE(y) or repeats(y_view[0])
                or (not apart(x_view[0], y_view[0], self.type_num) and ops().overlap(x, y))):
            raise ops().plan_output_error(self.W, self, x, out)
        return y

    cdef cnp.ndarray product(self, cnp.ndarray x, object out):
        cdef DenseView x_view, y_view
        cdef cnp.ndarray y = self.output(x, out, &x_view, &y_view)
        if self.small:
            c.multiply(self.plan, x_view, y_view, self.epilogue)
        else:
            with nogil:
                c.multiply(self.plan, x_view, y_view, self.epilogue)
        return y

    cdef cnp.ndarray winners_output(self, Compressed x, object out, DenseView* y_view):
        """As `output`, of winners."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray y
        cdef int ndim = len(x.shape)
        if (self.winners is None or x.value_dtype.type_num != self.type_num or x.n_vectors != self.n
                or x.length != self.W.cols or ndim > 2 or type(x.axis) is not int
                or <int> x.axis != (ndim - 1 if self.batch_major or ndim == 1 else 0)):
            raise ops().plan_winners_error(self.W, self, x)
        if out is None:
            dims[0], dims[1] = (self.n, self.W.rows) if self.batch_major and ndim == 2 else (self.W.rows, self.n)
            y = cnp.PyArray_EMPTY(ndim, dims, self.type_num, 0)
            is_view(y, self.type_num, self.batch_major, y_view)
            return y
        if not cnp.PyArray_Check(out):
            raise ops().plan_output_error(self.W, self, x, out)
        y = out
        if (cnp.PyArray_NDIM(y) != ndim or not self.accepts(y, self.W.rows, y_view) or not cnp.PyArray_ISWRITEABLE(y)
                or repeats(y_view[0])):
            raise ops().plan_output_error(self.W, self, x, out)
        return y

    cdef cnp.ndarray winners_product(self, Compressed x, object out):
        cdef DenseView y_view
        cdef cnp.ndarray y = self.winners_output(x, out, &y_view)
        cdef c.WinnersView x_view = winners_view(x)
        if self.small:
            c.multiply_winners(self.winners_plan, x_view, y_view, self.epilogue)
        else:
            with nogil:
                c.multiply_winners(self.winners_plan, x_view, y_view, self.epilogue)
        return y

    def __call__(self, x, /, *, out=None):
        if isinstance(x, Compressed):
            return self.winners_product(x, out)
        if not cnp.PyArray_Check(x):
            raise TypeError(f"a plan takes a numpy array or Winners, not {type(x).__name__}")
        return self.product(x, out)

    def bind(self, x, cnp.ndarray out not None):
        """The call with its arrays bound too, as a C function pointer and its argument."""
        if isinstance(x, Compressed):
            return self.bind_winners(x, out)
        if not cnp.PyArray_Check(x):
            raise TypeError(f"a plan takes a numpy array or Winners, not {type(x).__name__}")
        return self.bind_dense(x, out)

    cdef BoundCall bind_winners(self, Compressed x, cnp.ndarray out):
        cdef BoundCall bound = BoundCall(_token)
        cdef cnp.ndarray y = self.winners_output(x, out, &bound.winners_call.y)
        bound.winners_call.plan = self.winners_plan
        bound.winners_call.x = winners_view(x)
        bound.winners_call.epilogue = self.epilogue
        bound.run = c.run_bound_winners_call
        bound.bound = &bound.winners_call
        bound.small = self.small
        bound.owners = (self, x, y)
        return bound

    cdef BoundCall bind_dense(self, cnp.ndarray x, cnp.ndarray out):
        cdef BoundCall bound = BoundCall(_token)
        cdef cnp.ndarray y = self.output(x, out, &bound.call.x, &bound.call.y)
        with nogil:
            bound.call.plan = c.plan_for_strides(self.plan, bound.call.x, bound.call.y)
        bound.call.epilogue = self.epilogue
        bound.small = self.small
        bound.owners = (self, x, y)
        return bound


cdef object _out = sys.intern("out")  # the object that calls which spell the name out hold


cdef object plan_vectorcall(object callable, PyObject* const* args, size_t n_args, PyObject* names):
    """``f(x)`` and ``f(x, out=y)`` straight from the interpreter's stack; any other call is for ``Plan.__call__``."""
    cdef Plan f = <Plan> callable
    cdef Py_ssize_t n = PyVectorcall_NARGS(n_args), n_names = 0
    if names != NULL:
        n_names = PyTuple_GET_SIZE(<object> names)
    if n == 1 and cnp.PyArray_Check(<object> args[0]):
        if n_names == 0:
            return f.product(<cnp.ndarray> args[0], None)
        if n_names == 1 and PyTuple_GET_ITEM(<object> names, 0) == <PyObject*> _out:
            return f.product(<cnp.ndarray> args[0], <object> args[1])
    if n == 1 and isinstance(<object> args[0], Compressed):
        if n_names == 0:
            return f.winners_product(<Compressed> args[0], None)
        if n_names == 1 and PyTuple_GET_ITEM(<object> names, 0) == <PyObject*> _out:
            return f.winners_product(<Compressed> args[0], <object> args[1])
    positional = [<object> args[i] for i in range(n)]
    named = {(<tuple> names)[i]: <object> args[n + i] for i in range(n_names)}
    return Plan.__call__(f, *positional, **named)


cdef Plan _sample = Plan(_token)
set_vectorcall(Plan, <char*> &_sample.vectorcall - <char*> <PyObject*> _sample)


def make_plan(Operand W, int64_t n, dtype, bint batch_major, bias, activation, bint deterministic, int candidate=-1,
              winners=None):
    """A `Plan`; `_ops` has checked the arguments: bias is None or (M,) in dtype, contiguous.

    `winners`: of a vector, about; the plan then takes `Winners`. `candidate`: index into
    `candidates(W, n, dtype, batch_major)` or `winners_candidates(W, n, winners, dtype)`; IndexError where there is
    none. -1: the first.
    """
    cdef Plan plan = Plan(_token)
    cdef int compute = compute_type(np.dtype(dtype).num)
    plan.W = W
    plan.n = n
    plan.small = W.is_small(n)
    plan.batch_major = batch_major
    plan.type_num = np.dtype(dtype).num
    plan.bias = bias
    plan.epilogue.bias = NULL if bias is None else cnp.PyArray_DATA(plan.bias)
    plan.epilogue.relu = activation is not None
    plan.winners = winners
    deterministic = deterministic or _deterministic
    if winners is None:
        plan.plan = plan_for(W, compute, False, n, deterministic, not batch_major, candidate)
    else:
        plan.winners_plan = winners_plan_for(W, compute, False, n, n * <int64_t> winners, deterministic, candidate)
    return plan


def sampled_values(Operand W, cnp.ndarray P, cnp.ndarray Q):
    """(P @ Q) at the stored positions of W, in the stored order. P (M, R) and Q (R, K) in one compute dtype."""
    cdef int type_num = cnp.PyArray_TYPE(P), compute = compute_type(type_num)
    cdef DenseView p_view, q_view
    if (compute < 0 or P.ndim != 2 or Q.ndim != 2
            or not is_view(P, type_num, W.transposed, &p_view) or not is_view(Q, type_num, W.transposed, &q_view)):
        raise AssertionError("sampled_values takes aligned native matrices of one compute dtype")
    if P.shape[0] != W.rows or Q.shape[1] != W.cols or P.shape[1] != Q.shape[0]:
        raise AssertionError("sampled_values takes matrices of matching shapes")
    cdef StoredMatrix pattern = W.store.matrix(compute).stored()
    if W.transposed:  # (P Q)' = Q' P', sampled at the stored matrix
        p_view, q_view = q_view, p_view
    cdef cnp.npy_intp size = W.nnz
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(1, &size, type_num, 0)
    with nogil:
        c.sampled_multiply(pattern, p_view, q_view, cnp.PyArray_DATA(out))
    return out


# --- packing ---------------------------------------------------------------------------------------------------------

cdef const int64_t* int64s(cnp.ndarray a) except? NULL:
    if cnp.PyArray_TYPE(a) != cnp.NPY_INT64 or cnp.PyArray_NDIM(a) != 1 or not cnp.PyArray_ISCARRAY_RO(a):
        raise TypeError(f"expected a contiguous int64 vector, got {a.ndim} axes of {a.dtype}")
    return <const int64_t*> cnp.PyArray_DATA(a)


cdef Pattern[index_t] pattern_of(cnp.ndarray indptr, const index_t* columns, int64_t rows, int64_t cols):
    cdef Pattern[index_t] pattern
    pattern.rows = rows
    pattern.cols = cols
    pattern.row_ptr = int64s(indptr)
    pattern.columns = columns
    return pattern


cdef cnp.ndarray to_array(const vector[int64_t]& items):
    cdef cnp.npy_intp size = <cnp.npy_intp> items.size()
    cdef cnp.ndarray array = cnp.PyArray_EMPTY(1, &size, cnp.NPY_INT64, 0)
    cdef int64_t* to = <int64_t*> cnp.PyArray_DATA(array)
    for i in range(size):
        to[i] = items[i]
    return array


def _describe_csr_fault(CsrReport report, indptr, indices, rows, cols, n_values):
    at = report.at
    if report.broken == CsrRule.negative_shape:
        return f"shape ({rows}, {cols}) has a negative size"
    if report.broken == CsrRule.first_pointer:
        return f"indptr[0] is {indptr[0]}; it must be 0"
    if report.broken == CsrRule.pointers_descend:
        return f"indptr descends from {indptr[at]} to {indptr[at + 1]} at row {at}"
    if report.broken == CsrRule.last_pointer:
        return (f"indptr ends at {indptr[rows]}, but there are {len(indices)} column indices and {n_values} values; "
                "the three must agree")
    return f"column index {indices[at]} at position {at} is outside [0, {cols})"


def check_csr(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols, int64_t n_values):
    cdef CsrReport report
    if rows < 0 or cols < 0:
        raise ValueError(f"shape ({rows}, {cols}) has a negative size")
    if indptr.shape[0] != rows + 1:
        raise ValueError(f"indptr has {indptr.shape[0]} entries; {rows} rows need {rows + 1}")
    cdef int64_t n_columns = indices.shape[0]
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if n_columns else NULL, rows, cols)
    with nogil:
        report = c.validate_csr(pattern, n_columns, n_values)
    if report.broken != CsrRule.none:
        raise ValueError(_describe_csr_fault(report, indptr, indices, rows, cols, n_values))
    return report.sorted, report.sorted and report.unique


def max_column_count(const index_t[::1] indices, int64_t cols):
    cdef int64_t nnz = indices.shape[0], count
    cdef const index_t* columns = &indices[0] if nnz else NULL
    with nogil:
        count = c.c_max_column_count(columns, nnz, cols)
    return count


def detect_block(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef Block block
    with nogil:
        block = c.c_detect_block(pattern)
    return block.rows, block.cols


def has_block(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols, int br, int bc):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef Block block
    block.rows, block.cols = br, bc
    cdef cbool found
    with nogil:
        found = c.c_has_block(pattern, block)
    return bool(found)


def pack_strict(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols,
                int block_rows, int64_t max_sets):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef Sets sets
    cdef cbool packed
    with nogil:
        packed = c.c_pack_strict(pattern, block_rows, max_sets, sets)
    return (to_array(sets.set_ptr), to_array(sets.row_order)) if packed else None


def pack_split(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef Sets sets
    cdef cnp.npy_intp nnz = indices.shape[0]
    cdef cnp.ndarray set_of_entry = cnp.PyArray_EMPTY(1, &nnz, cnp.NPY_INT32, 0)
    cdef cnp.ndarray kernel_id = cnp.PyArray_EMPTY(1, &nnz, cnp.NPY_INT32, 0)
    cdef int32_t* to_set = <int32_t*> cnp.PyArray_DATA(set_of_entry)
    cdef int32_t* to_id = <int32_t*> cnp.PyArray_DATA(kernel_id)
    with nogil:
        c.c_pack_split(pattern, sets, to_set, to_id)
    return to_array(sets.set_ptr), to_array(sets.row_order), set_of_entry, kernel_id


def check_packing(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols,
                  cnp.ndarray set_ptr, cnp.ndarray row_order):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef PackingReport report
    cdef int64_t n_sets = set_ptr.shape[0] - 1, n_order = row_order.shape[0]
    if n_sets < 0:
        raise ValueError("set_ptr is empty; it has one entry more than there are sets")
    cdef const int64_t* sets = int64s(set_ptr)
    cdef const int64_t* order = int64s(row_order)
    with nogil:
        report = c.validate_packing(pattern, sets, n_sets, order, n_order)
    if report.broken == PackingRule.pointers:
        raise ValueError(f"set_ptr does not ascend from 0 to the number of rows ({rows}) that row_order ({n_order}) lists; "
                         f"it fails at set {report.at}")
    if report.broken == PackingRule.permutation:
        raise ValueError(f"row_order[{report.at}] is {row_order[report.at]}: outside [0, {rows}) or listed twice")
    if report.broken == PackingRule.shared_column:
        raise ValueError(
            f"column {report.column} of set {report.set} is used by rows {report.first_row} and {report.second_row}; "
            "a set needs disjoint rows (strategy='split' allows this)")


# --- winners ---------------------------------------------------------------------------------------------------------

cdef int64_t[2] _no_entries = [0, 0]  # the row pointers of one vector without entries


cdef class Compressed:
    """What a `Winners` is in C++: for each vector its values and their ascending indices, in one block of memory.

    Checked or computed before the object is handed out, and never written again: the arrays that Python sees are
    views without a way to make them writeable. Vectors follow each other in C order over the axes that are left.
    """
    cdef char* memory         # values, then indices, then row pointers
    cdef const void* entries  # (nnz,) of value_dtype
    cdef const int32_t* places  # (nnz,) in [0, length), ascending within a vector
    cdef const int64_t* starts  # (n_vectors + 1,)
    cdef int64_t n_vectors, length
    cdef cnp.dtype value_dtype
    cdef readonly tuple shape
    cdef readonly object axis  # int, or an ascending tuple: one contest over these axes; never negative

    def __cinit__(self, *args, **kwargs):
        # An object made by __new__ alone is one empty vector and not a null pointer.
        self.entries = self.places = <const int32_t*> _no_entries
        self.starts = _no_entries
        self.n_vectors = 1
        self.length = 0
        self.value_dtype = compute_dtypes[0]
        self.shape = (0,)
        self.axis = 0

    def __dealloc__(self):
        free(self.memory)

    cdef inline int64_t n_entries(self) noexcept:
        return self.starts[self.n_vectors]

    cdef cnp.ndarray view(self, cnp.dtype dtype, const void* data, cnp.npy_intp size):
        Py_INCREF(dtype)  # stolen by the call that follows
        cdef cnp.ndarray array = PyArray_NewFromDescr(
            cnp.ndarray, dtype, 1, &size, NULL, <void*> data, cnp.NPY_ARRAY_CARRAY_RO, NULL)
        Py_INCREF(self)
        PyArray_SetBaseObject(array, self)
        return array

    @property
    def dtype(self):
        """Of the values."""
        return self.value_dtype

    @property
    def nnz(self):
        """How many winners all vectors have together."""
        return self.n_entries()

    @property
    def values(self):
        """(nnz,) The winners, vector after vector."""
        return self.view(self.value_dtype, self.entries, self.n_entries())

    @property
    def indices(self):
        """(nnz,) int32. Where each winner stands in its vector; ascending within a vector."""
        return self.view(_int32, self.places, self.n_entries())

    @property
    def indptr(self):
        """(number of vectors + 1,) int64. The winners of vector v are entries indptr[v] to indptr[v + 1]."""
        return self.view(_int64, self.starts, self.n_vectors + 1)


cdef cnp.dtype _int32 = np.dtype(np.int32)
cdef cnp.dtype _int64 = np.dtype(np.int64)


cdef Compressed new_compressed(type cls, cnp.dtype dtype, int64_t capacity, int64_t n_vectors, int64_t length,
                               tuple shape, object axis):
    """Memory for `capacity` entries, not yet filled: the caller fills all three parts before anyone sees the object."""
    cdef Compressed made = Compressed.__new__(cls)
    cdef size_t value_bytes = (<size_t> (capacity * dtype.itemsize) + 7) & ~<size_t> 7
    cdef size_t index_bytes = (<size_t> (capacity * 4) + 7) & ~<size_t> 7
    cdef char* memory = <char*> malloc(value_bytes + index_bytes + <size_t> (n_vectors + 1) * 8)
    if memory == NULL:
        raise MemoryError(f"no memory for {capacity} winners of {n_vectors} vectors")
    made.memory = memory
    made.entries = memory
    made.places = <const int32_t*> (memory + value_bytes)
    made.starts = <const int64_t*> (memory + value_bytes + index_bytes)
    made.n_vectors = n_vectors
    made.length = length
    made.value_dtype = dtype
    made.shape = shape
    made.axis = axis
    return made


def compressed(type cls, cnp.ndarray values, cnp.ndarray indices, cnp.ndarray indptr, int64_t n_vectors,
               int64_t length, tuple shape, object axis):
    """A `Compressed` of type cls with copies of three contiguous vectors, int32 indices and int64 row pointers.

    ValueError where they do not describe n_vectors vectors of this length with strictly ascending indices.
    """
    if not (values.ndim == indices.ndim == 1 and cnp.PyArray_ISCARRAY_RO(values)
            and cnp.PyArray_TYPE(indices) == cnp.NPY_INT32 and cnp.PyArray_ISCARRAY_RO(indices)):
        raise AssertionError("compressed takes contiguous vectors and int32 indices")
    # Checked are private copies, which no other thread can change meanwhile.
    values, indices, indptr = values.copy(), indices.copy(), indptr.copy()
    ascends, unique = check_csr(indptr, indices, n_vectors, length, values.shape[0])
    if not ascends or not unique:
        for v in range(n_vectors):
            of_vector = indices[indptr[v] : indptr[v + 1]]
            faults = np.flatnonzero(np.diff(of_vector) <= 0)
            if faults.size:
                at = int(faults[0])
                raise ValueError(f"indices of vector {v} must ascend strictly: {of_vector[at]} is followed by "
                                 f"{of_vector[at + 1]}")
    cdef Compressed made = new_compressed(cls, values.dtype, values.shape[0], n_vectors, length, shape, axis)
    memcpy(<void*> made.entries, cnp.PyArray_DATA(values), <size_t> cnp.PyArray_NBYTES(values))
    memcpy(<void*> made.places, cnp.PyArray_DATA(indices), <size_t> cnp.PyArray_NBYTES(indices))
    memcpy(<void*> made.starts, cnp.PyArray_DATA(indptr), <size_t> cnp.PyArray_NBYTES(indptr))
    return made


cdef tuple value_dtypes = tuple(map(np.dtype, ("float32", "float64", "int8", "uint8", "int32", "int64")))


cdef int value_type(cnp.ndarray x) noexcept:
    """The number of the C++ `ValueType` that an array has, or -1."""
    cdef int type_num = cnp.PyArray_TYPE(x)
    if type_num == cnp.NPY_FLOAT32:
        return 0
    if type_num == cnp.NPY_FLOAT64:
        return 1
    if type_num == cnp.NPY_INT8:
        return 2
    if type_num == cnp.NPY_UINT8:
        return 3
    if type_num == cnp.NPY_INT32:
        return 4
    return 5 if type_num == cnp.NPY_INT64 else -1


cdef bint is_batch(cnp.ndarray x, int axis, c.VectorsView* view) noexcept:
    """Whether the vectors of x along an axis can be walked as they lie; if so, how."""
    cdef int ndim = cnp.PyArray_NDIM(x), a
    cdef cnp.npy_intp* dims = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp* strides = cnp.PyArray_STRIDES(x)
    cdef int64_t size = cnp.PyArray_ITEMSIZE(x), all_strides = 0
    if not cnp.PyArray_ISBEHAVED_RO(x) or axis < 0 or axis >= ndim or dims[axis] >= 2**31:
        return False
    if ndim > 2 and not cnp.PyArray_IS_C_CONTIGUOUS(x):
        return False
    view.data = cnp.PyArray_DATA(x)
    view.outer = view.inner = 1
    view.outer_stride = view.inner_stride = 0
    view.n, view.stride = dims[axis], strides[axis] // size
    for a in range(ndim):
        all_strides |= strides[a]
        if a < axis:
            view.outer *= dims[a]
            view.outer_stride = strides[a] // size
        elif a > axis:
            view.inner *= dims[a]
            view.inner_stride = strides[a] // size
    return all_strides & (size - 1) == 0


cdef bint is_vector_like(object given, cnp.ndarray x, int64_t n, const void** data) noexcept:
    """Whether an optional vector has n contiguous entries of the type of x."""
    data[0] = NULL
    if given is None:
        return True
    if not cnp.PyArray_CheckExact(given):
        return False
    cdef cnp.ndarray v = given
    if (cnp.PyArray_TYPE(v) != cnp.PyArray_TYPE(x) or cnp.PyArray_NDIM(v) != 1 or cnp.PyArray_DIMS(v)[0] != n
            or not cnp.PyArray_ISCARRAY_RO(v)):
        return False
    data[0] = cnp.PyArray_DATA(v)
    return True


cdef object _winners = None  # complsparse._winners, imported on first need: it imports this module
cdef type _winners_class = None


cdef object winners_module():
    global _winners, _winners_class
    if _winners is None:
        from complsparse import _winners as module
        _winners_class = module.Winners
        _winners = module
    return _winners


cdef bint is_contest(cnp.ndarray x, int axis, object bias, object boost, bint relu, c.Contest* contest) noexcept:
    """Whether C++ can rank these arrays as they are; if so, all of the contest but k."""
    cdef int type = value_type(x)
    if type < 0 or not is_batch(x, axis, &contest.x):
        return False
    if (bias is not None and type in (2, 3)) or (boost is not None and type > 1):
        return False
    contest.type = <c.ValueType> type
    contest.relu = relu
    return is_vector_like(bias, x, contest.x.n, &contest.bias) and is_vector_like(boost, x, contest.x.n, &contest.boost)


cdef Compressed run_contest(cnp.ndarray x, c.Contest* contest, tuple shape, object axis):
    cdef int64_t vectors = contest.x.outer * contest.x.inner
    cdef cnp.dtype dtype = value_dtypes[<int> contest.type]
    cdef Compressed made = new_compressed(_winners_class, dtype, vectors * contest.k, vectors, contest.x.n, shape, axis)
    cdef void* values = <void*> made.entries
    cdef int32_t* indices = <int32_t*> made.places
    cdef int64_t* starts = <int64_t*> made.starts
    if vectors * contest.x.n < 20_000:
        c.c_compete(contest[0], NULL, values, indices, starts)
    else:
        with nogil:
            c.c_compete(contest[0], NULL, values, indices, starts)
    return made


def compete(cnp.ndarray x not None, int64_t k, int axis, bint relu, bias, boost, tuple shape, as_axis):
    """`kwta` for arrays that `_winners` has brought into a form that C++ walks; the shape and axis are the result's."""
    cdef c.Contest contest
    winners_module()
    if not is_contest(x, axis, bias, boost, relu, &contest) or not 0 <= k <= contest.x.n:
        raise AssertionError("compete takes aligned native arrays, of one type, and k within the vectors")
    contest.k = k
    return run_contest(x, &contest, shape, as_axis)


def kwta(x, k, *, axis=-1, relu=False, bias=None, boost=None):
    """The k winners of each vector: its largest entries, in their places.

    Parameters
    ----------
    x : array_like
        At least one axis; any strides. float32, float64, int8, uint8, int32 or int64; 16-bit floats become float32.
    k : int or float
        How many win in each vector of n entries: an int of at least 0 (all, from n on), or a share from 0.0 to 1.0 that
        stands for ``round(k * n)``.
    axis : int or tuple of int
        The entries along this axis compete. A tuple makes one contest over several axes, in the order of the shape.
    relu : bool
        Winners that are not above zero (NaN is not) are dropped: fewer than k may be left.
    bias : array_like, optional
        One entry per entry of a vector, or what broadcasts to the axes of the contest: added before the contest,
        and part of the values. Integers are added as int32 at least.
    boost : array_like, optional
        Factors, likewise: ranked is ``(x + bias) * boost``, the values are those of ``x + bias``. With duty cycles d, a
        target share a and strength s, usual factors are ``exp(s * (a - d))``. Integers are ranked in float64.

    Returns
    -------
    Winners
        Of the shape of x, compressed along `axis`.

    Raises
    ------
    ValueError
        k below 0, a share outside 0 to 1, an axis that x has not, `bias` or `boost` of another size, a vector of 2**31
        entries or more.
    TypeError
        Another dtype, k that is no number.

    Notes
    -----
    Exactly k win (all, if there are fewer). Of equal entries the first win; 0.0 and -0.0 are equal; NaN comes last, behind
    -inf. Expected time is O(n) per vector, in parallel over vectors; the result is the same for every number of threads.

    Examples
    --------
    >>> import complsparse as cs
    >>> w = cs.kwta([0.5, -1.0, 3.0, 0.5], 2)
    >>> w.values, w.indices
    (array([0.5, 3. ]), array([0, 2], dtype=int32))
    >>> cs.kwta([[-1.0, 3.0], [2.0, 4.0]], 0.5, axis=(0, 1)).toarray()
    array([[0., 3.],
           [0., 4.]])
    """
    cdef c.Contest contest
    cdef int ndim, at
    cdef int64_t count
    if (cnp.PyArray_CheckExact(x) and type(k) is int and type(axis) is int and type(relu) is bool
            and -64 <= axis < 64 and 0 <= k < 2**31 and _winners_class is not None):
        ndim = cnp.PyArray_NDIM(<cnp.ndarray> x)
        at = axis
        if at < 0:
            at += ndim
        if is_contest(x, at, bias, boost, relu, &contest):
            count = k
            contest.k = min(count, contest.x.n)
            return run_contest(x, &contest, (<object> x).shape, at)
    return winners_module().kwta(x, k, axis, relu, bias, boost)


def kwta_dense(x, k, *, axis=-1, relu=False, bias=None, boost=None):
    """The winners of `complsparse.kwta` in a dense array: zero wherever an entry lost.

    Parameters
    ----------
    x, k, axis, relu, bias, boost
        As for `complsparse.kwta`.

    Returns
    -------
    ndarray
        Of the shape of x; of its dtype, except that 16-bit floats become float32 and that a bias widens 8-bit integers.

    Raises
    ------
    ValueError, TypeError
        As `complsparse.kwta`.

    Notes
    -----
    Expected time is O(size of x).

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.kwta_dense([0.5, -1.0, 3.0, 0.5], 2)
    array([0.5, 0. , 3. , 0. ])
    """
    return kwta(x, k, axis=axis, relu=relu, bias=bias, boost=boost).toarray()


def expand(Compressed w not None, int64_t inner):
    """The winners as a new dense array of shape (vectors / inner, length, inner)."""
    if inner < 1 or w.n_vectors % inner:
        raise AssertionError("expand takes a divisor of the number of vectors")
    cdef cnp.npy_intp dims[3]
    dims[0], dims[1], dims[2] = w.n_vectors // inner, w.length, inner
    Py_INCREF(w.value_dtype)
    cdef cnp.ndarray dense = PyArray_Zeros(3, dims, w.value_dtype, 0)
    cdef c.CompressedView view
    view.values, view.indices, view.starts = w.entries, w.places, w.starts
    view.vectors, view.n = w.n_vectors, w.length
    cdef int width = w.value_dtype.itemsize
    cdef void* out = cnp.PyArray_DATA(dense)
    with nogil:
        c.c_expand(view, width, out, inner)
    return dense


def collect(cnp.ndarray x not None, double limit, int axis, tuple shape, as_axis):
    """Winners: the entries of x whose magnitude is not at most the limit; the shape and axis are the result's."""
    cdef c.VectorsView view
    cdef int type = value_type(x)
    winners_module()
    if type < 0 or not is_batch(x, axis, &view):
        raise AssertionError("collect takes aligned native arrays")
    cdef int64_t vectors = view.outer * view.inner
    cdef cnp.npy_intp n_starts = vectors + 1
    cdef cnp.ndarray counted = cnp.PyArray_EMPTY(1, &n_starts, cnp.NPY_INT64, 0)
    cdef int64_t* starts = <int64_t*> cnp.PyArray_DATA(counted)
    cdef vector[uint64_t] marks
    with nogil:
        marks = c.c_mark(view, <c.ValueType> type, limit, starts)
    cdef cnp.dtype dtype = value_dtypes[type]
    cdef Compressed made = new_compressed(_winners_class, dtype, starts[vectors], vectors, view.n, shape, as_axis)
    memcpy(<void*> made.starts, starts, <size_t> n_starts * 8)
    cdef int width = <int> cnp.PyArray_ITEMSIZE(x)
    with nogil:
        c.c_collect(view, width, marks, made.starts, <void*> made.entries, <int32_t*> made.places)
    return made


@cython.final
cdef class BoundContest:
    """`kwta` along the last axis of a matrix as a C function, one row after the other at each call.

    `function` is the address of ``void (*)(void*)``, `context` its argument; both are valid while this object lives.
    `warm`: each contest begins where the last one was decided.
    """
    cdef c.BoundContest bound
    cdef cnp.ndarray x
    cdef readonly cnp.ndarray values, indices, starts

    def __cinit__(self, cnp.ndarray x not None, int64_t k, bint warm):
        if (cnp.PyArray_NDIM(x) != 2 or not is_contest(x, 1, None, None, False, &self.bound.contest)
                or not 0 <= k <= x.shape[1] or x.shape[0] == 0):
            raise ValueError("BoundContest takes an aligned native matrix with rows, and k within them")
        self.bound.contest.k = k
        self.bound.warm = warm
        self.x = x
        self.values = np.empty(k, dtype=x.dtype)
        self.indices = np.empty(k, dtype=np.int32)
        self.starts = np.zeros(2, dtype=np.int64)
        self.bound.values = cnp.PyArray_DATA(self.values)
        self.bound.indices = <int32_t*> cnp.PyArray_DATA(self.indices)
        self.bound.starts = <int64_t*> cnp.PyArray_DATA(self.starts)

    @property
    def function(self):
        return <uintptr_t> &c.run_bound_contest

    @property
    def context(self):
        return <uintptr_t> &self.bound

    def __call__(self):
        c.run_bound_contest(&self.bound)


# --- configuration ---------------------------------------------------------------------------------------------------

def isa_levels():
    found = []
    cdef size_t i
    for i in range(c.c_isa_levels().size()):
        found.append(dict(name=c.c_isa_levels()[i].name.decode(), supported=bool(c.c_isa_levels()[i].supported),
                          selected=<int> i == c.selected_isa()))
    return found


def microkernels():
    found = []
    cdef vector[c.MicroKernelInfo] infos = c.microkernels()
    cdef size_t i
    for i in range(infos.size()):
        found.append(dict(name=infos[i].name.decode(), op=infos[i].op.decode(), type=infos[i].type.decode(),
                          isa=infos[i].isa.decode(), layout=infos[i].layout.decode(),
                          tile=(infos[i].tile_rows, infos[i].tile_cols), runnable=bool(infos[i].runnable)))
    return found


def set_isa(name):
    """Caps the ISA level. Matrices that already hold layouts keep what they chose."""
    if not c.select_isa(str(name).encode()):
        valid = [level["name"] for level in isa_levels() if level["supported"]]
        raise ValueError(f"ISA level {name!r} is not available here; valid levels: {', '.join(valid)}")


def set_num_threads(int n):
    c.set_threads(n)


def get_num_threads():
    return c.effective_threads()


def thread_report():
    cdef ThreadReport report = c.c_thread_report()
    return dict(backend=report.backend.decode(), own=report.own, runtime=report.runtime, quota=report.quota,
                forked=bool(report.forked), effective=report.effective)


def build_info():
    return dict(compiler=c.build_compiler().decode(), flags=c.build_flags().decode(),
                isa_levels_left_out=c.isa_levels_left_out().decode().split())


def cache_sizes():
    sizes = c.c_cache_sizes()
    return dict(l1d=sizes.l1d, l2=sizes.l2, l3=sizes.l3)


def set_deterministic(bint on):
    global _deterministic
    _deterministic = on


def get_deterministic():
    return bool(_deterministic)
