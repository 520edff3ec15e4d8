# SPDX-License-Identifier: BSD-3-Clause
# Sums of 8-bit products as 8-bit outputs.

def requantize(cnp.ndarray sums not None, cnp.ndarray y not None, tuple rows_and_cols, bint by_column,
               cnp.ndarray bias not None, cnp.ndarray multipliers not None, cnp.ndarray shifts not None,
               int32_t zero_point, int32_t least, int32_t most):
    """Writes y, int8 or uint8, as `arith::requantize` of the int32 sums; both contiguous, of `rows_and_cols`.

    The features, each with an int32 bias, multiplier and shift, are the columns (`by_column`), or the rows, again and
    again.
    """
    cdef c.RequantizeArgs args
    args.rows, args.cols = rows_and_cols
    args.features = cnp.PyArray_SIZE(bias)
    args.feature = 0
    args.by_column = by_column
    cdef int64_t size = args.rows * args.cols
    for array in (sums, bias, multipliers, shifts):
        if array.dtype != np.int32 or not cnp.PyArray_ISCARRAY_RO(array):
            raise AssertionError("requantize takes contiguous native int32")
    if (y.dtype not in (np.int8, np.uint8) or not cnp.PyArray_ISCARRAY(y) or cnp.PyArray_SIZE(y) != size
            or cnp.PyArray_SIZE(sums) != size or cnp.PyArray_SIZE(multipliers) != args.features
            or cnp.PyArray_SIZE(shifts) != args.features
            or (args.cols if by_column else args.rows) % max(args.features, 1)):
        raise AssertionError("requantize takes arrays of matching shapes")
    if size == 0:
        return
    args.sums = <const int32_t*> cnp.PyArray_DATA(sums)
    args.to = cnp.PyArray_DATA(y)
    args.bias = <const int32_t*> cnp.PyArray_DATA(bias)
    args.multipliers = <const int32_t*> cnp.PyArray_DATA(multipliers)
    args.shifts = <const int32_t*> cnp.PyArray_DATA(shifts)
    args.zero_point, args.least, args.most = zero_point, least, most
    cdef Type out = <Type> _type_of[cnp.PyArray_TYPE(y)]
    with nogil:
        c.c_requantize(args, out)
