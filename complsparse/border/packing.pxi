# SPDX-License-Identifier: BSD-3-Clause
# The pattern of a matrix: checked, searched for blocks, packed.

ctypedef fused index_t:
    int32_t
    int64_t


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


cdef cbool signal_raised(void* raised) noexcept with gil:
    """Runs what handlers of signals there are to run; an exception of theirs goes into the list `raised`."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list> raised).append(error)
        return True
    return False


def pack_strict(cnp.ndarray indptr, const index_t[::1] indices, int64_t rows, int64_t cols,
                int block_rows, int64_t max_sets):
    cdef Pattern[index_t] pattern = pattern_of(indptr, &indices[0] if indices.shape[0] else NULL, rows, cols)
    cdef Sets sets
    cdef Packed packed
    cdef list raised = []
    cdef Interrupt interrupt
    interrupt.wanted = signal_raised
    interrupt.context = <void*> raised
    with nogil:
        packed = c.c_pack_strict(pattern, block_rows, max_sets, interrupt, sets)
    if packed == Packed.interrupted:
        raise raised[0]
    return (to_array(sets.set_ptr), to_array(sets.row_order)) if packed == Packed.yes else None


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
