# SPDX-License-Identifier: BSD-3-Clause
# Products with dense arrays, and the functions that users call for every product.

cdef object _fallbacks = None  # what set_fallbacks was given: this module imports nobody of complsparse


cdef object ops():
    return _fallbacks


def set_fallbacks(*, winners, canonical, matmul, linear, kwta, is_masked, overlap, memory_of, as_tensor, recorded,
                  plan_input_error, plan_winners_error, plan_output_error):
    """Where calls go that the fast checks do not accept, and the class that contests make: called once, at import."""
    global _fallbacks, _winners_class
    if not issubclass(winners, Compressed):
        raise TypeError(f"{winners} is not a subclass of Compressed")
    _winners_class = winners
    _fallbacks = SimpleNamespace(
        canonical=canonical, matmul=matmul, linear=linear, kwta=kwta, is_masked=is_masked, overlap=overlap,
        memory_of=memory_of, as_tensor=as_tensor, recorded=recorded,
        plan_input_error=plan_input_error, plan_winners_error=plan_winners_error, plan_output_error=plan_output_error)


def canonical(S, bint transposed):
    """(indptr, indices, data, shape) of a scipy.sparse matrix, or of its transpose, checked.

    For `Winners`: the file that knows other people's formats stands in a room above it.
    """
    return ops().canonical(S, transposed)


cdef inline bint bias_fits(object bias, int type_num, int64_t features, const DenseView& y, Epilogue* epilogue):
    """Whether the epilogue can read this bias where it lies."""
    cdef DenseView view
    epilogue.bias = NULL
    if bias is None:
        return True
    if (not cnp.PyArray_CheckExact(bias) or cnp.PyArray_NDIM(bias) != 1 or not is_view(bias, type_num, False, &view)
            or view.rows != features or not cnp.PyArray_IS_C_CONTIGUOUS(bias) or not apart(y, type_num, view, type_num)):
        return False
    epilogue.bias = view.data
    return True


cdef inline cnp.ndarray fresh(CPlan plan, int ndim, cnp.npy_intp* dims, int type_num, Epilogue* epilogue):
    """An array for what the plan computes: zeros, which the system gives page by page, where it leaves some alone."""
    epilogue.over_zeros = plan.choice.leaves_zeros()
    if epilogue.over_zeros:
        return cnp.PyArray_ZEROS(ndim, dims, type_num, 0)
    return cnp.PyArray_EMPTY(ndim, dims, type_num, 0)


cdef int _first_of_others = 256  # NPY_USERDEF: the first number of dtypes that other packages make
cdef int _bfloat16_num = -1  # found where one is met: names take longer than numbers


cdef inline bint is_half(cnp.ndarray x):
    global _bfloat16_num
    cdef int num = cnp.PyArray_TYPE(x)
    if num == cnp.NPY_FLOAT16 or num == _bfloat16_num:
        return True
    if num < _first_of_others or x.dtype.name != "bfloat16":
        return False
    _bfloat16_num = num
    return True


cdef inline bint is_bfloat16(cnp.ndarray a):
    return is_half(a) and cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT16


cdef inline bint is_half_to_read(Operand W, cnp.ndarray x, object out):
    """Whether x is of 16-bit floats that are read as float32: float16 if so few that a copy of all costs little."""
    if W.w_num != cnp.NPY_FLOAT32 or not is_half(x):
        return False
    if cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT16:
        return True  # where it lies
    if cnp.PyArray_SIZE(x) > 1 << 20:
        return False
    if out is None:
        return True
    if not cnp.PyArray_CheckExact(out):
        return False
    if cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray> out):
        return contiguous_apart(x, <cnp.ndarray> out)
    return not ops().overlap(x, out)


cdef object product(Operand W, object dense, bint from_right, bint features_last, object out, object bias, object activation):
    """The product of W and a dense array if the fast checks accept everything, else None and nothing is written.

    W @ X; from_right: X @ W; features_last (with from_right unset): linear's x -> x @ W.T.
    """
    cdef bint swap = from_right or features_last  # C++ computes W X: rows of X are transposed views of the rows of x
    if not cnp.PyArray_CheckExact(dense):
        return None
    cdef cnp.ndarray x = dense, y
    cdef int number = product_of(W.w_num, native_num(x))
    cdef bint widens = False  # bfloat16, which tiles take as it is
    if number < 0:
        if not is_half_to_read(W, x, out):
            return None
        widens = cnp.PyArray_TYPE(x) == _bfloat16_num
        if not widens:
            x = x.astype(np.float32)
        number = product_of(W.w_num, cnp.NPY_FLOAT32)
    cdef int x_shift = 1 if widens else element_shift(x_nums[number])
    cdef int type_num = y_nums[number], ndim = cnp.PyArray_NDIM(x)
    cdef int64_t inner = W.rows if from_right else W.cols
    cdef int64_t outer = W.cols if from_right else W.rows
    cdef c.Operands operands
    cdef DenseView* x_view = &operands.x
    cdef DenseView* y_view = &operands.y
    if not is_view_of(x, x_shift, swap, x_view) or x_view.rows != inner:
        return None
    operands.widens = widens
    cdef int planned = c.pair_product if widens and is_bfloat16(W.store.data) else number
    cdef CPlan plan = plan_for(W, planned, from_right, x_view.cols, -1, _deterministic, x_view.col_stride == 1)
    cdef cnp.npy_intp dims[2]
    if ndim == 1:
        dims[0] = outer
    else:
        dims[0], dims[1] = (x_view.cols, outer) if swap else (outer, x_view.cols)
    if out is None:
        y = fresh(plan, ndim, dims, type_num, &operands.finish)
        is_view(y, type_num, swap, y_view)
    else:
        if not cnp.PyArray_CheckExact(out):
            return None
        y = out
        if cnp.PyArray_NDIM(y) != ndim or not is_view(y, type_num, swap, y_view) or not cnp.PyArray_ISWRITEABLE(y):
            return None
        if y_view.rows != outer or y_view.cols != x_view.cols:
            return None
        if repeats(y_view[0]) or not are_apart(y_view[0], element_shift(type_num), x_view[0], x_shift):
            return None
    if not bias_fits(bias, type_num, outer, y_view[0], &operands.finish):
        return None
    if not set_activation(&operands.finish, activation, number):
        return None
    operands.winners = NULL
    if W.is_small(x_view.cols):
        c.multiply(plan, operands)
    else:
        with nogil:
            c.multiply(plan, operands)
    return y


def matmul(A, B, /, *, out=None, bias=None, activation=None, dtype=None):
    """Matrix product where one operand is a ComplementaryMatrix.

    Parameters
    ----------
    A, B : ComplementaryMatrix and array_like or scipy.sparse
        ``W @ X`` with W (M, K) and X (K,), (K, N) or (..., K, N), or ``X @ W`` with X (M,), (N, M) or (..., N, M), as
        `numpy.matmul`. Dense operands may have any strides and byte order and may be read-only. `Winners` lie along the
        axis that the product sums over. Of scipy.sparse operands the stored entries are taken as winners; the result is
        dense. Tensors of torch are read where they lie.
    out : ndarray or Tensor, optional
        Where the result is written: exactly its shape and dtype, writeable, sharing no memory with an input.
    bias : array_like, optional
        One entry per output feature, added along that axis: to the rows of ``W @ X``, to the columns of ``X @ W``.
    activation : None, "relu", "relu6", "leaky_relu" (0.01), "silu", "gelu" (exact), "hard_swish", "sigmoid", "tanh"
        Applied after the bias. NaN stays NaN. Products of integers have "relu" only.
    dtype : dtype, optional
        Of the result, as in `numpy.matmul`.

    Returns
    -------
    ndarray, or Tensor where an operand is one
        ``out`` if given.

    Raises
    ------
    ValueError
        Shapes that do not match, winners along another axis, `out` that overlaps an input or cannot be written, an
        unknown activation.
    TypeError
        dtypes without a product, `out` of another dtype, no ComplementaryMatrix among the operands.

    Notes
    -----
    Time is O(nnz * N); with winners O(nnz * their share * N), and no more than that of the dense product. Entries that are
    not stored never touch the activations: ``0 * nan`` of such an entry is 0. Nor do zeros that are not stored touch weights.
    The result has the same bits for every number of threads, alignment and memory order. Tensors that require grad, X or
    the bias, have the result record it; it takes no `out` then. A complex X multiplies as two real
    products, and gives a complex result; it has no activation.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]], dtype=np.float32))
    >>> cs.matmul(W, np.array([1.0, 10.0], dtype=np.float32), bias=np.array([1.0, -9.0], dtype=np.float32))
    array([21., -6.], dtype=float32)
    """
    if dtype is None:
        if isinstance(A, Operand):
            if isinstance(B, Compressed):
                result = winners_product(A, B, False, False, out, bias, activation)
            else:
                result = product(A, B, False, False, out, bias, activation)
        elif isinstance(B, Operand):
            if isinstance(A, Compressed):
                result = winners_product(B, A, True, False, out, bias, activation)
            else:
                result = product(B, A, True, False, out, bias, activation)
        else:
            result = None
        if result is not None:
            return result
    if is_tensor(A) or is_tensor(B) or is_tensor(out):
        return matmul_of_tensors(A, B, out, bias, activation, dtype)
    return ops().matmul(A, B, out, bias, activation, dtype)


cdef object matmul_of_tensors(A, B, out, bias, activation, dtype):
    if records(A) or records(B) or records(bias):
        return ops().recorded("matmul", A, B, out, bias, activation, dtype)
    a, b, offset, memory = array_of(A), array_of(B), array_of(bias), memory_of(out)
    result = None
    if dtype is None:
        if isinstance(a, Operand):
            result = product(a, b, False, False, memory, offset, activation)
        elif isinstance(b, Operand):
            result = product(b, a, True, False, memory, offset, activation)
    if result is None:
        result = ops().matmul(a, b, memory, offset, activation, dtype)
    return given_back(result, out)


def linear(x, W, bias=None, *, activation=None, out=None, dtype=None, winners=None):
    """A linear layer: ``y = activation(x @ W.T + bias)``, batch first, as `torch.nn.functional.linear`.

    Parameters
    ----------
    x : array_like, Tensor, Winners or scipy.sparse, shape (..., K)
        Activations; the features are the last axis.
    W : ComplementaryMatrix, shape (M, K)
        Weights.
    bias : array_like, shape (M,), optional
    activation : None or str
        As for `complsparse.matmul`.
    out : ndarray or Tensor, shape (..., M), optional
        Where the result is written: exactly its dtype, writeable, sharing no memory with an input.
    dtype : dtype, optional
        Of the result.
    winners : int or float, optional
        Only so many winners of each output vector, a count or a share as in `complsparse.kwta`: what
        ``kwta(linear(...), winners)`` gives, but of the outputs only strips are ever in memory (all of them where their
        dtype is not the one that is computed in: integers of 8 and 16 bits). Takes no `out`.

    Returns
    -------
    ndarray, shape (..., M), or Tensor where x is one, or Winners of this shape

    Raises
    ------
    ValueError, TypeError
        As `complsparse.matmul`; with `winners` as `complsparse.kwta` too.

    Notes
    -----
    Time is O(nnz * N) for N vectors. Activations are brought into the order that the micro-kernel wants inside the
    product, a tile at a time.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]], dtype=np.float32))
    >>> cs.linear(np.array([[1.0, 10.0], [0.0, -1.0]], dtype=np.float32), W, activation="relu")
    array([[20.,  3.],
           [ 0.,  0.]], dtype=float32)
    >>> cs.linear(np.array([[1.0, 10.0], [0.0, -1.0]], dtype=np.float32), W, winners=1).indices
    array([0, 1], dtype=int32)
    """
    if winners is not None:
        result = None
        if dtype is None and out is None and isinstance(W, Operand):
            result = linear_winners(W, x, bias, activation, winners)
        return ops().linear(x, W, bias, activation, out, dtype, winners) if result is None else result
    if dtype is None and isinstance(W, Operand):
        if isinstance(x, Compressed):
            result = winners_product(W, x, False, True, out, bias, activation)
        else:
            result = product(W, x, False, True, out, bias, activation)
        if result is not None:
            return result
    if is_tensor(x) or is_tensor(out):
        return linear_of_tensors(x, W, bias, activation, out, dtype)
    return ops().linear(x, W, bias, activation, out, dtype, None)


cdef object linear_of_tensors(x, W, bias, activation, out, dtype):
    if records(x) or records(bias):
        return ops().recorded("linear", x, W, out, bias, activation, dtype)
    a, offset, memory = unrecorded_array(x), unrecorded_array(bias), memory_of(out)
    result = None
    if dtype is None and isinstance(W, Operand) and not isinstance(a, Compressed):
        result = product(W, a, False, True, memory, offset, activation)
    if result is None:
        result = ops().linear(a, W, offset, activation, memory, dtype, None)
    return given_back(result, out)


def product_into(Operand W, cnp.ndarray x, cnp.ndarray y, bint from_right, bint features_last, bias, activation):
    """The product of W in the dtype of y, for arrays that `_ops` has brought into that dtype and shape."""
    cdef int type_num = cnp.PyArray_TYPE(y), number = compute_type(type_num)
    cdef bint swap = from_right or features_last
    cdef c.Operands operands
    operands.winners = NULL
    if (number < 0 or not is_view(x, x_nums[number], swap, &operands.x)
            or not is_view(y, y_nums[number], swap, &operands.y)):
        raise AssertionError("product_into takes aligned native arrays of one compute dtype")
    if (operands.x.rows != (W.rows if from_right else W.cols) or operands.y.rows != (W.cols if from_right else W.rows)
            or operands.x.cols != operands.y.cols):
        raise AssertionError("product_into takes arrays of matching shapes")
    if not set_activation(&operands.finish, activation, number):
        raise AssertionError(f"product_into has no activation {activation!r} for this product")
    cdef cnp.ndarray b
    if bias is not None:
        b = np.require(bias, y.dtype, ["C", "A"])
        if cnp.PyArray_SIZE(b) != operands.y.rows:
            raise AssertionError("product_into takes one bias entry per output feature")
        operands.finish.bias = cnp.PyArray_DATA(b)
    cdef CPlan plan = plan_for(
        W, number, from_right, operands.x.cols, -1, _deterministic, operands.x.col_stride == 1)
    with nogil:
        c.multiply(plan, operands)


def sampled_values(Operand W, cnp.ndarray P, cnp.ndarray Q):
    """(P @ Q) at the stored positions of W, in the stored order. P (M, R) and Q (R, K) in one compute dtype."""
    cdef int type_num = cnp.PyArray_TYPE(P), number = compute_type(type_num)
    cdef DenseView p_view, q_view
    if (number < 0 or P.ndim != 2 or Q.ndim != 2
            or not is_view(P, type_num, W.transposed, &p_view) or not is_view(Q, type_num, W.transposed, &q_view)):
        raise AssertionError("sampled_values takes aligned native matrices of one compute dtype")
    if P.shape[0] != W.rows or Q.shape[1] != W.cols or P.shape[1] != Q.shape[0]:
        raise AssertionError("sampled_values takes matrices of matching shapes")
    cdef StoredMatrix pattern = W.store.matrix(number).stored()
    if W.transposed:  # (P Q)' = Q' P', sampled at the stored matrix
        p_view, q_view = q_view, p_view
    cdef cnp.npy_intp size = W.nnz
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(1, &size, type_num, 0)
    with nogil:
        c.sampled_multiply(pattern, p_view, q_view, cnp.PyArray_DATA(out))
    return out
