# SPDX-License-Identifier: BSD-3-Clause
# What steps are given: layouts of values, functions in Python, the functions of a BLAS.

cdef c.ImagesView images_of_sample(tuple image, bint channels_last):
    """Of (channels, height, width), one behind the other, without an address."""
    cdef c.ImagesView view
    cdef int64_t channels, height, width
    channels, height, width = image
    view.data = NULL
    view.images, view.image_stride = 1, channels * height * width
    view.channels, view.height, view.width = channels, height, width
    if channels_last:
        view.channel_stride, view.col_stride, view.row_stride = 1, channels, channels * width
    else:
        view.channel_stride, view.row_stride, view.col_stride = height * width, width, 1
    return view


cdef int fill_winners_at(cn.WinnersAt* at, tuple winners) except -1:
    """winners: (values, indices, starts, vectors of a sample, length, most of a vector)."""
    at.values, at.indices, at.starts, at.vectors, at.length, at.most = winners
    return 0


cdef int fill_extents(cn.Extents* extents, tuple given) except -1:
    extents.outer, extents.n, extents.inner = given
    return 0


cdef int fill_heads_view(cn.HeadsView* view, tuple given) except -1:
    view.first, view.sample, view.head, view.step, view.by_feature = given
    return 0


cdef Type type_in(dtype) except *:
    """Of a dtype that C++ has."""
    cdef int found = _type_of[<int> np.dtype(dtype).num]
    if found < 0:
        raise AssertionError(f"C++ has no {dtype}")
    return <Type> found


cdef class HostFunction:
    """A step in Python, and of its values dtypes and shapes."""
    cdef object function
    cdef tuple values
    cdef int n_reads

    def __cinit__(self, function, tuple values, int n_reads):
        self.function, self.values, self.n_reads = function, values, n_reads


cdef cnp.ndarray array_at(unsigned char* at, cnp.dtype dtype, tuple shape, bint writeable):
    cdef cnp.npy_intp[64] dims
    cdef int i, ndim = <int> len(shape)
    for i in range(ndim):
        dims[i] = shape[i]
    Py_INCREF(dtype)  # which the array takes over
    return PyArray_NewFromDescr(
        cnp.ndarray, dtype, ndim, dims, NULL, at, cnp.NPY_ARRAY_CARRAY if writeable else cnp.NPY_ARRAY_CARRAY_RO, NULL)


cdef int run_host(void* context, unsigned char** at) except -1 with gil:
    cdef HostFunction host = <HostFunction> context
    cdef list arrays = []
    for i, (_, dtype, shape) in enumerate(host.values):
        arrays.append(array_at(at[i], dtype, shape, i >= host.n_reads))
    host.function(*arrays)
    return 0


cdef void* function_in(capsule, bytes begins) except NULL:
    """The function in one of SciPy's capsules, whose name is its signature."""
    cdef const char* name = PyCapsule_GetName(capsule)
    if not (<bytes> name).startswith(begins):
        raise ImportError(f"SciPy's BLAS has another signature than this version knows: {(<bytes> name).decode()}")
    return PyCapsule_GetPointer(capsule, name)


cdef cn.Blas blas_of(tuple capsules) except *:
    cdef cn.Blas blas
    gemm, gemv = capsules
    blas.gemm = <cn.Gemm> function_in(gemm, b"void (char *, char *, int *, int *, int *, ")
    blas.gemv = <cn.Gemv> function_in(gemv, b"void (char *, int *, int *, ")
    return blas
