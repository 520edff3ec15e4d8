# SPDX-License-Identifier: BSD-3-Clause
# Products with winners.

cdef inline c.WinnersView winners_view(Compressed w) noexcept:
    cdef c.WinnersView view
    view.values = w.entries
    view.indices = w.places
    view.starts = w.starts
    view.n = w.n_vectors
    return view


cdef inline bint bias_fits(object bias, int type_num, int64_t features, const DenseView& y, Epilogue* epilogue):
    """Whether the epilogue can read this bias where it lies."""
    cdef DenseView view
    epilogue.bias = NULL
    if bias is None:
        return True
    if (not cnp.PyArray_CheckExact(bias) or cnp.PyArray_NDIM(bias) != 1 or not is_view(bias, type_num, False, &view)
            or view.rows != features or not cnp.PyArray_IS_C_CONTIGUOUS(bias) or not apart(y, view, type_num)):
        return False
    epilogue.bias = view.data
    return True


cdef object winners_product(Operand W, Compressed w, bint from_right, bint features_last, object out, object bias,
                            object activation):
    """As `product`, of winners: None where the fast checks do not accept everything."""
    cdef int compute = W.compute, ndim = len(w.shape)
    cdef bint last = from_right or features_last  # the features are the last axis
    if compute < 0 or w.value_dtype.type_num != type_nums[compute] or ndim > 2:
        return None
    if type(w.axis) is not int or <int> w.axis != (ndim - 1 if last or ndim == 1 else 0):
        return None
    cdef int type_num = type_nums[compute]
    cdef int64_t inner = W.rows if from_right else W.cols
    cdef int64_t outer = W.cols if from_right else W.rows
    if w.length != inner:
        return None
    cdef cnp.npy_intp dims[2]
    cdef cnp.ndarray y
    cdef DenseView y_view
    dims[0], dims[1] = (w.n_vectors, outer) if last and ndim == 2 else (outer, w.n_vectors)
    if out is None:
        y = cnp.PyArray_EMPTY(ndim, dims, type_num, 0)
    else:
        if not cnp.PyArray_CheckExact(out) or cnp.PyArray_NDIM(out) != ndim or not cnp.PyArray_ISWRITEABLE(out):
            return None
        y = out
        if cnp.PyArray_DIMS(y)[0] != dims[0] or (ndim == 2 and cnp.PyArray_DIMS(y)[1] != dims[1]):
            return None
    if not is_view(y, type_num, last, &y_view) or (out is not None and repeats(y_view)):
        return None
    cdef Epilogue epilogue
    if not bias_fits(bias, type_num, outer, y_view, &epilogue):
        return None
    epilogue.relu = activation is not None
    if epilogue.relu and (type(activation) is not str or activation != "relu"):
        return None
    cdef c.WinnersPlan plan = winners_plan_for(W, compute, from_right, w.n_vectors, w.n_entries(), _deterministic)
    cdef c.WinnersView x_view = winners_view(w)
    if W.is_small(w.n_vectors):
        c.multiply_winners(plan, x_view, y_view, epilogue)
    else:
        with nogil:
            c.multiply_winners(plan, x_view, y_view, epilogue)
    return y


def winners_into(Operand W, Compressed w, cnp.ndarray values, cnp.ndarray y, bint from_right, bint features_last, bias,
                 activation, int candidate=-1):
    """The product of W and winners in the dtype of y, C-contiguous, for arguments that `_ops` has checked.

    `values` are those of w in that dtype. `candidate`: index into `winners_candidates`; -1: the first.
    """
    cdef int type_num = cnp.PyArray_TYPE(y), compute = compute_type(type_num)
    cdef int64_t outer = W.cols if from_right else W.rows
    cdef bint last = from_right or features_last or len(w.shape) == 1
    cdef int64_t n = w.n_vectors if last else w.shape[len(w.shape) - 1]  # in a product; others have their own outputs
    cdef int64_t n_batches = 1 if last else (w.n_vectors // n if n > 0 else 0)
    if (compute < 0 or not cnp.PyArray_IS_C_CONTIGUOUS(y) or not cnp.PyArray_ISBEHAVED(y)
            or cnp.PyArray_TYPE(values) != type_num or not cnp.PyArray_ISCARRAY_RO(values)
            or cnp.PyArray_SIZE(values) != w.n_entries() or cnp.PyArray_SIZE(y) != outer * w.n_vectors
            or w.length != (W.rows if from_right else W.cols)):
        raise AssertionError("winners_into takes contiguous arrays of one compute dtype and of matching shapes")
    cdef Epilogue epilogue
    epilogue.bias = NULL
    epilogue.relu = activation is not None
    if bias is not None:
        if cnp.PyArray_TYPE(bias) != type_num or not cnp.PyArray_ISCARRAY_RO(bias) or cnp.PyArray_SIZE(bias) != outer:
            raise AssertionError("winners_into takes a contiguous bias with one entry per output feature")
        epilogue.bias = cnp.PyArray_DATA(bias)
    if w.n_vectors == 0:
        return
    cdef c.WinnersPlan plan = winners_plan_for(
        W, compute, from_right, w.n_vectors, w.n_entries(), _deterministic, candidate)
    cdef c.WinnersView x_view = winners_view(w)
    cdef DenseView y_view
    cdef int64_t _batch
    x_view.values = cnp.PyArray_DATA(values)
    x_view.n = n
    y_view.rows, y_view.cols = outer, n
    y_view.row_stride = 1 if last else n
    y_view.col_stride = outer if last else 1
    y_view.data = cnp.PyArray_DATA(y)
    with nogil:
        for _batch in range(n_batches):
            c.multiply_winners(plan, x_view, y_view, epilogue)
            x_view.starts += n
            y_view.data = <char*> y_view.data + outer * n * (<int64_t> 1 << element_shift(type_num))
