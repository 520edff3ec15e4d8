# SPDX-License-Identifier: BSD-3-Clause
# Products of two sparse matrices with a sparse result.


cdef c.SparseOperand sparse_operand(tuple parts):
    cdef c.SparseOperand operand
    cdef cnp.ndarray indptr, indices, data
    cdef int64_t rows, cols
    cdef bint transposed, canonical
    indptr, indices, data, rows, cols, transposed, canonical = parts
    cdef int type = _type_of[native_num(data)]
    if (type < 0 or data.ndim != 1 or indices.ndim != 1 or not cnp.PyArray_ISCARRAY_RO(data)
            or cnp.PyArray_TYPE(indices) != cnp.NPY_INT32 or not cnp.PyArray_ISCARRAY_RO(indices)
            or indptr.shape[0] != rows + 1 or max(rows, cols) >= 2**31):
        raise AssertionError("a sparse product takes checked CSR arrays of a compute dtype, fewer than 2**31 rows and columns")
    operand.matrix.rows = rows
    operand.matrix.cols = cols
    operand.matrix.row_ptr = int64s(indptr)
    operand.matrix.columns = <const int32_t*> cnp.PyArray_DATA(indices)
    operand.matrix.values = cnp.PyArray_DATA(data)
    operand.matrix.type = <Type> type
    operand.side = Side.columns if transposed else Side.rows
    operand.canonical = canonical
    return operand


@cython.final
cdef class SparseProduct:
    """A @ B, both given as ``(indptr, indices, data, rows, cols, transposed, canonical)``: CSR arrays that have been checked,
    int64 row pointers, int32 columns, values of one compute dtype. `transposed` takes the transpose of what they describe;
    columns that are not `canonical` stand in any order, and perhaps twice.
    """
    cdef c.SparseProduct* made
    cdef cnp.dtype dtype
    cdef cnp.ndarray indices, data  # where they were written in place
    cdef readonly tuple shape

    def __init__(self, tuple A, tuple B):
        cdef c.SparseOperand a = sparse_operand(A)
        cdef c.SparseOperand b = sparse_operand(B)
        rows, inner = (a.matrix.cols, a.matrix.rows) if a.side == Side.columns else (a.matrix.rows, a.matrix.cols)
        facing, cols = (b.matrix.cols, b.matrix.rows) if b.side == Side.columns else (b.matrix.rows, b.matrix.cols)
        if inner != facing or a.matrix.type != b.matrix.type or self.made != NULL:
            raise AssertionError("a sparse product takes operands that match in shape and dtype, and is made once")
        if compute_type(_numpy_of[<int> a.matrix.type]) < 0:
            raise AssertionError(f"no product computes in {type_dtypes[<int> a.matrix.type]}")
        self.shape = (rows, cols)
        self.dtype = type_dtypes[<int> a.matrix.type]
        cdef int64_t room
        with nogil:
            self.made = new c.SparseProduct(a, b)
            room = self.made.room_in_place()
            if room == 0:
                self.made.multiply()
        if room > 0:
            self.multiply_in_place(room)

    cdef multiply_in_place(self, int64_t room):
        cdef cnp.ndarray indices = np.empty(room, np.int32), data = np.empty(room, self.dtype)
        cdef int32_t* columns = <int32_t*> cnp.PyArray_DATA(indices)
        cdef void* values = cnp.PyArray_DATA(data)
        with nogil:
            self.made.multiply_in_place(columns, values)
        for array in (indices, data):
            array.resize(self.nnz, refcheck=False)  # where they lie
        self.indices, self.data = indices, data

    def __dealloc__(self):
        del self.made

    @property
    def nnz(self):
        return self.made.nnz()

    def arrays(self, index_dtype):
        """(indptr, indices, data), columns ascending, without zeros. ValueError where int32 cannot count them."""
        if np.dtype(index_dtype) != np.int64 and (np.dtype(index_dtype) != np.int32 or self.nnz >= 2**31):
            raise ValueError(f"{np.dtype(index_dtype)} cannot index {self.nnz} entries")
        cdef cnp.ndarray indptr = np.empty(self.shape[0] + 1, index_dtype)
        cdef bint is_wide = cnp.PyArray_TYPE(indptr) == cnp.NPY_INT64
        cdef void* pointers = cnp.PyArray_DATA(indptr)
        if self.indices is not None:
            if is_wide:
                self.made.copy_to(<int64_t*> pointers)
            else:
                self.made.copy_to(<int32_t*> pointers)
            return indptr, self.indices.astype(index_dtype, copy=False), self.data
        cdef cnp.ndarray indices = np.empty(self.nnz, index_dtype)
        cdef cnp.ndarray data = np.empty(self.nnz, self.dtype)
        cdef void* columns = cnp.PyArray_DATA(indices)
        cdef void* values = cnp.PyArray_DATA(data)
        with nogil:
            if is_wide:
                self.made.copy_to(<int64_t*> pointers, <int64_t*> columns, values)
            else:
                self.made.copy_to(<int32_t*> pointers, <int32_t*> columns, values)
        return indptr, indices, data
