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
        with nogil:
            self.made = new c.SparseProduct(a, b)

    def __dealloc__(self):
        del self.made

    @property
    def nnz(self):
        return self.made.nnz()

    def arrays(self, index_dtype):
        """(indptr, indices, data), fresh, columns ascending, without zeros. ValueError where int32 cannot count them."""
        cdef cnp.ndarray indptr = np.empty(self.shape[0] + 1, index_dtype)
        cdef cnp.ndarray indices = np.empty(self.nnz, index_dtype)
        cdef cnp.ndarray data = np.empty(self.nnz, self.dtype)
        cdef void* pointers = cnp.PyArray_DATA(indptr)
        cdef void* columns = cnp.PyArray_DATA(indices)
        cdef void* values = cnp.PyArray_DATA(data)
        if cnp.PyArray_TYPE(indptr) == cnp.NPY_INT64:
            with nogil:
                self.made.copy_to(<int64_t*> pointers, <int64_t*> columns, values)
        elif cnp.PyArray_TYPE(indptr) != cnp.NPY_INT32 or self.nnz >= 2**31:
            raise ValueError(f"{np.dtype(index_dtype)} cannot index {self.nnz} entries")
        else:
            with nogil:
                self.made.copy_to(<int32_t*> pointers, <int32_t*> columns, values)
        return indptr, indices, data
