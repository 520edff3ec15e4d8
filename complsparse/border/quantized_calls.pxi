# SPDX-License-Identifier: BSD-3-Clause
# Calls of quantised products whose numbers are those of a call before: checked and folded then, and kept with the matrix.

cdef int _most_kept_calls = 16


cdef bint never_changes(object given) noexcept:
    """Whether this argument will always mean what it means now."""
    if type(given) is tuple:
        for part in <tuple> given:
            if not never_changes(part):
                return False
        return True
    return given is None or type(given) in (int, float, str) or isinstance(given, (np.generic, np.dtype, type))


cdef bint same(object given, object kept) except -1:
    """Whether it means what was kept, which never changes. 1, 1.0 and True are not the same."""
    if given is kept:
        return True
    if type(given) is not type(kept):
        return False
    if type(given) is not tuple:
        return given == kept
    if len(<tuple> given) != len(<tuple> kept):
        return False
    for i in range(len(<tuple> given)):
        if not same((<tuple> given)[i], (<tuple> kept)[i]):
            return False
    return True


cdef bint same_bytes(object given, cnp.ndarray kept) noexcept:
    """Whether it is a plain array whose type, shape and bytes are those of the kept vector."""
    if kept is None or not cnp.PyArray_CheckExact(given):
        return given is None and kept is None
    cdef cnp.ndarray a = given
    return (cnp.PyArray_TYPE(a) == cnp.PyArray_TYPE(kept) and cnp.PyArray_NDIM(a) == 1
            and cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_SIZE(a) == cnp.PyArray_SIZE(kept)
            and memcmp(cnp.PyArray_DATA(a), cnp.PyArray_DATA(kept), <size_t> cnp.PyArray_NBYTES(kept)) == 0)


@cython.final
cdef class _KnownCall:
    """What the numbers of a call became: the requantising of its sums and, of a convolution, its geometry."""
    cdef tuple numbers, ending
    cdef cnp.ndarray bias
    cdef int x_num, y_num
    cdef c.RequantizeArgs how  # of the arrays in `ending`
    cdef Convolution convolution  # None: a linear layer
    cdef tuple x_shape, y_shape
    cdef int32_t pad

    cdef bint is_of(self, cnp.ndarray x, object bias, tuple numbers) except -1:
        return native_num(x) == self.x_num and same(numbers, self.numbers) and same_bytes(bias, self.bias)

    cdef c.Requantizing requantizing(self) except *:
        return c.requantizing(self.how, <Type> _type_of[self.y_num])


cdef _KnownCall known_call(object W, object x, object bias, object out, tuple numbers, bint convolved):
    """What is kept of such a call; None where there is nothing, or where `out` or x is no plain array."""
    cdef _KnownCall kept
    calls = W.__dict__.get("_known_calls") if isinstance(W, Operand) else None
    if calls is None or not cnp.PyArray_CheckExact(x) or not (out is None or cnp.PyArray_CheckExact(out)):
        return None
    for kept in <tuple> calls:
        if (kept.convolution is not None) == convolved and kept.is_of(x, bias, numbers):
            return kept
    return None


def keep_call(W, cnp.ndarray x not None, bias, tuple numbers not None, y_dtype, tuple ending not None,
              Convolution convolution=None, tuple y_shape=None, int32_t pad=0):
    """Keeps what `known_qlinear` and `known_qconv2d` look for; the oldest goes where there are many.

    `ending`: see `fill_how`. `convolution`, of x, with images of `y_shape` and this padding. Arguments that may
    mean something else later, as lists, are not kept.
    """
    cdef _KnownCall kept = _KnownCall()
    if not never_changes(numbers) or not (bias is None or cnp.PyArray_CheckExact(bias)):
        return
    kept.numbers, kept.ending = numbers, ending
    kept.bias = None if bias is None else np.array(bias)
    kept.x_num, kept.y_num = native_num(x), np.dtype(y_dtype).num
    fill_how(&kept.how, np.dtype(y_dtype), ending)
    if kept.how.features != (<Operand?> W).rows:
        raise AssertionError("each row has a bias")
    kept.convolution, kept.pad = convolution, pad
    if convolution is not None:
        kept.x_shape, kept.y_shape = (<object> x).shape, y_shape
    others = W.__dict__.get("_known_calls", ())
    W.__dict__["_known_calls"] = (kept, *others[:_most_kept_calls - 1])


def known_qlinear(W, x, bias, out, tuple numbers not None):
    """y of `complsparse.qlinear` where a call before had the same numbers and the fast checks accept the arrays, else
    None and nothing is written."""
    cdef c.Operands operands
    cdef cnp.npy_intp dims[2]
    cdef cnp.ndarray y
    cdef _KnownCall kept = known_call(W, x, bias, out, numbers, False)
    if kept is None:
        return None
    cdef Operand of = W
    cdef int ndim = cnp.PyArray_NDIM(<cnp.ndarray> x), number = product_of(of.w_num, kept.x_num)
    if number < 0 or not is_view(<cnp.ndarray> x, kept.x_num, True, &operands.x) or operands.x.rows != of.cols:
        return None
    if out is None:
        dims[0], dims[1] = of.rows if ndim == 1 else operands.x.cols, of.rows
        y = cnp.PyArray_EMPTY(ndim, dims, kept.y_num, 0)
    else:
        y = out
    if (not is_view(y, kept.y_num, True, &operands.y) or not cnp.PyArray_ISCARRAY(y) or cnp.PyArray_NDIM(y) != ndim
            or operands.y.rows != of.rows or operands.y.cols != operands.x.cols):
        return None
    if out is not None and not (apart(operands.x, kept.x_num, operands.y, kept.y_num)
                                and (bias is None or contiguous_apart(y, <cnp.ndarray> bias))):
        return None
    return y if requantized_product(of, number, &operands, kept.how, y) else None


def known_qconv2d(W, x, bias, out, tuple numbers not None):
    """Likewise of `complsparse.qconv2d`."""
    cdef c.ConvOperands operands
    cdef c.Requantizing requantizing
    cdef cnp.ndarray y
    cdef _KnownCall kept = known_call(W, x, bias, out, numbers, True)
    if kept is None or x.shape != kept.x_shape or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x):
        return None
    y = np.empty(kept.y_shape, type_dtypes[_type_of[kept.y_num]]) if out is None else out
    if (native_num(y) != kept.y_num or not cnp.PyArray_ISCARRAY(y) or (<object> y).shape != kept.y_shape
            or not contiguous_apart(y, <cnp.ndarray> x) or (bias is not None and not contiguous_apart(y, <cnp.ndarray> bias))):
        return None
    requantizing = kept.requantizing()
    kept.convolution.fill_images(<cnp.ndarray> x, &operands)
    kept.convolution.fill(y, None, None, &operands, True)
    operands.pad = kept.pad
    operands.requantizing = &requantizing
    with nogil:
        c.convolve(kept.convolution.way.get()[0], operands)
    return y


cdef bint contiguous_apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    """No common memory of contiguous arrays."""
    cdef uintptr_t first = <uintptr_t> cnp.PyArray_DATA(a), other = <uintptr_t> cnp.PyArray_DATA(b)
    return first + cnp.PyArray_NBYTES(a) <= other or other + cnp.PyArray_NBYTES(b) <= first
