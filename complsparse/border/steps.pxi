# SPDX-License-Identifier: BSD-3-Clause
# The steps of a program: what each layer adds.

cdef class Steps:
    """Steps on values, each given by its number; values of winners by `fill_winners_at`'s tuple. Arrays were checked by
    who adds them."""
    cdef unique_ptr[cn.Program] program
    cdef list owners  # of what steps point to
    cdef int number   # of the product of its dtype
    cdef Type type

    def __cinit__(self, dtype, *args, **kwargs):
        self.number = product_in(dtype)
        self.type = c.product_list()[self.number].y
        self.program.reset(new cn.Program())
        self.owners = []

    cdef int fill_finish(self, Epilogue* finish, bias, activation, int64_t features) except -1:
        cdef cnp.ndarray b
        finish.bias = NULL
        if bias is not None:
            b = bias
            if native_num(b) != y_nums[self.number] or b.ndim != 1 or b.shape[0] != features or not (
                    cnp.PyArray_ISCARRAY_RO(b)):
                raise AssertionError("a step takes a contiguous bias of one entry per output")
            self.owners.append(b)
            finish.bias = cnp.PyArray_DATA(b)
        if not set_activation(finish, activation, self.number):
            raise AssertionError(f"there is no activation {activation!r}")
        return 0

    cdef const void* vector_of(self, cnp.ndarray v, int64_t size) except NULL:
        if native_num(v) != y_nums[self.number] or not cnp.PyArray_ISCARRAY_RO(v) or cnp.PyArray_SIZE(v) != size:
            raise AssertionError(f"a step takes {size} contiguous numbers of its dtype")
        self.owners.append(v)
        return cnp.PyArray_DATA(v)

    def new_value(self, int64_t sample_bytes):
        return self.program.get().new_value(sample_bytes)

    def fix(self, int value, cnp.ndarray array not None):
        """The value is this contiguous array."""
        if not cnp.PyArray_ISCARRAY_RO(array):
            raise AssertionError("a constant is contiguous")
        self.owners.append(array)
        self.program.get().place(value, cn.Memory.fixed, <int64_t> <uintptr_t> cnp.PyArray_DATA(array))

    def place(self, int value, str memory, int64_t offset):
        """`memory`: "outside", whose offset is the number of an input or, behind these, of an output; "batch" or
        "sample"."""
        cdef cn.Memory where = {"outside": cn.Memory.outside, "batch": cn.Memory.batch, "sample": cn.Memory.sample}[memory]
        self.program.get().place(value, where, offset)

    def convolution(self, Convolution way not None, bias, activation, x, int y, tuple window=(1, 1), int32_t pad=0,
                    dtype=None, tuple ending=None):
        """`window`: of a pool behind it, for a way that pools(). `pad`: what lies around images of integers. `dtype` and
        `ending`: y is of 8 bits, see `fill_how`, for a way that requantizes."""
        cdef Epilogue finish
        cdef c.RequantizeArgs how
        cdef c.Requantizing requantizing
        cdef cn.OfIntegers integers
        cdef c.PoolWindow pool
        pool.rows, pool.cols = window
        cdef cn.WinnersAt winners
        cdef int64_t rows = way.filters.rows
        cdef c.ImagesView of_x = images_of_sample(
            (way.shape.channels, way.shape.height, way.shape.width), way.channels_last)
        cdef c.ImagesView of_y = images_of_sample(
            (rows, way.shape.sliding.out_rows // pool.rows, way.shape.sliding.out_cols // pool.cols), way.channels_last)
        self.fill_finish(&finish, bias, activation, rows)
        self.owners.append(way)
        if way.of_winners:
            fill_winners_at(&winners, x)
            return self.program.get().add(cn.winners_convolution_step(way.way.get()[0], of_y, finish, pool, winners, y))
        integers.pad = pad
        if ending is not None:
            fill_how(&how, dtype, ending)
            if not way.requantizes or how.features != rows:
                raise AssertionError("a way that requantizes takes an ending of each output")
            self.owners.append(ending)
            requantizing = c.requantizing(how, type_in(dtype))
            integers.requantizing = &requantizing
        return self.program.get().add(cn.convolution_step(way.way.get()[0], of_x, of_y, finish, pool, integers, x, y))

    def product(self, Plan plan not None, int64_t samples, int64_t vectors, x, int y):
        """`plan`: for samples * vectors vectors, features together; its bias and activation are the step's."""
        cdef cn.ProductStep product
        cdef cn.WinnersAt winners
        if not plan.batch_major or plan.n != samples * vectors:
            raise AssertionError("a step takes a batch-major plan for all of its vectors")
        product.plan = plan.plan
        product.samples, product.vectors, product.inputs, product.outputs = samples, vectors, plan.W.cols, plan.W.rows
        product.finish = plan.epilogue
        self.owners.append(plan)
        if plan.winners is not None:
            fill_winners_at(&winners, x)
            return self.program.get().add(cn.winners_product_step(product, winners, y))
        return self.program.get().add(cn.product_step(product, x, y))

    def contest(self, tuple of_sample, int64_t k, bint relu, dtype, int x, tuple y):
        cdef c.Contest contest
        cdef cn.Extents extents
        cdef cn.WinnersAt winners
        fill_extents(&extents, of_sample)
        fill_winners_at(&winners, y)
        contest.type, contest.k, contest.relu = type_in(dtype), k, relu
        contest.bias = contest.boost = NULL
        return self.program.get().add(cn.contest_step(contest, extents, x, winners))

    def expand(self, tuple x, dtype, int64_t inner, int y):
        cdef cn.WinnersAt winners
        fill_winners_at(&winners, x)
        return self.program.get().add(cn.expand_step(winners, type_in(dtype), inner, y))

    def flatten(self, tuple x, dtype, int64_t inner, tuple y):
        cdef cn.WinnersAt before, after
        fill_winners_at(&before, x)
        fill_winners_at(&after, y)
        return self.program.get().add(cn.flatten_step(before, type_in(dtype), inner, after))

    def pool(self, str kind, dtype, tuple image, tuple out, tuple sliding, tuple padded, bint channels_last, int x, int y):
        """`image`, `out`: (channels, height, width); the rest as `pool` has it."""
        cdef c.Pool pool
        fill_pool(&pool, kind, type_in(dtype), sliding, padded)
        return self.program.get().add(cn.pool_step(
            pool, images_of_sample(image, channels_last), images_of_sample(out, channels_last), x, y))

    def pair(self, str operation, axes, tuple image, activation, int a, int b, int y):
        """`axes`: (extent, steps of a and b) for each, the inner one last; `image`: (channels, height, width), or zeros; an
        activation of the result, or None."""
        cdef Epilogue finish
        cdef vector[cn.PairAxis] of_sample
        cdef cn.PairAxis axis
        cdef cn.Extents extents
        cdef cn.Pair pair = {"add": cn.Pair.add, "multiply": cn.Pair.multiply, "subtract": cn.Pair.subtract,
                             "divide": cn.Pair.divide, "larger": cn.Pair.larger, "smaller": cn.Pair.smaller,
                             "slope": cn.Pair.slope}[operation]
        for axis.n, axis.a, axis.b in axes:
            of_sample.push_back(axis)
        self.fill_finish(&finish, None, activation, 0)
        fill_extents(&extents, image)
        return self.program.get().add(cn.pair_step(pair, self.type, of_sample, extents, finish.activation, a, b, y))

    def permute(self, axes, int x, int y):
        """`axes`: (extent, elements of x from one entry to the next) for each of y, the inner one last; floats."""
        cdef vector[cn.PermutedAxis] of_sample
        cdef cn.PermutedAxis axis
        for axis.n, axis.step in axes:
            of_sample.push_back(axis)
        return self.program.get().add(cn.permute_step(self.type, of_sample, x, y))

    def norm(self, int64_t rows, int64_t n, weight, bias, double eps, bint centred, int x, int y):
        cdef cn.Norm norm
        norm.rows, norm.n, norm.eps, norm.centred = rows, n, eps, centred
        norm.weight = norm.bias = NULL
        if weight is not None:
            norm.weight = self.vector_of(weight, n)
        if bias is not None:
            norm.bias = self.vector_of(bias, n)
        return self.program.get().add(cn.norm_step(norm, self.type, x, y))

    def activation(self, str activation, int64_t n, int x, int y):
        cdef Epilogue finish
        self.fill_finish(&finish, None, activation, 0)
        return self.program.get().add(cn.activation_step(self.type, n, finish, x, y))

    def scale(self, tuple of_sample, factors, summands, int x, int y):
        cdef cn.Extents extents
        fill_extents(&extents, of_sample)
        return self.program.get().add(cn.scale_step(
            self.type, extents, self.vector_of(factors, extents.n), self.vector_of(summands, extents.n), x, y))

    def softmax(self, tuple of_sample, int x, int y):
        cdef cn.Extents extents
        fill_extents(&extents, of_sample)
        return self.program.get().add(cn.softmax_step(self.type, extents, x, y))

    def copy(self, int64_t runs, int64_t run_bytes, int64_t first_byte, int64_t pitch_bytes, int x, int y):
        cdef cn.CopyRuns copies
        copies.runs, copies.run_bytes = runs, run_bytes
        copies.first_byte, copies.pitch_bytes = first_byte, pitch_bytes
        return self.program.get().add(cn.copy_step(copies, x, y))

    def quantize(self, dtype, float scale, int32_t zero_point, int64_t n, int x, int y):
        cdef cn.Quantized numbers
        numbers.type, numbers.scale, numbers.zero_point = type_in(dtype), scale, zero_point
        return self.program.get().add(cn.quantize_step(numbers, n, x, y))

    def dequantize(self, dtype, float scale, int32_t zero_point, int64_t n, int x, int y):
        cdef cn.Quantized numbers
        numbers.type, numbers.scale, numbers.zero_point = type_in(dtype), scale, zero_point
        return self.program.get().add(cn.dequantize_step(numbers, n, x, y))

    def clip(self, dtype, int32_t least, int32_t most, int64_t n, int x, int y):
        return self.program.get().add(cn.clip_step(type_in(dtype), n, least, most, x, y))

    def widen(self, dtype, to, tuple image, bint channels_last, tuple before, tuple after, int32_t value, int x, int y):
        """`image`: (channels, height, width); `before`, `after`: rows and columns of padding."""
        cdef cn.Frayed numbers
        channels, rows, cols = image
        numbers.type, numbers.to, numbers.rows, numbers.cols = type_in(dtype), type_in(to), rows, cols
        numbers.value = value
        numbers.planes, numbers.inner = (1, channels) if channels_last else (channels, 1)
        numbers.top, numbers.left = before
        numbers.bottom, numbers.right = after
        return self.program.get().add(cn.widen_step(numbers, x, y))

    def widen_winners(self, dtype, to, tuple x, int y):
        cdef cn.WinnersAt winners
        fill_winners_at(&winners, x)
        return self.program.get().add(cn.widen_winners_step(type_in(dtype), type_in(to), winners, y))

    def outputs(self, tuple rows_and_cols, bint by_column, cnp.ndarray bias not None, dtype, factors, of_sums, int sums, int y):
        """`rows_and_cols`: of a sample. `factors`: what `fill_factors` takes; or what `fill_units` does, where y is of 8 bits
        with its zero point. `of_sums`: the dtype of the sums."""
        cdef cn.Outputs outputs
        rows, cols = rows_and_cols
        outputs.type, outputs.how.sum = type_in(dtype), type_in(of_sums)
        fill_features(&outputs.how, rows, cols, by_column, bias)
        outputs.units.units = NULL
        if type(factors[0]) is not tuple:
            units, least, most, *zero_point = factors
            outputs.how.zero_point = zero_point[0] if zero_point else 0
            fill_units(&outputs.units, &outputs.how, units, least, most)
        else:
            scaling, zero_point, least, most = factors
            fill_factors(&outputs.how, scaling, zero_point, least, most)
        self.owners.append((bias, factors))
        return self.program.get().add(cn.outputs_step(outputs, sums, y))

    def host(self, function, tuple values, int n_reads):
        """`function` gets an array for each of the values (number, dtype, shape), and writes those behind `n_reads`. It
        must not keep them."""
        cdef vector[int] numbers
        cdef HostFunction host = HostFunction(function, values, n_reads)
        for number, dtype, shape in values:
            numbers.push_back(number)
        self.owners.append(host)
        return self.program.get().add(cn.host_step(run_host, <void*> host, numbers))

    def dense_product(self, tuple blas, cnp.ndarray weights not None, int64_t vectors, bias, activation, int x, int y):
        """`blas`: the capsules of BLAS's gemm and gemv for the dtype; weights (outputs, inputs), contiguous."""
        cdef Epilogue finish
        cdef int64_t outputs = weights.shape[0], inputs = weights.shape[1]
        self.fill_finish(&finish, bias, activation, outputs)
        return self.program.get().add(cn.dense_product_step(
            blas_of(blas), self.type, self.vector_of(weights, outputs * inputs), vectors, inputs, outputs, finish, x, y))

    def dense_convolution(self, tuple blas, cnp.ndarray filters not None, tuple image, tuple sliding, bint channels_last, bias,
                          activation, int x, int y):
        """`filters`: (outputs, channels * taps), contiguous."""
        cdef Epilogue finish
        cdef c.Sliding windows
        cdef int64_t outputs = filters.shape[0]
        fill_sliding(&windows, sliding)
        self.fill_finish(&finish, bias, activation, outputs)
        return self.program.get().add(cn.dense_convolution_step(
            blas_of(blas), self.type, self.vector_of(filters, outputs * filters.shape[1]),
            images_of_sample(image, channels_last),
            images_of_sample((outputs, windows.out_rows, windows.out_cols), channels_last), windows, finish, x, y))

    def recurrent(self, tuple layer, peephole, product, bias, tuple values):
        """`layer`: whether LSTM, reverse, whether the product comes before the reset; steps, samples, width, and how far
        steps and samples lie apart. `product`: a plan, a program of one array and one result, or BLAS's capsules and dense
        weights; a program adds the bias itself. `values`: RecurrentValues."""
        cdef cn.Recurrent recurrent
        cdef cn.RecurrentValues at
        cdef cn.ProductStep planned
        cdef Plan plan
        cdef Epilogue finish
        cdef unique_ptr[const cn.Step] inner
        (recurrent.is_lstm, recurrent.reverse, recurrent.linear_before_reset, recurrent.steps, recurrent.batch,
         recurrent.width, recurrent.time_step, recurrent.batch_step) = layer
        at.gates, at.initial, at.initial_cell, at.y, at.last, at.last_cell = values
        recurrent.peephole = NULL
        if peephole is not None:
            recurrent.peephole = self.vector_of(peephole, 3 * recurrent.width)
        if isinstance(product, Plan):
            plan = product
            if not plan.batch_major or plan.n != recurrent.batch:
                raise AssertionError("a step takes a batch-major plan for all of its vectors")
            planned.plan, planned.finish = plan.plan, plan.epilogue
            planned.samples, planned.vectors = recurrent.batch, 1
            planned.inputs, planned.outputs = plan.W.cols, plan.W.rows
            self.owners.append(plan)
            inner = cn.product_step(planned, 0, 1)
        elif isinstance(product, Program):
            self.owners.append(product)
            inner = cn.program_step((<Program> product).program.get()[0])
        else:
            blas, weights = product
            outputs, inputs = weights.shape
            self.fill_finish(&finish, bias, None, outputs)
            inner = cn.dense_product_step(
                blas_of(blas), self.type, self.vector_of(weights, outputs * inputs), 1, inputs, outputs, finish, 0, 1)
        return self.program.get().add(cn.recurrent_step(recurrent, self.type, move(inner), at))

    def attention(self, tuple blas, tuple sizes, double scale, bint causal, views, tuple values):
        """`sizes`: samples, heads, queries, keys, features of a query and of a value. `views`: HeadsView's tuple for
        queries, keys, values, results and the mask, or as many as there are; `values`: their numbers, with -1 for no
        mask."""
        cdef cn.Attention layer
        cdef cn.AttentionValues at
        layer.batch, layer.heads, layer.queries, layer.keys, layer.width, layer.value_width = sizes
        layer.scale, layer.causal = scale, causal
        fill_heads_view(&layer.q, views[0])
        fill_heads_view(&layer.k, views[1])
        fill_heads_view(&layer.v, views[2])
        fill_heads_view(&layer.out, views[3])
        fill_heads_view(&layer.mask, views[4] if len(views) > 4 else views[0])
        at.q, at.k, at.v, at.out, at.mask = values
        return self.program.get().add(cn.attention_step(blas_of(blas), self.type, layer, at))

    def depthwise(self, cnp.ndarray filters not None, tuple image, int64_t outputs, tuple sliding, bint channels_last, bias,
                  activation, int x, int y):
        """`filters`: (outputs, taps) of planes, (taps, outputs) of pixels; contiguous."""
        cdef Epilogue finish
        cdef c.Sliding windows
        fill_sliding(&windows, sliding)
        self.fill_finish(&finish, bias, activation, outputs)
        return self.program.get().add(cn.depthwise_step(
            self.type, self.vector_of(filters, outputs * windows.kernel_rows * windows.kernel_cols),
            images_of_sample(image, channels_last),
            images_of_sample((outputs, windows.out_rows, windows.out_cols), channels_last), windows, finish, x, y))
