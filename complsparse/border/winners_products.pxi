# SPDX-License-Identifier: BSD-3-Clause
# Products with winners.

cdef object winners_product(Operand W, Compressed w, bint from_right, bint features_last, object out, object bias,
                            object activation):
    """As `product`, of winners: None where the fast checks do not accept everything."""
    cdef int number = product_of(W.w_num, w.value_dtype.type_num), ndim = len(w.shape)
    cdef bint last = from_right or features_last  # the features are the last axis
    if number < 0 or ndim > 2:
        return None
    if type(w.axis) is not int or <int> w.axis != (ndim - 1 if last or ndim == 1 else 0):
        return None
    cdef int type_num = y_nums[number]
    cdef int64_t inner = W.rows if from_right else W.cols
    cdef int64_t outer = W.cols if from_right else W.rows
    if w.length != inner:
        return None
    cdef cnp.npy_intp dims[2]
    cdef cnp.ndarray y
    cdef c.Operands operands
    dims[0], dims[1] = (w.n_vectors, outer) if last and ndim == 2 else (outer, w.n_vectors)
    if out is None:
        y = cnp.PyArray_EMPTY(ndim, dims, type_num, 0)
    else:
        if not cnp.PyArray_CheckExact(out) or cnp.PyArray_NDIM(out) != ndim or not cnp.PyArray_ISWRITEABLE(out):
            return None
        y = out
        if cnp.PyArray_DIMS(y)[0] != dims[0] or (ndim == 2 and cnp.PyArray_DIMS(y)[1] != dims[1]):
            return None
    if not is_view(y, type_num, last, &operands.y) or (out is not None and repeats(operands.y)):
        return None
    if not bias_fits(bias, type_num, outer, operands.y, &operands.finish):
        return None
    if not set_activation(&operands.finish, activation, number):
        return None
    cdef CPlan plan = plan_for(W, number, from_right, w.n_vectors, w.n_entries(), _deterministic, False)
    cdef c.WinnersView x_view = winners_view(w)
    operands.winners = &x_view
    if W.is_small(w.n_vectors):
        c.multiply(plan, operands)
    else:
        with nogil:
            c.multiply(plan, operands)
    return y


def winners_into(Operand W, Compressed w, cnp.ndarray values, cnp.ndarray y, bint from_right, bint features_last, bias,
                 activation, int candidate=-1):
    """The product of W and winners in the dtype of y, C-contiguous, for arguments that `_ops` has checked.

    `values` are those of w in that dtype. `candidate`: index into `candidates`; -1: the first.
    """
    cdef int type_num = cnp.PyArray_TYPE(y), number = compute_type(type_num)
    cdef int64_t outer = W.cols if from_right else W.rows
    cdef bint last = from_right or features_last or len(w.shape) == 1
    cdef int64_t n = w.n_vectors if last else w.shape[len(w.shape) - 1]  # in a product; others have their own outputs
    cdef int64_t n_batches = 1 if last else (w.n_vectors // n if n > 0 else 0)
    if (number < 0 or not cnp.PyArray_IS_C_CONTIGUOUS(y) or not cnp.PyArray_ISBEHAVED(y)
            or cnp.PyArray_TYPE(values) != type_num or not cnp.PyArray_ISCARRAY_RO(values)
            or cnp.PyArray_SIZE(values) != w.n_entries() or cnp.PyArray_SIZE(y) != outer * w.n_vectors
            or w.length != (W.rows if from_right else W.cols)):
        raise AssertionError("winners_into takes contiguous arrays of one compute dtype and of matching shapes")
    cdef c.Operands operands
    if not set_activation(&operands.finish, activation, number):
        raise AssertionError(f"winners_into has no activation {activation!r} for this product")
    if bias is not None:
        if cnp.PyArray_TYPE(bias) != type_num or not cnp.PyArray_ISCARRAY_RO(bias) or cnp.PyArray_SIZE(bias) != outer:
            raise AssertionError("winners_into takes a contiguous bias with one entry per output feature")
        operands.finish.bias = cnp.PyArray_DATA(bias)
    if w.n_vectors == 0:
        return
    cdef CPlan plan = plan_for(W, number, from_right, w.n_vectors, w.n_entries(), _deterministic, False, candidate)
    cdef c.WinnersView x_view = winners_view(w)
    cdef int64_t _batch
    x_view.values = cnp.PyArray_DATA(values)
    x_view.vectors = n
    operands.winners = &x_view
    operands.y.rows, operands.y.cols = outer, n
    operands.y.row_stride = 1 if last else n
    operands.y.col_stride = outer if last else 1
    operands.y.data = cnp.PyArray_DATA(y)
    with nogil:
        for _batch in range(n_batches):
            c.multiply(plan, operands)
            x_view.starts += n
            operands.y.data = <char*> operands.y.data + outer * n * (<int64_t> 1 << element_shift(type_num))
