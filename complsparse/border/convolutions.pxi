# SPDX-License-Identifier: BSD-3-Clause
# Convolutions bound to filters and to the shape of an image; pools.

cdef bint as_images(cnp.ndarray a, bint channels_last, int shift, c.ImagesView* view) noexcept:
    """A native, aligned array of four axes as images, if its strides are whole elements."""
    cdef cnp.npy_intp* dims = cnp.PyArray_DIMS(a)
    cdef cnp.npy_intp* strides = cnp.PyArray_STRIDES(a)
    cdef int channel = 3 if channels_last else 1, row = 1 if channels_last else 2
    if (strides[0] | strides[1] | strides[2] | strides[3]) & ((1 << shift) - 1):
        return False
    view.data = cnp.PyArray_DATA(a)
    view.images, view.image_stride = dims[0], strides[0] >> shift
    view.channels, view.channel_stride = dims[channel], strides[channel] >> shift
    view.height, view.row_stride = dims[row], strides[row] >> shift
    view.width, view.col_stride = dims[row + 1], strides[row + 1] >> shift
    return True


cdef bint is_flat(const c.ImagesView& images) noexcept:
    """Whether the pixels of an image lie a constant step apart."""
    return images.height <= 1 or images.width <= 1 or images.row_stride == images.width * images.col_stride


cdef int fill_sliding(c.Sliding* sliding, pairs) except -1:
    """pairs: kernel, stride, dilation, padding before (top, left) and output, two of each."""
    (
        (sliding.kernel_rows, sliding.kernel_cols),
        (sliding.stride_rows, sliding.stride_cols),
        (sliding.dilation_rows, sliding.dilation_cols),
        (sliding.top, sliding.left),
        (sliding.out_rows, sliding.out_cols),
    ) = pairs
    return 0


cdef int fill_shape(c.ConvShape* shape, int number, image, sliding, bint channels_last, bint deterministic) except -1:
    """image: (channels, height, width)."""
    shape.types = c.product_list()[number]
    shape.channels, shape.height, shape.width = image
    fill_sliding(&shape.sliding, sliding)
    shape.channels_last = channels_last
    shape.deterministic = deterministic or _deterministic
    return 0


@cython.final
@cython.no_gc_clear
cdef class Convolution:
    cdef unique_ptr[const c.Convolution] way
    cdef Operand filters
    cdef c.ConvShape shape
    cdef int number
    cdef readonly bint channels_last, of_winners, of_image
    cdef readonly tuple image_shape, out_shape  # of one image, without the batch

    def __init__(self):
        raise TypeError("make_convolution makes these")

    @property
    def dtype(self):
        return y_dtypes[self.number]

    @property
    def microkernel(self):
        return self.way.get().name().decode()

    @property
    def reason(self):
        return self.way.get().reason().decode()

    @property
    def layout_bytes(self):
        return self.way.get().layout_bytes()

    @property
    def requantizes(self):
        """Whether outputs of 8 bits can be asked for."""
        return self.way.get().requantizes()

    def pools(self, tuple window):
        """Whether the largest outputs of windows (rows, columns), side by side, can be asked for, and that pays."""
        cdef c.PoolWindow pool
        pool.rows, pool.cols = window
        return self.way.get().pools(pool)

    def __call__(self, x, cnp.ndarray y not None, bias, activation, cnp.ndarray workspace=None, int32_t pad=0,
                 tuple ending=None):
        """Writes y; x, an array or `Winners` as the convolution was made for, and y are in the compute dtype; arrays have
        four axes, native, aligned; bias None or contiguous in that dtype.

        `workspace`: of as many bytes as `workspace_bytes` says for this many images, on a cache line; else that of the
        calling thread. `pad`: what lies around images of integers. `ending`: y is of 8 bits, see `fill_requantizing`.
        """
        cdef c.ConvOperands operands
        cdef c.Requantizing requantizing
        cdef c.WinnersView winners
        cdef c.Workspace memory
        if self.of_winners:
            self.fill_winners(x, y, &winners, &operands)
        else:
            self.fill_images(x, &operands)
        self.fill(y, bias, activation, &operands, ending is not None)
        operands.pad = pad
        if ending is not None:
            fill_requantizing(&requantizing, y, ending)
            if not self.requantizes or cnp.PyArray_SIZE(<cnp.ndarray> ending[0]) != self.filters.rows:
                raise AssertionError("this convolution has no such outputs")
            operands.requantizing = &requantizing
        if workspace is None:
            with nogil:
                c.convolve(self.way.get()[0], operands)
            return
        memory.memory = <unsigned char*> cnp.PyArray_DATA(workspace)
        memory.bytes = cnp.PyArray_NBYTES(workspace)
        with nogil:
            c.convolve_in(self.way.get()[0], operands, memory)

    def reads_as_it_is(self, x, tuple shape):
        """Whether x is a contiguous array of this shape and the convolution's dtype."""
        return (cnp.PyArray_CheckExact(x) and native_num(<cnp.ndarray> x) == x_nums[self.number]
                and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x) and x.shape == shape)

    def writes_as_it_is(self, y, tuple shape, x):
        """Likewise y; it shares no memory with x, a contiguous array or winners."""
        cdef uintptr_t first, other
        if not (cnp.PyArray_CheckExact(y) and native_num(<cnp.ndarray> y) == y_nums[self.number]
                and cnp.PyArray_ISCARRAY(<cnp.ndarray> y) and y.shape == shape):
            return False
        if isinstance(x, Compressed):
            return True  # its arrays are read-only
        if not (cnp.PyArray_Check(x) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray> x)):
            return False
        first, other = <uintptr_t> cnp.PyArray_DATA(<cnp.ndarray> y), <uintptr_t> cnp.PyArray_DATA(<cnp.ndarray> x)
        return (first + cnp.PyArray_NBYTES(<cnp.ndarray> y) <= other
                or other + cnp.PyArray_NBYTES(<cnp.ndarray> x) <= first)

    def workspace_bytes(self, int64_t images):
        """For so many images, allocated with the axes of x and y in order."""
        cdef c.ConvOperands operands
        cdef c.WinnersView winners
        dtype = np.dtype(y_dtypes[self.number])
        cdef int64_t[2] none = [0, 0]
        if self.of_winners:
            winners.starts, winners.vectors = none, 0
            operands.winners = &winners
            operands.x.images = images
        else:
            # Touches no memory.
            self.fill_images(np.empty((images, *self.image_shape), type_dtypes[<int> self.shape.types.x]), &operands)
        self.fill(np.empty((images, *self.out_shape), dtype), None, None, &operands, False)
        # Of winners nobody knows yet how many there will be: as many threads as there are.
        threads = c.effective_threads() if self.of_winners else self.way.get().threads_for(operands)
        return self.way.get().workspace_bytes(operands, threads)

    cdef int fill_images(self, cnp.ndarray x, c.ConvOperands* operands) except -1:
        if (native_num(x) != x_nums[self.number] or not cnp.PyArray_ISBEHAVED_RO(x) or x.ndim != 4
                or (<object> x).shape[1:] != self.image_shape
                or not as_images(x, self.channels_last, element_shift(x_nums[self.number]), &operands.x)):
            raise AssertionError("a convolution takes an aligned native array of the shape that it was made for")
        operands.winners = NULL
        return 0

    cdef int fill_winners(self, Compressed x, cnp.ndarray y, c.WinnersView* view, c.ConvOperands* operands) except -1:
        cdef int64_t images = y.shape[0], pixels = self.shape.height * self.shape.width
        if (x.value_dtype.type_num != x_nums[self.number]
                or x.n_vectors != (images if self.of_image else images * pixels)
                or x.length != (self.shape.channels * pixels if self.of_image else self.shape.channels)):
            raise AssertionError("a convolution takes winners of the dtype and shape that it was made for")
        view[0] = winners_view(x)
        operands.winners = view
        operands.x.images = images
        return 0

    cdef int fill(self, cnp.ndarray y, bias, activation, c.ConvOperands* operands, bint of_8_bits) except -1:
        cdef cnp.ndarray b
        cdef int type_num = native_num(y) if of_8_bits else y_nums[self.number]
        if (native_num(y) != type_num or not cnp.PyArray_ISBEHAVED(y) or y.ndim != 4
                or (<object> y).shape[1:] != self.out_shape or y.shape[0] != operands.x.images
                or not as_images(y, self.channels_last, element_shift(type_num), &operands.y)
                or not is_flat(operands.y)):
            raise AssertionError("a convolution writes an aligned native array of the shape that it was made for")
        operands.finish.bias = NULL
        if bias is not None:
            b = bias
            if (native_num(b) != y_nums[self.number] or b.ndim != 1 or b.shape[0] != operands.y.channels
                    or not cnp.PyArray_ISCARRAY_RO(b)):
                raise AssertionError("a convolution takes a contiguous bias of one entry per filter")
            operands.finish.bias = cnp.PyArray_DATA(b)
        if not set_activation(&operands.finish, activation, self.number):
            raise AssertionError(f"there is no activation {activation!r} for this convolution")
        return 0


cdef Convolution new_convolution(Operand filters, dtype, tuple image, tuple sliding, bint channels_last,
                                 bint deterministic):
    """Without its way."""
    cdef Convolution self = Convolution.__new__(Convolution)
    self.number = product_with(filters, dtype)
    fill_shape(&self.shape, self.number, image, sliding, channels_last, deterministic)
    if filters.transposed or filters.cols != self.shape.channels * self.shape.sliding.kernel_rows * (
            self.shape.sliding.kernel_cols):
        raise AssertionError("filters are stored by output, with a column for each (channel, tap)")
    self.filters = filters
    self.channels_last = channels_last
    channels, height, width = image
    rows, cols = sliding[4]
    self.image_shape = (height, width, channels) if channels_last else (channels, height, width)
    self.out_shape = (rows, cols, filters.rows) if channels_last else (filters.rows, rows, cols)
    return self


def make_convolution(Operand filters, dtype, tuple image, tuple sliding, bint channels_last, bint deterministic=False,
                     int candidate=-1):
    """A `Convolution` of images (channels, height, width); the filters are (outputs, channels * taps).

    `sliding`: (kernel, stride, dilation, padding before, output size), two of each. IndexError where there is no such
    candidate.
    """
    cdef Convolution self = new_convolution(filters, dtype, image, sliding, channels_last, deterministic)
    cdef const Matrix* matrix = filters.store.matrix(self.number)
    with nogil:
        self.way = c.make_convolution(matrix[0], self.shape, candidate)
    return self


def make_winners_convolution(Operand filters, dtype, tuple image, tuple sliding, bint channels_last, bint of_image):
    """Likewise of winners: over the channels of each pixel, or `of_image`. Where `winners_cost` is not None."""
    cdef Convolution self = new_convolution(filters, dtype, image, sliding, channels_last, False)
    cdef const Matrix* matrix = filters.store.matrix(self.number)
    self.of_winners, self.of_image = True, of_image
    with nogil:
        self.way = c.make_scatter(matrix[0], self.shape, of_image)
    return self


def winners_cost(Operand filters, dtype, tuple image, tuple sliding, bint channels_last, bint of_image):
    """(cycles of a winner, cycles of an image) where winners need not be written out, else None."""
    cdef c.ConvShape shape
    fill_shape(&shape, product_in(dtype), image, sliding, channels_last, False)
    cdef optional[c.WinnersCost] found = c.c_winners_cost(
        filters.store.matrix(product_in(dtype))[0], shape, of_image)
    return (found.value().each, found.value().fixed) if found.has_value() else None


def conv_candidates(Operand filters, dtype, tuple image, tuple sliding, bint channels_last, bint deterministic=False):
    """The ways that could serve, cheapest first as the cost model sees it."""
    cdef c.ConvShape shape
    cdef vector[c.ConvCandidate] found
    cdef int number = product_with(filters, dtype)
    fill_shape(&shape, number, image, sliding, channels_last, deterministic)
    cdef const Matrix* matrix = filters.store.matrix(number)
    with nogil:
        found = c.c_conv_candidates(matrix[0], shape)
    return [dict(way=found[i].way.decode(), cost=found[i].cost) for i in range(<int64_t> found.size())]


cdef int fill_pool(c.Pool* pool, str kind, Type type, tuple sliding, tuple padded) except -1:
    """`kind`: "largest", "mean_inside" or "mean". `padded`: rows and columns of the padded image."""
    pool.kind = {"largest": c.PoolKind.largest, "mean_inside": c.PoolKind.mean_inside, "mean": c.PoolKind.mean}[kind]
    pool.type = type
    fill_sliding(&pool.sliding, sliding)
    pool.padded_rows, pool.padded_cols = padded
    return 0


def pool(str kind, cnp.ndarray x not None, cnp.ndarray y not None, tuple sliding, tuple padded, bint channels_last):
    """Writes y, of the dtype of x; both of four axes, native, aligned. Every window meets a pixel; see `fill_pool`."""
    cdef c.Pool pool
    cdef c.ImagesView x_view, y_view
    cdef int type_num = native_num(x), shift = element_shift(type_num)
    if (native_num(y) != type_num or _type_of[type_num] < 0 or not cnp.PyArray_ISBEHAVED_RO(x)
            or not cnp.PyArray_ISBEHAVED(y) or x.ndim != 4 or y.ndim != 4
            or not as_images(x, channels_last, shift, &x_view) or not as_images(y, channels_last, shift, &y_view)):
        raise AssertionError("pool takes aligned native arrays of one dtype that C++ has")
    fill_pool(&pool, kind, <Type> _type_of[type_num], sliding, padded)
    if (y_view.images != x_view.images or y_view.channels != x_view.channels or y_view.height != pool.sliding.out_rows
            or y_view.width != pool.sliding.out_cols):
        raise AssertionError("pool takes arrays of matching shapes")
    with nogil:
        c.c_pool(pool, x_view, y_view)
