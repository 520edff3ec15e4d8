# SPDX-License-Identifier: BSD-3-Clause
# Arrays as C++ reads them: element types, the products that exist, views, and what memory they share.

# NumPy's numbers of C++'s types, and back; both from C++'s lists.
cdef int[16] _numpy_of
cdef int[256] _type_of
cdef int[256] _shift_of  # the binary logarithm of an element's bytes
cdef int n_products = c.n_products
cdef int[16] w_nums, x_nums, y_nums
cdef tuple y_dtypes, type_dtypes


cdef object _read_types():
    """Fills the tables above."""
    global y_dtypes, type_dtypes
    cdef int i
    cdef Types types
    if c.n_types > 16 or c.n_products > 16:
        raise AssertionError("the border has tables for 16 types and products")
    for i in range(256):
        _type_of[i] = -1
        _shift_of[i] = 0
    dtypes = []
    for i in range(c.n_types):
        dtype = np.dtype(chr(c.kind_of(<Type> i)) + str(c.bytes_of(<Type> i)))
        dtypes.append(dtype)
        _numpy_of[i] = dtype.num
        _type_of[<int> dtype.num] = i
        _shift_of[<int> dtype.num] = c.bytes_of(<Type> i).bit_length() - 1
    type_dtypes = tuple(dtypes)
    for i in range(c.n_products):
        types = c.product_list()[i]
        w_nums[i] = _numpy_of[<int> types.w]
        x_nums[i] = _numpy_of[<int> types.x]
        y_nums[i] = _numpy_of[<int> types.y]
    y_dtypes = tuple([dtypes[<int> c.product_list()[i].y] for i in range(c.n_products)])


_read_types()


cdef inline int product_of(int w_num, int x_num) noexcept nogil:
    """Index of the product of weights and activations of these NumPy types, or -1."""
    cdef int i
    for i in range(n_products):
        if w_nums[i] == w_num and x_nums[i] == x_num:
            return i
    return -1


cdef inline int compute_type(int type_num) noexcept nogil:
    """Index of the product whose three types are this NumPy type, or -1."""
    cdef int found = product_of(type_num, type_num)
    return found if found >= 0 and y_nums[found] == type_num else -1


def dtypes():
    """Those of C++'s types."""
    return type_dtypes


cdef int product_in(dtype) except -1:
    """The product whose weights and activations are of this dtype, for callers that the checks in Python may have missed."""
    cdef int found = compute_type(np.dtype(dtype).num)
    if found < 0:
        raise TypeError(f"no product computes in {np.dtype(dtype)}")
    return found


def products():
    """The products that exist: the dtypes of W, of x, of the result, and in which is summed."""
    found = []
    cdef int i
    cdef Types types
    for i in range(n_products):
        types = c.product_list()[i]
        w, x, y = type_dtypes[<int> types.w].name, type_dtypes[<int> types.x].name, type_dtypes[<int> types.y].name
        found.append(dict(w=w, x=x, y=y, sum=y))
    return found


# Their names, in the order of C++'s enumeration.
cdef tuple activation_names = (None, *[c.activation_name(<c.Activation> i).decode() for i in range(1, c.n_activations)])


def activations():
    """The names of the activations that a product can end with."""
    return activation_names[1:]


cdef inline bint set_activation(Epilogue* epilogue, object activation, int product) noexcept:
    """Whether there is this activation for the outputs of a product."""
    cdef int i
    epilogue.activation = c.Activation.none
    if activation is None:
        return True
    if type(activation) is not str:
        return False
    for i in range(1, c.n_activations):
        if activation == <str> activation_names[i]:
            epilogue.activation = <c.Activation> i
            epilogue.parameter = c.default_parameter(<c.Activation> i)
            # Of integers only what compares.
            return c.kind_of(c.product_list()[product].y) == c'f' or epilogue.activation == c.Activation.relu
    return False


cdef inline int element_shift(int type_num) noexcept nogil:
    """The binary logarithm of the bytes of an element of a type that C++ has."""
    return _shift_of[type_num]


cdef inline int native_num(cnp.ndarray a) noexcept:
    """NumPy's number of the array's type; one for both names of 64-bit integers."""
    cdef int type_num = cnp.PyArray_TYPE(a)
    return cnp.NPY_INT64 if type_num == cnp.NPY_LONGLONG and sizeof(long long) == 8 else type_num


cdef inline bint is_view(cnp.ndarray a, int type_num, bint swap, DenseView* view) noexcept:
    """The array as a matrix, if it is of this type, native, aligned, and its strides are whole elements.

    A vector is one column; `swap` gives the transposed view of a matrix. No division: it would cost as much as all else.
    """
    return native_num(a) == type_num and is_view_of(a, element_shift(type_num), swap, view)


cdef inline bint is_view_of(cnp.ndarray a, int shift, bint swap, DenseView* view) noexcept:
    """Likewise of any type whose elements have 1 << shift bytes."""
    cdef int ndim = cnp.PyArray_NDIM(a), row_axis = ndim == 2 and swap
    cdef cnp.npy_intp* dims = cnp.PyArray_DIMS(a)
    cdef cnp.npy_intp* strides = cnp.PyArray_STRIDES(a)
    cdef cnp.npy_intp all_strides
    if ndim < 1 or ndim > 2 or not cnp.PyArray_ISBEHAVED_RO(a):
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


cdef inline bint apart(const DenseView& a, int a_num, const DenseView& b, int b_num) noexcept:
    """Certainly no common memory."""
    return are_apart(a, element_shift(a_num), b, element_shift(b_num))


cdef inline bint are_apart(const DenseView& a, int a_shift, const DenseView& b, int b_shift) noexcept:
    """Likewise of elements of 1 << shift bytes."""
    cdef uintptr_t a_first, a_last, b_first, b_last
    extent(a, a_shift, &a_first, &a_last)
    extent(b, b_shift, &b_first, &b_last)
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
