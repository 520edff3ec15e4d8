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


cdef int fill_factors(c.RequantizeArgs* args, cnp.ndarray multipliers, cnp.ndarray shifts, int32_t zero_point,
                      int32_t least, int32_t most) except -1:
    for array in (multipliers, shifts):
        if array.dtype != np.int32 or not cnp.PyArray_ISCARRAY_RO(array) or cnp.PyArray_SIZE(array) != args.features:
            raise AssertionError("each feature has an int32 multiplier and an int32 shift")
    args.multipliers = <const int32_t*> cnp.PyArray_DATA(multipliers)
    args.shifts = <const int32_t*> cnp.PyArray_DATA(shifts)
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
               cnp.ndarray bias not None, cnp.ndarray multipliers not None, cnp.ndarray shifts not None,
               int32_t zero_point, int32_t least, int32_t most):
    """Writes y, int8 or uint8, as `arith::requantize` of the sums; both of `rows_and_cols`.

    Sums are int32, or float32 that are integers.
    """
    cdef c.RequantizeArgs args
    rows, cols = rows_and_cols
    fill_features(&args, rows, cols, by_column, bias)
    fill_factors(&args, multipliers, shifts, zero_point, least, most)
    fill_arrays(&args, sums, y)
    if y.dtype not in (np.int8, np.uint8):
        raise AssertionError("requantize writes int8 or uint8")
    cdef Type out = <Type> _type_of[cnp.PyArray_TYPE(y)]
    if args.rows * args.cols == 0:
        return
    with nogil:
        c.c_requantize(args, out, c.effective_threads())


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
    if args.rows * args.cols == 0:
        return
    with nogil:
        c.c_real_outputs(args, of_features)
