# SPDX-License-Identifier: BSD-3-Clause
# The stored matrix, in C++ in each compute type.

cdef object _lock = threading.Lock()  # guards the creation of Matrix objects, not their use


def _renew_lock():
    """In a forked child: the thread that held the lock is not there to give it back."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


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
