# SPDX-License-Identifier: BSD-3-Clause
# The stored matrix, in C++ in each type of weights.

cdef object _lock = threading.Lock()  # guards the creation of Matrix objects, not their use


def _renew_lock():
    """In a forked child: the thread that held the lock is not there to give it back."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


@cython.final
@cython.no_gc_clear
cdef class _Store:
    """The arrays of one stored matrix and its C++ form in each type of weights; shared by a matrix and its transpose."""
    cdef cnp.ndarray indptr, indices, data
    cdef int64_t rows, cols
    cdef Matrix* matrices[16]  # by type
    cdef list converted  # value arrays in types other than the stored dtype

    def __cinit__(self):
        for i in range(16):
            self.matrices[i] = NULL
        self.converted = []

    def __dealloc__(self):
        for i in range(16):
            del self.matrices[i]

    cdef inline const Matrix* matrix(self, int product) except NULL:
        """The matrix for a product, by its index."""
        cdef int type = <int> c.stored_as(c.product_list()[product].w)
        if self.matrices[type] == NULL:
            self._make(type)
        return self.matrices[type]

    cdef _make(self, int type, const Matrix* earlier=NULL):
        cdef cnp.ndarray values
        if cnp.PyArray_TYPE(self.indices) != cnp.NPY_INT32 or self.rows >= 2**31:
            raise ValueError(
                f"a matrix of shape ({self.rows}, {self.cols}) can be stored but not multiplied: "
                "products need fewer than 2**31 rows and columns"
            )
        values = self.data.astype(type_dtypes[type], copy=False)
        cdef StoredMatrix stored
        stored.rows = self.rows
        stored.cols = self.cols
        stored.row_ptr = <const int64_t*> cnp.PyArray_DATA(self.indptr)
        stored.columns = <const int32_t*> cnp.PyArray_DATA(self.indices)
        stored.values = cnp.PyArray_DATA(values)
        stored.type = <Type> type
        with _lock:
            if self.matrices[type] == NULL:
                self.converted.append(values)
                self.matrices[type] = new Matrix(stored) if earlier == NULL else new Matrix(stored, earlier[0])


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
    cdef int w_num           # NumPy's number of the type that products read the stored dtype as, where that is its own

    def __cinit__(self, *args, **kwargs):
        self.store = _unbound  # so that an object made by __new__ alone is an empty matrix and not a null pointer
        self.shape = (0, 0)
        self.rows = self.cols = 0
        self.w_num = cnp.NPY_FLOAT32

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
        self.w_num = cnp.PyArray_TYPE(self.store.data)
        if compute_type(self.w_num) < 0 and self.store.data.dtype.name in ("float16", "bfloat16"):
            self.w_num = cnp.NPY_FLOAT32  # their products with float32 are float32

    def _knows_pattern_of(self, Operand earlier):
        """Takes over what products found out about the pattern of an operand that differs in its values alone."""
        cdef int type = compute_type(cnp.PyArray_TYPE(self.store.data))
        if (type >= 0 and self.store.indptr is earlier.store.indptr and self.store.indices is earlier.store.indices
                and self.store.matrices[type] == NULL and earlier.store.matrices[type] != NULL):
            self.store._make(type, earlier.store.matrices[type])

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
        for type in range(c.n_types):
            if self.store is None or self.store.matrices[type] == NULL:
                continue
            infos = c.built_layouts(self.store.matrices[type][0])
            for i in range(infos.size()):
                of_transpose = (infos[i].side == Side.columns) != self.transposed
                found.append(dict(layout=infos[i].layout.decode(), dtype=type_dtypes[type].name,
                                  transposed=of_transpose, bytes=infos[i].bytes, slots=infos[i].slots))
        return found

    def _choices(self, dtype, winners=None):
        """For each range of batch sizes (of vectors with so many winners) in a compute dtype: the micro-kernel and why.

        Builds the layouts.
        """
        cdef CPlan plan
        cdef int product = planned_with(self, dtype, winners)
        found = []
        for n in _described_batches:
            plan = plan_for(self, product, False, n, winners_of_all(n, winners), _deterministic, True)
            add_choice(found, n, plan.name().decode(), plan.reason().decode())
        return found

    def _prepare(self, int64_t n, dtype, bint deterministic, bint from_right=False, winners=None):
        """Builds the layout of W @ X (from_right: X @ W) for n columns (rows) of X in the compute dtype given, dense or of
        so many winners each."""
        cdef int64_t all_winners = winners_of_all(n, winners)
        plan_for(self, product_with(self, dtype), from_right, n, all_winners, deterministic, not from_right)
