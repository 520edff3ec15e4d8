# SPDX-License-Identifier: BSD-3-Clause
# Sums of 8-bit products as outputs.

cdef int fill_features(c.RequantizeArgs* args, int64_t rows, int64_t cols, bint by_column,
                       cnp.ndarray bias) except -1:
    """The features, each with an int32 bias, are the columns (`by_column`), or the rows, again and again."""
    if bias.dtype != np.int32 or not cnp.PyArray_ISCARRAY_RO(bias):
        raise AssertionError("sums have a contiguous native int32 bias")
    args.sums = NULL
    args.to = NULL
    args.rows, args.cols, args.by_column = rows, cols, by_column
    args.feature, args.features = 0, cnp.PyArray_SIZE(bias)
    if (cols if by_column else rows) % max(args.features, 1):
        raise AssertionError(f"{rows} x {cols} sums are not of {args.features} features")
    args.bias = <const int32_t*> cnp.PyArray_DATA(bias)
    return 0


cdef int fill_factors(c.RequantizeArgs* args, tuple factors, int32_t zero_point, int32_t least, int32_t most) except -1:
    """`factors`: multipliers and shifts, int32; what they are, float64; and bounds of that, float32 (2, features)."""
    cdef cnp.ndarray multipliers, shifts, exact, bounds
    multipliers, shifts, exact, bounds = factors
    for array, dtype, size in ((multipliers, np.int32, 1), (shifts, np.int32, 1), (exact, np.float64, 1),
                               (bounds, np.float32, 2)):
        if array.dtype != dtype or not cnp.PyArray_ISCARRAY_RO(array) or cnp.PyArray_SIZE(array) != size * args.features:
            raise AssertionError("each feature has an int32 multiplier and an int32 shift, and what they are in floats")
    args.multipliers = <const int32_t*> cnp.PyArray_DATA(multipliers)
    args.shifts = <const int32_t*> cnp.PyArray_DATA(shifts)
    args.factors = <const double*> cnp.PyArray_DATA(exact)
    args.below = <const float*> cnp.PyArray_DATA(bounds)
    args.above = args.below + args.features
    args.small_factors = True
    cdef int64_t f
    for f in range(args.features):
        if args.factors[f] >= 1.0 / 256:
            args.small_factors = False
    args.zero_point, args.least, args.most = zero_point, least, most
    return 0


cdef int fill_units(c.Units* units, const c.RequantizeArgs* args, cnp.ndarray given, double least,
                    double most) except -1:
    if given.dtype != np.float64 or not cnp.PyArray_ISCARRAY_RO(given) or cnp.PyArray_SIZE(given) != args.features:
        raise AssertionError("each feature has a float64 unit")
    units.units = <const double*> cnp.PyArray_DATA(given)
    units.least, units.most = least, most
    return 0


cdef int fill_arrays(c.RequantizeArgs* args, cnp.ndarray sums, cnp.ndarray y) except -1:
    cdef int64_t size = args.rows * args.cols
    if (sums.dtype not in (np.int32, np.float32) or not cnp.PyArray_ISCARRAY_RO(sums) or not cnp.PyArray_ISCARRAY(y)
            or cnp.PyArray_SIZE(sums) != size or cnp.PyArray_SIZE(y) != size):
        raise AssertionError("sums are contiguous native int32 or float32, and there are as many outputs")
    args.sums = cnp.PyArray_DATA(sums)
    args.sum = <Type> _type_of[cnp.PyArray_TYPE(sums)]
    args.to = cnp.PyArray_DATA(y)
    return 0


def requantize(cnp.ndarray sums not None, cnp.ndarray y not None, tuple rows_and_cols, bint by_column,
               cnp.ndarray bias not None, tuple factors not None, int32_t zero_point, int32_t least, int32_t most):
    """Writes y, int8 or uint8, as `arith::requantize` of the sums; both of `rows_and_cols`.

    Sums are int32, or float32 that are integers; `factors`: see `fill_factors`.
    """
    cdef c.RequantizeArgs args
    rows, cols = rows_and_cols
    fill_features(&args, rows, cols, by_column, bias)
    fill_factors(&args, factors, zero_point, least, most)
    fill_arrays(&args, sums, y)
    if y.dtype not in (np.int8, np.uint8):
        raise AssertionError("requantize writes int8 or uint8")
    cdef Type out = <Type> _type_of[cnp.PyArray_TYPE(y)]
    if args.rows * args.cols == 0:
        return
    with nogil:
        c.c_requantize(args, out, c.effective_threads())


def quantize(cnp.ndarray x not None, cnp.ndarray y not None, double scale, int32_t zero_point):
    """Writes y, int8 or uint8: x / scale in float64, rounded half to even, plus the zero point, saturated.

    x is float32 or float64, all finite.
    """
    cdef c.QuantizeArgs numbers
    if (x.dtype not in (np.float32, np.float64) or not cnp.PyArray_ISCARRAY_RO(x) or not cnp.PyArray_ISCARRAY(y)
            or y.dtype not in (np.int8, np.uint8) or cnp.PyArray_SIZE(x) != cnp.PyArray_SIZE(y)):
        raise AssertionError("quantize takes contiguous native real numbers and as many bytes")
    numbers.from_, numbers.to = cnp.PyArray_DATA(x), cnp.PyArray_DATA(y)
    numbers.n, numbers.scale, numbers.zero_point = cnp.PyArray_SIZE(x), scale, zero_point
    cdef Type real = <Type> _type_of[cnp.PyArray_TYPE(x)], out = <Type> _type_of[cnp.PyArray_TYPE(y)]
    with nogil:
        c.c_quantize(numbers, real, out, c.effective_threads())


cdef int fill_how(c.RequantizeArgs* how, y_dtype, tuple ending) except -1:
    """Features, and what becomes of their sums; `ending`: bias, factors as `fill_factors` takes them, zero point, least,
    most."""
    bias, factors, zero_point, least, most = ending
    if y_dtype not in (np.int8, np.uint8):
        raise AssertionError("outputs are int8 or uint8")
    fill_features(how, 0, cnp.PyArray_SIZE(<cnp.ndarray> bias), True, bias)
    fill_factors(how, factors, zero_point, least, most)
    return 0


cdef int fill_requantizing(c.Requantizing* requantizing, cnp.ndarray y, tuple ending) except -1:
    """See `fill_how`."""
    cdef c.RequantizeArgs how
    fill_how(&how, y.dtype, ending)
    requantizing[0] = c.requantizing(how, <Type> _type_of[cnp.PyArray_TYPE(y)])
    return 0


cdef int64_t _most_sums = 2**17  # what is requantised behind a product at once: they stay in L2
# From so many vectors on, a layout whose sums lie feature by feature gains more than it costs to turn its outputs, a byte
# each: they are chosen as for rows of features.
cdef int64_t _turned = 64


cdef bint requantized_product(Operand W, int number, c.Operands* operands, const c.RequantizeArgs& how,
                              cnp.ndarray y) except -1:
    """Writes y, contiguous and what `operands.y` views, as the requantised sums of `operands.x` (K, N) and W.

    False, and nothing is written, where sums would not become outputs a tile at a time and are too many.
    """
    cdef c.Requantizing requantizing
    cdef c.RequantizeArgs args
    cdef cnp.npy_intp dims[2]
    cdef cnp.ndarray sums
    cdef int64_t n = operands.x.cols
    cdef Type out = <Type> _type_of[cnp.PyArray_TYPE(y)]
    cdef CPlan plan = plan_for(W, number, False, n, -1, _deterministic, operands.x.col_stride == 1 or n >= _turned)
    operands.winners = NULL
    operands.finish.bias = NULL
    operands.finish.activation = c.Activation.none
    if plan.choice.requantizes():
        requantizing = c.requantizing(how, out)
        operands.requantizing = &requantizing
        with nogil:
            c.multiply(plan, operands[0])
        return True
    if n * W.rows > _most_sums:
        return False
    dims[0], dims[1] = n, W.rows
    sums = cnp.PyArray_EMPTY(2, dims, cnp.NPY_INT32, 0)
    is_view(sums, cnp.NPY_INT32, True, &operands.y)
    args = how
    args.rows, args.cols = n, W.rows
    args.sums, args.sum = cnp.PyArray_DATA(sums), <Type> _type_of[cnp.PyArray_TYPE(sums)]
    args.to = cnp.PyArray_DATA(y)
    with nogil:
        c.multiply(plan, operands[0])
        if n * W.rows > 0:
            c.c_requantize(args, out, c.effective_threads())
    return True


def requantized_linear(Operand W not None, cnp.ndarray x not None, cnp.ndarray y not None, tuple ending not None):
    """Writes y (N, M), int8 or uint8, as the requantised sums of x (N, K) and W; contiguous arrays that are apart.

    `ending`: see `fill_how`. False, and nothing is written, as `requantized_product`
    says.
    """
    cdef int number = product_of(W.w_num, native_num(x))
    cdef c.Operands operands
    cdef c.RequantizeArgs how
    if number < 0 or not is_view(x, x_nums[number], True, &operands.x):
        return False
    if (x.ndim != 2 or y.ndim != 2 or x.shape[1] != W.cols or y.shape[1] != W.rows or x.shape[0] != y.shape[0]
            or not cnp.PyArray_ISCARRAY(y) or not is_view(y, cnp.PyArray_TYPE(y), True, &operands.y)):
        raise AssertionError("requantized_linear takes matrices of matching shapes")
    fill_how(&how, y.dtype, ending)
    if how.features != W.rows:
        raise AssertionError("each row has a bias")
    return requantized_product(W, number, &operands, how, y)


def real_outputs(cnp.ndarray sums not None, cnp.ndarray y not None, tuple rows_and_cols, bint by_column,
                 cnp.ndarray bias not None, cnp.ndarray units not None, double least, double most):
    """Writes y, float32: (sums + bias) * units, in float64 and rounded once, from `least` to `most`."""
    cdef c.RequantizeArgs args
    cdef c.Units of_features
    rows, cols = rows_and_cols
    fill_features(&args, rows, cols, by_column, bias)
    fill_units(&of_features, &args, units, least, most)
    fill_arrays(&args, sums, y)
    if y.dtype != np.float32:
        raise AssertionError("real_outputs writes float32")
    cdef Type out = type_in(y.dtype)
    if args.rows * args.cols == 0:
        return
    with nogil:
        c.c_real_outputs(args, of_features, out)
