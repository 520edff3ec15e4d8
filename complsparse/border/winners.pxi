# SPDX-License-Identifier: BSD-3-Clause
# Winners: their memory, and the way to and from dense arrays.

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewFromDescr(type, cnp.dtype, int, const cnp.npy_intp*, const cnp.npy_intp*, void*, int, PyObject*)
    int PyArray_SetBaseObject(cnp.ndarray, object) except -1
    cnp.ndarray PyArray_Zeros(int, const cnp.npy_intp*, cnp.dtype, int)


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
        self.value_dtype = type_dtypes[0]
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


cdef inline c.WinnersView winners_view(Compressed w) noexcept:
    cdef c.WinnersView view
    view.values = w.entries
    view.indices = w.places
    view.starts = w.starts
    view.vectors = w.n_vectors
    view.length = w.length
    return view


cdef cnp.dtype _int32 = np.dtype(np.int32)
cdef cnp.dtype _int64 = np.dtype(np.int64)


cdef int64_t largest_size = <int64_t> 1 << 47  # as of a matrix


cdef Compressed new_compressed(type cls, cnp.dtype dtype, int64_t capacity, int64_t n_vectors, int64_t length,
                               tuple shape, object axis):
    """Memory for `capacity` entries, not yet filled: the caller fills all three parts before anyone sees the object."""
    if n_vectors > largest_size or capacity > largest_size:  # byte counts stay far inside 64 bits
        raise ValueError(f"{n_vectors} vectors with room for {capacity} winners together: both are at most 2**47")
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


cdef inline int value_type(cnp.ndarray x) noexcept:
    """The number of the C++ `Type` that an array has, or -1."""
    cdef int type_num = cnp.PyArray_TYPE(x)
    return _type_of[type_num] if 0 <= type_num < 256 else -1


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
        if dims[a] == 1:
            continue  # its stride means nothing, and NumPy lets it be anything in a contiguous array
        all_strides |= strides[a]
        if a < axis:
            view.outer *= dims[a]
            view.outer_stride = strides[a] // size
        elif a > axis:
            view.inner *= dims[a]
            view.inner_stride = strides[a] // size
    return all_strides & (size - 1) == 0


cdef type _winners_class = Compressed  # of what contests make; set_fallbacks names the one that users know


def expand(Compressed w not None):
    """The winners as a new dense array: of their shape where they have one axis, otherwise (vectors, length)."""
    cdef cnp.npy_intp[64] dims
    cdef int64_t inner = 1
    cdef int ndim = 2, axis, a
    dims[0], dims[1] = w.n_vectors, w.length
    if type(w.axis) is int:
        ndim, axis = len(w.shape), w.axis
        if ndim > 64:
            raise ValueError(f"winners of {ndim} axes: an array has at most 64")
        for a in range(ndim):
            dims[a] = w.shape[a]
            if a > axis:
                inner *= dims[a]
    Py_INCREF(w.value_dtype)
    cdef cnp.ndarray dense = PyArray_Zeros(ndim, dims, w.value_dtype, 0)
    if w.n_vectors == 0 or w.n_entries() == 0:
        return dense
    cdef c.WinnersView view = winners_view(w)
    cdef int width = w.value_dtype.itemsize
    cdef void* out = cnp.PyArray_DATA(dense)
    if w.n_entries() < 20_000:
        c.c_expand(view, width, out, inner)
    else:
        with nogil:
            c.c_expand(view, width, out, inner)
    return dense


def collect(cnp.ndarray x not None, double limit, int axis, tuple shape, as_axis):
    """Winners: the entries of x whose magnitude is not at most the limit; the shape and axis are the result's."""
    cdef c.VectorsView view
    cdef int type = value_type(x)
    if type < 0 or not is_batch(x, axis, &view):
        raise AssertionError("collect takes aligned native arrays")
    cdef int64_t vectors = view.outer * view.inner
    if vectors > largest_size:
        raise ValueError(f"{vectors} vectors: there may be 2**47 at most")
    cdef cnp.npy_intp n_starts = vectors + 1
    cdef cnp.ndarray counted = cnp.PyArray_EMPTY(1, &n_starts, cnp.NPY_INT64, 0)
    cdef int64_t* starts = <int64_t*> cnp.PyArray_DATA(counted)
    cdef vector[uint64_t] marks
    with nogil:
        marks = c.c_mark(view, <Type> type, limit, starts)
    cdef cnp.dtype dtype = type_dtypes[type]
    cdef Compressed made = new_compressed(_winners_class, dtype, starts[vectors], vectors, view.n, shape, as_axis)
    memcpy(<void*> made.starts, starts, <size_t> n_starts * 8)
    cdef int width = <int> cnp.PyArray_ITEMSIZE(x)
    with nogil:
        c.c_collect(view, width, marks, made.starts, <void*> made.entries, <int32_t*> made.places)
    return made
