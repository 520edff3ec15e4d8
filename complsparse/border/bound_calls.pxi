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
    cdef void (*run)(void*) noexcept nogil
    cdef void* bound  # one of these
    cdef c.BoundCall call
    cdef c.BoundWinnersCall winners_call

    @property
    def function(self):
        return <uintptr_t> self.run

    @property
    def context(self):
        return <uintptr_t> self.bound

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a BoundCall is made by Plan.bind")
        self.run = c.run_bound_call
        self.bound = &self.call

    def __call__(self):
        if self.small:
            self.run(self.bound)
        else:
            with nogil:
                self.run(self.bound)


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
    cdef int type_num
    cdef readonly bint batch_major
    cdef readonly int64_t n
    cdef readonly object winners  # of a vector, about; None: a plan for dense operands
    cdef c.WinnersPlan winners_plan

    def __cinit__(self, token=None):
        if token is not _token:
            raise TypeError("a Plan is made by ComplementaryMatrix.plan")
        self.vectorcall = <vectorcallfunc> plan_vectorcall

    @property
    def dtype(self):
        return np.dtype(compute_dtypes[compute_type(self.type_num)])

    @property
    def microkernel(self):
        if self.winners is not None:
            return c.winners_microkernel_name(self.winners_plan).decode()
        return c.microkernel_name(self.plan).decode()

    def __repr__(self):
        order = "batch-major" if self.batch_major else "feature-major"
        if self.winners is not None:
            order += f", about {self.winners} winners each"
        return f"<Plan: {self.W.shape} times {self.n}, {self.dtype}, {order}, {self.microkernel}>"

    cdef bint accepts(self, cnp.ndarray a, int64_t features, DenseView* view) noexcept:
        return (is_view(a, self.type_num, self.batch_major, view) and view.rows == features and view.cols == self.n)

    cdef cnp.ndarray output(self, cnp.ndarray x, object out, DenseView* x_view, DenseView* y_view):
        """Checks both arrays; the array that the result goes to."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray y
        if self.winners is not None or not self.accepts(x, self.W.cols, x_view):
            raise ops().plan_input_error(self.W, self, x)
        if out is None:
            dims[0], dims[1] = (self.n, self.W.rows) if self.batch_major else (self.W.rows, self.n)
            if cnp.PyArray_NDIM(x) == 1:
                dims[0] = self.W.rows
            y = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), dims, self.type_num, 0)
            is_view(y, self.type_num, self.batch_major, y_view)
            return y
        if not cnp.PyArray_Check(out):
            raise ops().plan_output_error(self.W, self, x, out)
        y = out
        if (cnp.PyArray_NDIM(y) != cnp.PyArray_NDIM(x) or not self.accepts(y, self.W.rows, y_view)
                or not cnp.PyArray_ISWRITEABLE(y) or repeats(y_view[0])
                or (not apart(x_view[0], y_view[0], self.type_num) and ops().overlap(x, y))):
            raise ops().plan_output_error(self.W, self, x, out)
        return y

    cdef cnp.ndarray product(self, cnp.ndarray x, object out):
        cdef DenseView x_view, y_view
        cdef cnp.ndarray y = self.output(x, out, &x_view, &y_view)
        if self.small:
            c.multiply(self.plan, x_view, y_view, self.epilogue)
        else:
            with nogil:
                c.multiply(self.plan, x_view, y_view, self.epilogue)
        return y

    cdef cnp.ndarray winners_output(self, Compressed x, object out, DenseView* y_view):
        """As `output`, of winners."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray y
        cdef int ndim = len(x.shape)
        if (self.winners is None or x.value_dtype.type_num != self.type_num or x.n_vectors != self.n
                or x.length != self.W.cols or ndim > 2 or type(x.axis) is not int
                or <int> x.axis != (ndim - 1 if self.batch_major or ndim == 1 else 0)):
            raise ops().plan_winners_error(self.W, self, x)
        if out is None:
            dims[0], dims[1] = (self.n, self.W.rows) if self.batch_major and ndim == 2 else (self.W.rows, self.n)
            y = cnp.PyArray_EMPTY(ndim, dims, self.type_num, 0)
            is_view(y, self.type_num, self.batch_major, y_view)
            return y
        if not cnp.PyArray_Check(out):
            raise ops().plan_output_error(self.W, self, x, out)
        y = out
        if (cnp.PyArray_NDIM(y) != ndim or not self.accepts(y, self.W.rows, y_view) or not cnp.PyArray_ISWRITEABLE(y)
                or repeats(y_view[0])):
            raise ops().plan_output_error(self.W, self, x, out)
        return y

    cdef cnp.ndarray winners_product(self, Compressed x, object out):
        cdef DenseView y_view
        cdef cnp.ndarray y = self.winners_output(x, out, &y_view)
        cdef c.WinnersView x_view = winners_view(x)
        if self.small:
            c.multiply_winners(self.winners_plan, x_view, y_view, self.epilogue)
        else:
            with nogil:
                c.multiply_winners(self.winners_plan, x_view, y_view, self.epilogue)
        return y

    def __call__(self, x, /, *, out=None):
        if isinstance(x, Compressed):
            return self.winners_product(x, out)
        if not cnp.PyArray_Check(x):
            raise TypeError(f"a plan takes a numpy array or Winners, not {type(x).__name__}")
        return self.product(x, out)

    def bind(self, x, cnp.ndarray out not None):
        """The call with its arrays bound too, as a C function pointer and its argument."""
        if isinstance(x, Compressed):
            return self.bind_winners(x, out)
        if not cnp.PyArray_Check(x):
            raise TypeError(f"a plan takes a numpy array or Winners, not {type(x).__name__}")
        return self.bind_dense(x, out)

    cdef BoundCall bind_winners(self, Compressed x, cnp.ndarray out):
        cdef BoundCall bound = BoundCall(_token)
        cdef cnp.ndarray y = self.winners_output(x, out, &bound.winners_call.y)
        bound.winners_call.plan = self.winners_plan
        bound.winners_call.x = winners_view(x)
        bound.winners_call.epilogue = self.epilogue
        bound.run = c.run_bound_winners_call
        bound.bound = &bound.winners_call
        bound.small = self.small
        bound.owners = (self, x, y)
        return bound

    cdef BoundCall bind_dense(self, cnp.ndarray x, cnp.ndarray out):
        cdef BoundCall bound = BoundCall(_token)
        cdef cnp.ndarray y = self.output(x, out, &bound.call.x, &bound.call.y)
        with nogil:
            bound.call.plan = c.plan_for_strides(self.plan, bound.call.x, bound.call.y)
        bound.call.epilogue = self.epilogue
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
    if n == 1 and cnp.PyArray_Check(<object> args[0]):
        if n_names == 0:
            return f.product(<cnp.ndarray> args[0], None)
        if n_names == 1 and PyTuple_GET_ITEM(<object> names, 0) == <PyObject*> _out:
            return f.product(<cnp.ndarray> args[0], <object> args[1])
    if n == 1 and isinstance(<object> args[0], Compressed):
        if n_names == 0:
            return f.winners_product(<Compressed> args[0], None)
        if n_names == 1 and PyTuple_GET_ITEM(<object> names, 0) == <PyObject*> _out:
            return f.winners_product(<Compressed> args[0], <object> args[1])
    positional = [<object> args[i] for i in range(n)]
    named = {(<tuple> names)[i]: <object> args[n + i] for i in range(n_names)}
    return Plan.__call__(f, *positional, **named)


cdef Plan _sample = Plan(_token)
set_vectorcall(Plan, <char*> &_sample.vectorcall - <char*> <PyObject*> _sample)


def make_plan(Operand W, int64_t n, dtype, bint batch_major, bias, activation, bint deterministic, int candidate=-1,
              winners=None):
    """A `Plan`; `_ops` has checked the arguments: bias is None or (M,) in dtype, contiguous.

    `winners`: of a vector, about; the plan then takes `Winners`. `candidate`: index into
    `candidates(W, n, dtype, batch_major)` or `winners_candidates(W, n, winners, dtype)`; IndexError where there is
    none. -1: the first.
    """
    cdef Plan plan = Plan(_token)
    cdef int compute = compute_type(np.dtype(dtype).num)
    plan.W = W
    plan.n = n
    plan.small = W.is_small(n)
    plan.batch_major = batch_major
    plan.type_num = np.dtype(dtype).num
    plan.bias = bias
    plan.epilogue.bias = NULL if bias is None else cnp.PyArray_DATA(plan.bias)
    plan.epilogue.relu = activation is not None
    plan.winners = winners
    deterministic = deterministic or _deterministic
    if winners is None:
        plan.plan = plan_for(W, compute, False, n, deterministic, not batch_major, candidate)
    else:
        plan.winners_plan = winners_plan_for(W, compute, False, n, n * <int64_t> winners, deterministic, candidate)
    return plan
