# SPDX-License-Identifier: BSD-3-Clause
# Programs: networks compiled for the shape of their input.

cdef enum:
    most_outside = 64  # arrays that a program takes and leaves


cdef inline unsigned char* aligned_in(cnp.ndarray block) noexcept:
    return <unsigned char*> ((<uintptr_t> cnp.PyArray_DATA(block) + 63) & ~<uintptr_t> 63)


cdef class Program(Steps):
    """A network: first values and steps, then where values lie, then runs."""
    cdef list idle    # blocks of memory that no call uses
    cdef int threads  # that the blocks have room for
    cdef int64_t block_bytes
    cdef tuple x_shape, y_shape  # of the only input and the only output, if that is dense; else None
    cdef tuple outside  # (shape, type number) of inputs, then of outputs, if those are dense; else None
    cdef int n_inputs
    cdef int y_ndim
    cdef cnp.npy_intp[64] y_dims
    cdef bint deterministic      # what it was made for

    def __cinit__(self, dtype, *args, **kwargs):
        self.idle, self.threads, self.block_bytes = [], 0, 0
        self.x_shape = self.y_shape = self.outside = None
        self.deterministic = _deterministic

    def takes_rows(self, int step):
        """Whether some rows of its outputs can be made at a time."""
        return self.program.get().takes_rows(step)

    def finish(self, stretches, chains, int64_t batch_bytes, int64_t sample_bytes, tuple shapes=None,
               tuple outside=None):
        """`stretches`: (step behind the last, whether it takes a sample at a time, samples), in order. `chains`: (first
        step, the values between it and those that follow, bytes of these that are kept) of steps that take a band of rows
        at a time. `shapes`: of x and
        y, where there is one of each, and both are dense in the program's dtype. `outside`: (shape, dtype) of all inputs,
        and of all outputs, where those are dense."""
        if outside is not None and len(outside[0]) + len(outside[1]) <= most_outside:
            self.n_inputs = <int> len(outside[0])
            self.outside = tuple((tuple(shape), (<cnp.dtype?> dtype).num) for some in outside for shape, dtype in some)
        if shapes is not None:
            self.x_shape, self.y_shape = shapes
            self.y_ndim = <int> len(self.y_shape)
            for i in range(self.y_ndim):
                self.y_dims[i] = self.y_shape[i]
        for last, by_sample, samples in stretches:
            self.program.get().add_stretch(last, by_sample, samples)
        for first, between, most_bytes in chains:
            self.program.get().add_chain(first, between, most_bytes)
        self.program.get().set_memory(batch_bytes, sample_bytes)

    @property
    def n_steps(self):
        return self.program.get().n_steps()

    @property
    def workspace_bytes(self):
        """Of what one call uses beside its arrays and the weights, on the threads that there are now."""
        return self.program.get().memory_bytes(c.effective_threads())

    cdef cnp.ndarray take_block(self, int threads):
        """Memory for a call, from those that are idle."""
        if threads > self.threads:
            self.idle, self.threads = [], threads
            self.block_bytes = self.program.get().memory_bytes(threads) + 64
        if len(self.idle) > 0:
            try:
                return self.idle.pop()
            except IndexError:  # another thread took it
                pass
        cdef cnp.npy_intp size = self.block_bytes
        return cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)

    cdef void give_block(self, cnp.ndarray block):
        if cnp.PyArray_NBYTES(block) == self.block_bytes:
            self.idle.append(block)

    cdef int run_in(self, cnp.ndarray block, unsigned char** outside, int threads, int64_t* times) except -1:
        cdef c.Workspace memory
        memory.memory = aligned_in(block)
        memory.bytes = cnp.PyArray_NBYTES(block) - 64
        with nogil:
            self.program.get().run(outside, memory, threads, times)
        return 0

    def call(self, x, out):
        """The result of one array for one array, if the fast checks accept both; else None."""
        cdef unsigned char* outside[2]
        cdef int type_num = y_nums[self.number], threads
        cdef cnp.ndarray y, given
        if self.x_shape is None or self.deterministic != _deterministic or not cnp.PyArray_CheckExact(x):
            return None
        given = x
        if native_num(given) != type_num or not cnp.PyArray_ISCARRAY_RO(given) or (<object> given).shape != self.x_shape:
            return None
        if out is None:
            y = cnp.PyArray_EMPTY(self.y_ndim, self.y_dims, type_num, 0)
        else:
            if not cnp.PyArray_CheckExact(out):
                return None
            y = out
            if (native_num(y) != type_num or not cnp.PyArray_ISCARRAY(y) or (<object> y).shape != self.y_shape
                    or not (cnp.PyArray_BYTES(y) + cnp.PyArray_NBYTES(y) <= cnp.PyArray_BYTES(given)
                            or cnp.PyArray_BYTES(given) + cnp.PyArray_NBYTES(given) <= cnp.PyArray_BYTES(y))):
                return None
        outside[0] = <unsigned char*> cnp.PyArray_DATA(given)
        outside[1] = <unsigned char*> cnp.PyArray_DATA(y)
        threads = c.effective_threads()
        cdef cnp.ndarray block = self.take_block(threads)
        self.run_in(block, outside, threads, NULL)
        self.give_block(block)
        return y

    cdef bint fits(self, array, Py_ssize_t i, bint writeable) except -1:
        """Whether an array is one that runs may read, or write, without a look at anything else."""
        if not cnp.PyArray_CheckExact(array):
            return False
        shape, number = <tuple> self.outside[i]
        if native_num(<cnp.ndarray> array) != <int> number or array.shape != shape:
            return False
        return cnp.PyArray_ISCARRAY(<cnp.ndarray> array) if writeable else cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> array)

    def call_all(self, tuple xs, out):
        """The same of several: a tuple, where there are several outputs."""
        cdef unsigned char* at[most_outside]
        cdef unsigned char* ends[most_outside]
        cdef Py_ssize_t i, j, n
        cdef int threads
        cdef tuple given = out if type(out) is tuple else (out,)
        cdef list ys = []
        if self.outside is None or self.deterministic != _deterministic or len(xs) != self.n_inputs:
            return None
        n = len(self.outside)
        if out is not None and len(given) != n - self.n_inputs:
            return None
        for i in range(n):
            if i < self.n_inputs:
                y = xs[i]
                if not self.fits(y, i, False):
                    return None
            elif out is None:
                shape, number = <tuple> self.outside[i]
                y = np.empty(shape, cnp.PyArray_DescrFromType(<int> number))
            else:
                y = given[i - self.n_inputs]
                if not self.fits(y, i, True):
                    return None
            at[i] = <unsigned char*> cnp.PyArray_DATA(<cnp.ndarray> y)
            ends[i] = at[i] + cnp.PyArray_NBYTES(<cnp.ndarray> y)
            if i >= self.n_inputs:
                for j in range(i):
                    if at[j] < ends[i] and at[i] < ends[j]:
                        return None
                ys.append(y)
        threads = c.effective_threads()
        cdef cnp.ndarray block = self.take_block(threads)
        self.run_in(block, at, threads, NULL)
        self.give_block(block)
        return ys[0] if len(ys) == 1 else tuple(ys)

    def run(self, tuple arrays, tuple winners=(), times=None):
        """Inputs and outputs, contiguous and of the right sizes. Returns the outputs that are winners.

        `winners`: for each, its type, byte offsets in the block of values, indices and starts, number of vectors,
        length, shape and axis. `times`: an int64 array of a number for each step, to which nanoseconds are added.
        """
        cdef unsigned char* outside[most_outside]
        cdef int threads = c.effective_threads()
        cdef Py_ssize_t i
        cdef list made = []
        cdef int64_t* to = NULL
        if len(arrays) > most_outside:
            raise AssertionError(f"a program takes at most {most_outside} arrays")
        for i in range(len(arrays)):
            outside[i] = <unsigned char*> cnp.PyArray_DATA(<cnp.ndarray?> arrays[i])
        if times is not None:
            to = <int64_t*> cnp.PyArray_DATA(<cnp.ndarray?> times)
        cdef cnp.ndarray block = self.take_block(threads)
        self.run_in(block, outside, threads, to)
        for one in winners:
            made.append(self.compressed(block, one))
        self.give_block(block)
        return made

    cdef Compressed compressed(self, cnp.ndarray block, tuple given):
        cls, dtype, at_values, at_indices, at_starts, vectors, length, shape, axis = given
        cdef char* memory = <char*> aligned_in(block)
        cdef int64_t n = vectors
        cdef const int64_t* starts = <const int64_t*> (memory + <int64_t> at_starts)
        cdef int64_t nnz = starts[n] if n > 0 else 0
        cdef Compressed made = new_compressed(cls, dtype, nnz, n, length, shape, axis)
        if nnz > 0:
            memcpy(<void*> made.entries, memory + <int64_t> at_values, <size_t> (nnz * dtype.itemsize))
            memcpy(<void*> made.places, memory + <int64_t> at_indices, <size_t> (nnz * 4))
        if n > 0:
            memcpy(<void*> made.starts, starts, <size_t> (n + 1) * 8)
        else:
            (<int64_t*> made.starts)[0] = 0
        return made
