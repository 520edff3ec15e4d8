# SPDX-License-Identifier: BSD-3-Clause
# Products bound to a matrix and a batch size, and to arrays.

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


cdef object _token = object()  # who has it may make plans and bound calls; made otherwise they hold null pointers


@cython.final
cdef class BoundCall:
    """A product bound to its arrays: `function` is the address of ``void (*)(void*)``, `context` its argument.

    The addresses are valid while this object lives; the function may be called without the GIL.
    """
    cdef tuple owners
    cdef bint small
    cdef c.BoundCall call

    @property
    def function(self):
        return <uintptr_t> &c.run_bound_call

    @property
    def context(self):
        return <uintptr_t> &self.call

    @property
    def workspace_bytes(self):
        """What the call needs beside its arrays, for as many threads as it may take now."""
        return self.call.plan.workspace_bytes(self.call.operands)

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a BoundCall is made by Plan.bind")

    def run_in(self, cnp.ndarray workspace not None):
        """The call in memory of the caller's, of which it takes what `workspace_bytes` says.

        ValueError where that is too small, cannot be written, or does not start at a multiple of 64.
        """
        cdef c.Workspace room
        room.memory = <unsigned char*> cnp.PyArray_DATA(workspace)
        room.bytes = cnp.PyArray_NBYTES(workspace)
        cdef int64_t needed = self.workspace_bytes
        if cnp.PyArray_TYPE(workspace) != cnp.NPY_UINT8:
            raise TypeError(f"a workspace has dtype uint8, not {workspace.dtype}")
        if needed > 0 and (
                not cnp.PyArray_ISCARRAY(workspace) or <uintptr_t> room.memory % 64 or room.bytes < needed):
            raise ValueError(f"a workspace of {room.bytes} bytes at {<uintptr_t> room.memory:#x}: this call needs "
                             f"{needed} contiguous, writeable bytes at a multiple of 64")
        with nogil:
            self.call.plan.run(self.call.operands, room)

    def __reduce__(self):
        raise TypeError("a BoundCall holds addresses of this process: pickle the matrix, and bind a new call")

    def __call__(self):
        if self.small:
            c.run(self.call)
        else:
            with nogil:
                c.run(self.call)


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
    cdef int number  # of the product
    cdef bint widens  # x is of bfloat16
    cdef readonly bint batch_major
    cdef readonly int64_t n
    cdef readonly object winners  # of a vector, about; None: a plan for dense operands

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a Plan is made by ComplementaryMatrix.plan")
        self.vectorcall = <vectorcallfunc> plan_vectorcall

    @property
    def dtype(self):
        return y_dtypes[self.number]

    @property
    def x_dtype(self):
        return self.W.dtype if self.widens else type_dtypes[<int> c.product_list()[self.number].x]

    @property
    def microkernel(self):
        return self.plan.name().decode()

    def __repr__(self):
        order = "batch-major" if self.batch_major else "feature-major"
        if self.winners is not None:
            order += f", about {self.winners} winners each"
        return f"<Plan: {self.W.shape} times {self.n}, {self.dtype}, {order}, {self.microkernel}>"

    def __reduce__(self):
        raise TypeError("a Plan holds addresses of this process: pickle the matrix, and make a new plan of it")

    cdef bint accepts(self, cnp.ndarray a, int type_num, int64_t features, DenseView* view) noexcept:
        return is_view(a, type_num, self.batch_major, view) and view.rows == features and view.cols == self.n

    cdef bint accepts_x(self, cnp.ndarray x, DenseView* view):
        if not self.widens:
            return self.accepts(x, x_nums[self.number], self.W.cols, view)
        return (is_bfloat16(x) and is_view_of(x, 1, self.batch_major, view) and view.rows == self.W.cols
                and view.cols == self.n)

    cdef cnp.ndarray output(self, object x, int ndim, object out, c.Operands* operands):
        """The array that the result goes to: a new one, or `out` where it fits."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray y
        cdef int type_num = y_nums[self.number]
        if out is None:
            dims[0], dims[1] = (self.n, self.W.rows) if self.batch_major and ndim == 2 else (self.W.rows, self.n)
            y = fresh(self.plan, ndim, dims, type_num, &operands.finish)
            is_view(y, type_num, self.batch_major, &operands.y)
            return y
        if not cnp.PyArray_Check(out):
            raise ops().plan_output_error(self.W, self, x, out)
        y = out
        if (cnp.PyArray_NDIM(y) != ndim or not self.accepts(y, type_num, self.W.rows, &operands.y)
                or not cnp.PyArray_ISWRITEABLE(y) or repeats(operands.y)
                or not cnp.PyArray_CheckExact(y) and ops().is_masked(y)):
            raise ops().plan_output_error(self.W, self, x, out)
        return y

    cdef cnp.ndarray take_dense(self, cnp.ndarray x, object out, c.Operands* operands):
        """Checks both arrays; the array that the result goes to."""
        cdef int x_shift = 1 if self.widens else element_shift(x_nums[self.number])
        if (self.winners is not None or not self.accepts_x(x, &operands.x)
                or not cnp.PyArray_CheckExact(x) and ops().is_masked(x)):
            raise ops().plan_input_error(self.W, self, x)
        operands.finish = self.epilogue
        cdef cnp.ndarray y = self.output(x, cnp.PyArray_NDIM(x), out, operands)
        if (out is not None and not are_apart(operands.y, element_shift(y_nums[self.number]), operands.x, x_shift)
                and ops().overlap(x, y)):
            raise ops().plan_output_error(self.W, self, x, out)
        operands.winners = NULL
        operands.widens = self.widens
        return y

    cdef cnp.ndarray take_winners(self, Compressed x, object out, c.WinnersView* view, c.Operands* operands):
        """As `take_dense`, of winners; `view` must live as long as the operands."""
        cdef int ndim = len(x.shape)
        if (self.winners is None or x.value_dtype.type_num != x_nums[self.number] or x.n_vectors != self.n
                or x.length != self.W.cols or ndim > 2 or type(x.axis) is not int
                or <int> x.axis != (ndim - 1 if self.batch_major or ndim == 1 else 0)):
            raise ops().plan_winners_error(self.W, self, x)
        operands.finish = self.epilogue
        cdef cnp.ndarray y = self.output(x, ndim, out, operands)
        view[0] = winners_view(x)
        operands.winners = view
        return y

    cdef inline void run(self, const c.Operands& operands) except *:
        if self.small:
            c.multiply(self.plan, operands)
        else:
            with nogil:
                c.multiply(self.plan, operands)

    cdef cnp.ndarray product(self, cnp.ndarray x, object out):
        cdef c.Operands operands
        cdef cnp.ndarray y = self.take_dense(x, out, &operands)
        self.run(operands)
        return y

    cdef cnp.ndarray winners_product(self, Compressed x, object out):
        cdef c.Operands operands
        cdef c.WinnersView view
        cdef cnp.ndarray y = self.take_winners(x, out, &view, &operands)
        self.run(operands)
        return y

    def __call__(self, x, /, *, out=None):
        return self.call(x, out)

    cdef inline object call(self, object x, object out):
        if is_tensor(x) or is_tensor(out):
            return self.tensor_product(x, out)
        if cnp.PyArray_Check(x):
            return self.product(x, out)
        if isinstance(x, Compressed):
            return self.winners_product(x, out)
        raise TypeError(f"a plan takes a numpy array, a tensor or Winners, not {type(x).__name__}")

    cdef object tensor_product(self, object x, object out):
        if records(x):
            raise TypeError("x requires grad, and a plan records none: pass x.detach(), or use complsparse.linear")
        read = array_of(x)
        if is_tensor(read):
            read = ops().memory_of(x, "x")
        return given_back(self.call(read, memory_of(out)), out)

    def bind(self, x, cnp.ndarray out not None):
        """The call with its arrays bound too, as a C function pointer and its argument."""
        cdef BoundCall bound = BoundCall(_token)
        cdef c.Operands operands
        cdef c.WinnersView view
        cdef cnp.ndarray y
        if isinstance(x, Compressed):
            y = self.take_winners(x, out, &view, &operands)
        elif cnp.PyArray_Check(x):
            y = self.take_dense(x, out, &operands)
        else:
            raise TypeError(f"a plan takes a numpy array or Winners, not {type(x).__name__}")
        with nogil:
            c.bind(bound.call, self.plan, operands)
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
    if n == 1 and n_names == 0:
        return f.call(<object> args[0], None)
    if n == 1 and n_names == 1 and PyTuple_GET_ITEM(<object> names, 0) == <PyObject*> _out:
        return f.call(<object> args[0], <object> args[1])
    positional = [<object> args[i] for i in range(n)]
    named = {(<tuple> names)[i]: <object> args[n + i] for i in range(n_names)}
    return Plan.__call__(f, *positional, **named)


cdef Plan _sample = Plan(_token)
set_vectorcall(Plan, <char*> &_sample.vectorcall - <char*> <PyObject*> _sample)


def make_plan(Operand W, int64_t n, dtype, bint batch_major, bias, activation, bint deterministic, int candidate=-1,
              winners=None):
    """A `Plan`; `_ops` has checked the arguments: bias is None or (M,) in dtype, contiguous.

    `winners`: of a vector, about; the plan then takes `Winners`. `candidate`: index into
    `candidates(W, n, dtype, batch_major, winners)`; IndexError where there is none. -1: the first.
    """
    cdef Plan plan = Plan(_token)
    cdef int64_t all_winners = winners_of_all(n, winners)
    plan.W = W
    plan.n = n
    plan.small = W.is_small(n)
    plan.batch_major = batch_major
    cdef int planned = planned_with(W, dtype, winners)
    plan.widens = planned == c.pair_product
    plan.number = product_in(np.float32) if plan.widens else planned
    plan.bias = bias
    plan.epilogue.bias = NULL if bias is None else cnp.PyArray_DATA(plan.bias)
    if not set_activation(&plan.epilogue, activation, plan.number):
        raise AssertionError(f"make_plan has no activation {activation!r} for this product")
    plan.winners = winners
    plan.plan = plan_for(W, planned, False, n, all_winners, deterministic or _deterministic, not batch_major,
                         candidate)
    return plan
