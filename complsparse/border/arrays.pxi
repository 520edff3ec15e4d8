# SPDX-License-Identifier: BSD-3-Clause
# Arrays as C++ reads them: the compute types, views, and what memory they share.

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


def products():
    """The products that exist: the dtypes of W, of x, of the result, and in which is summed."""
    return [dict(w=dtype.name, x=dtype.name, y=dtype.name, sum=dtype.name) for dtype in compute_dtypes]


def activations():
    """The names of the activations that a product can end with."""
    return ("relu",)


cdef inline Type as_type(int compute) noexcept nogil:
    return Type.f32 if compute == 0 else (Type.f64 if compute == 1 else Type.i64)


cdef inline int element_shift(int type_num) noexcept nogil:
    """The binary logarithm of the bytes of an element of this compute type."""
    return 2 if type_num == cnp.NPY_FLOAT32 else 3


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
