# SPDX-License-Identifier: BSD-3-Clause
# x @ W.T whose outputs compete at once.

cdef object contest_of_product(Operand W, object x, int number, object bias, object activation, int64_t k, object shape):
    """The k winners of each output vector, of this shape or of that of the product; None where the fast checks do not
    accept everything. x: vectors along its last axis, an array or winners, for the product with this number."""
    cdef int type_num = y_nums[number], ndim
    cdef int64_t n, winners = -1
    cdef c.Operands operands
    cdef c.WinnersView x_view
    cdef c.Contest contest
    if isinstance(x, Compressed):
        ndim = len((<Compressed> x).shape)
        if (type((<Compressed> x).axis) is not int or <int> (<Compressed> x).axis != ndim - 1
                or (<Compressed> x).length != W.cols or (<Compressed> x).value_dtype.type_num != x_nums[number]):
            return None
        x_view = winners_view(x)
        operands.winners = &x_view
        n = x_view.vectors
    else:
        ndim = cnp.PyArray_NDIM(x)
        if not is_view(x, x_nums[number], True, &operands.x) or operands.x.rows != W.cols:
            return None
        operands.winners = NULL
        n = operands.x.cols
    operands.y.data = NULL
    operands.y.rows, operands.y.cols, operands.y.row_stride, operands.y.col_stride = W.rows, n, 0, 0
    if not bias_fits(bias, type_num, W.rows, operands.y, &operands.finish):
        return None
    if not set_activation(&operands.finish, activation, number):
        return None
    contest.type = c.product_list()[number].y
    contest.k = k
    contest.bias = contest.boost = NULL
    contest.relu = False
    cdef int64_t strip = c.strip_of(n, W.rows, contest.type)
    if operands.winners != NULL:
        winners = (<Compressed> x).n_entries() * strip // max(n, 1)
    cdef CPlan plan = plan_for(W, number, False, strip, winners, _deterministic, False)
    if shape is None:
        shape = (W.rows,) if ndim == 1 else (*x.shape[:ndim - 1], W.rows)
    cdef Compressed made = new_compressed(
        _winners_class, y_dtypes[number], n * k, n, W.rows, shape, len(shape) - 1)
    cdef void* values = <void*> made.entries
    cdef int32_t* indices = <int32_t*> made.places
    cdef int64_t* starts = <int64_t*> made.starts
    if W.is_small(n):
        c.multiply_and_compete(plan, operands, contest, values, indices, starts)
    else:
        with nogil:
            c.multiply_and_compete(plan, operands, contest, values, indices, starts)
    return made


cdef object linear_winners(Operand W, object x, object bias, object activation, object winners):
    """`linear` with `winners` if the fast checks accept everything, else None."""
    cdef int number
    cdef int64_t k = count_of_winners(winners, W.rows)
    if k < 0:
        return None
    if isinstance(x, Compressed):
        number = product_of(W.w_num, (<Compressed> x).value_dtype.type_num)
    elif cnp.PyArray_CheckExact(x):
        number = product_of(W.w_num, native_num(x))
    else:
        return None
    return contest_of_product(W, x, number, bias, activation, k, None) if number >= 0 else None


def linear_winners_in(Operand W not None, x, bias, activation, int64_t k, dtype, tuple shape not None):
    """`linear` with k winners in a compute dtype, for arguments that `_ops` has checked and converted; the shape is the
    result's."""
    if not isinstance(x, Compressed) and not cnp.PyArray_CheckExact(x) or not 0 <= k <= W.rows:
        raise AssertionError("linear_winners_in takes winners or an array, and k within the outputs")
    made = contest_of_product(W, x, product_in(dtype), bias, activation, k, shape)
    if made is None:
        raise AssertionError("linear_winners_in takes aligned native arguments of one compute dtype and matching shapes")
    return made
