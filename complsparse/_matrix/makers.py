# SPDX-License-Identifier: BSD-3-Clause
"""The functions that make a `ComplementaryMatrix`, recognise one, sample a product at one, and hand it to solvers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike

from complsparse import _core
from complsparse._arrays import as_array, is_sparse_tensor
from complsparse._dtypes import counted, product_types
from complsparse._matrix.filters import filter_axes
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._operands import as_compute
from complsparse._typing import Block, Strategy

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


def from_scipy(
    A: Any,
    *,
    strategy: Strategy = "auto",
    block: Block = "auto",
    dtype: DTypeLike | None = None,
    eliminate_zeros: bool = False,
) -> ComplementaryMatrix:
    """Packs a scipy.sparse array or matrix of any format.

    Parameters
    ----------
    A : scipy.sparse array or matrix, shape (M, K)
        Never changed. Every array in it is checked before use.
    strategy, block, dtype, eliminate_zeros
        As `ComplementaryMatrix`.

    Returns
    -------
    ComplementaryMatrix, shape (M, K)

    Raises
    ------
    TypeError
        Not a scipy.sparse matrix; complex values.
    ValueError
        Malformed arrays; a block that the pattern does not consist of.

    Examples
    --------
    >>> import scipy.sparse
    >>> import complsparse as cs
    >>> W = cs.from_scipy(scipy.sparse.eye_array(3, format="csr"))
    >>> W.shape, W.nnz, W.n_sets
    ((3, 3), 3, 1)
    """
    if not scipy.sparse.issparse(A):
        raise TypeError(
            f"from_scipy takes a scipy.sparse array or matrix, not {type(A).__name__}; from_dense and "
            "ComplementaryMatrix take others"
        )
    return ComplementaryMatrix(A, dtype=dtype, strategy=strategy, block=block, eliminate_zeros=eliminate_zeros)


def from_dense(
    D: Any,
    *,
    strategy: Strategy = "auto",
    block: Block = "auto",
    dtype: DTypeLike | None = None,
    eliminate_zeros: bool = False,
) -> ComplementaryMatrix:
    """Packs the non-zeros of a dense matrix; exact zeros (of either sign) are dropped.

    Parameters
    ----------
    D : array_like, shape (M, K)
    strategy, block, dtype, eliminate_zeros
        As `ComplementaryMatrix`; zeros can be left for `eliminate_zeros` only where `dtype` rounds to zero.

    Returns
    -------
    ComplementaryMatrix, shape (M, K)

    Raises
    ------
    TypeError
        A sparse matrix; complex values.
    ValueError
        More than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]])).nnz
    2
    """
    if scipy.sparse.issparse(D) or isinstance(D, (_core.Operand, tuple)) or is_sparse_tensor(D):
        raise TypeError(f"from_dense takes an array, not {type(D).__name__}; ComplementaryMatrix takes any matrix")
    return ComplementaryMatrix(D, dtype=dtype, strategy=strategy, block=block, eliminate_zeros=eliminate_zeros)


def from_coo(
    data: Any,
    coords: Any,
    shape: tuple[int, int],
    *,
    strategy: Strategy = "auto",
    block: Block = "auto",
    dtype: DTypeLike | None = None,
    eliminate_zeros: bool = False,
) -> ComplementaryMatrix:
    """Packs triplets; duplicates are summed in the order given.

    Parameters
    ----------
    data : array_like, shape (nnz,)
    coords : (rows, cols)
        Integer array_likes of shape (nnz,).
    shape : (int, int)
    strategy, block, dtype, eliminate_zeros
        As `ComplementaryMatrix`.

    Returns
    -------
    ComplementaryMatrix

    Raises
    ------
    TypeError
        Indices that are not integers; complex values.
    ValueError
        Arrays of unequal length, indices outside the shape.

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.from_coo([1.0, 2.0, 3.0], ([0, 1, 1], [2, 0, 0]), (2, 3)).toarray()
    array([[0., 0., 1.],
           [5., 0., 0.]])
    """
    return ComplementaryMatrix(
        (data, coords), shape, dtype, strategy=strategy, block=block, eliminate_zeros=eliminate_zeros
    )


def from_filters(
    weight: Any,
    *,
    order: str = "OIHW",
    strategy: Strategy = "auto",
    block: Block = "auto",
    dtype: DTypeLike | None = None,
    eliminate_zeros: bool = False,
) -> ComplementaryMatrix:
    """Packs the filters of a convolution; exact zeros are dropped.

    Parameters
    ----------
    weight : array_like, shape (M, C, kh, kw) or (M, C, k), or as `order` says
        M filters of C channels each: the input's channels, divided by the groups of the convolution.
    order : {"OIHW", "OHWI", "HWIO"}
        The axes of `weight`: outputs, channels, kernel rows, kernel columns. For one spatial axis "OIW", "OWI", "WIO",
        or those of images, whose H is left out.
    strategy, block, dtype, eliminate_zeros
        As `ComplementaryMatrix`.

    Returns
    -------
    ComplementaryMatrix, shape (M, C * kh * kw)
        Columns in (channel, kernel row, kernel column) order whatever the `order`, with `filter_shape`.

    Raises
    ------
    ValueError
        Another number of axes, an unknown order.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_filters(np.eye(9, dtype=np.float32).reshape(9, 1, 3, 3))
    >>> W.shape, W.filter_shape
    ((9, 9), (9, 1, 3, 3))
    """
    array = as_array(weight, "weight")
    if array.ndim not in (3, 4):
        raise ValueError(f"weight has shape {array.shape}; filters have 4 axes, or 3 for signals")
    filters = array.transpose(filter_axes(order, array.ndim))
    W = from_dense(
        filters.reshape(len(filters), math.prod(filters.shape[1:])),
        strategy=strategy,
        block=block,
        dtype=dtype,
        eliminate_zeros=eliminate_zeros,
    )
    W._packing.filter_shape = tuple(int(n) for n in filters.shape)
    return W


def iscompl(x: Any) -> bool:
    """Whether `x` is a ComplementaryMatrix.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> cs.iscompl(cs.from_dense(np.eye(2))), cs.iscompl(np.eye(2))
    (True, False)
    """
    return isinstance(x, ComplementaryMatrix)


def aslinearoperator(W: ComplementaryMatrix) -> LinearOperator:
    """A scipy LinearOperator whose block products are one call each.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (M, K)
        scipy's own `aslinearoperator` would multiply column by column.

    Raises
    ------
    TypeError
        `W` is not a ComplementaryMatrix.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> from scipy.sparse.linalg import cg
    >>> x, info = cg(cs.aslinearoperator(cs.from_dense(np.diag([1.0, 2.0]))), np.array([1.0, 4.0]))
    >>> np.allclose(x, [1, 2])
    True
    """
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"aslinearoperator takes a ComplementaryMatrix, not {type(W).__name__}")
    from scipy.sparse.linalg import LinearOperator  # slow to import, and few need it

    return LinearOperator(
        W.shape, matvec=W.matvec, rmatvec=W.rmatvec, matmat=W.matmat, rmatmat=W.rmatmat, dtype=counted(W.dtype)
    )


def sampled_matmul(W: ComplementaryMatrix, P: Any, Q: Any) -> ComplementaryMatrix:
    """``P @ Q`` at the stored positions of W.

    The gradient of a product's loss with respect to W's values is of this form: for ``Y = W @ X`` it is
    ``sampled_matmul(W, dY, X.T)``.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)
        Gives the pattern; its values are not read.
    P : array_like, shape (M, R)
    Q : array_like, shape (R, K)

    Returns
    -------
    ComplementaryMatrix, shape (M, K)
        On W's packing, in ``np.result_type(P, Q)`` (float16 and bfloat16 give float32).

    Raises
    ------
    ValueError
        Shapes that do not match.
    TypeError
        dtypes without a product.

    Notes
    -----
    Time is O(nnz * R).

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> cs.sampled_matmul(W, np.array([[1.0], [10.0]]), np.array([[5.0, 7.0]])).toarray()
    array([[ 0.,  7.],
           [50.,  0.]])
    """
    if not isinstance(W, _core.Operand):
        raise TypeError(f"sampled_matmul needs W as a ComplementaryMatrix, got {type(W).__name__}")
    p, q = as_array(P, "P"), as_array(Q, "Q")
    if p.ndim != 2 or q.ndim != 2 or p.shape[1] != q.shape[0] or (p.shape[0], q.shape[1]) != W.shape:
        raise ValueError(f"P {p.shape} @ Q {q.shape} does not have the shape of W, {W.shape}")
    types = product_types(p.dtype, q.dtype)
    values = _core.sampled_values(W, as_compute(p, types.compute), as_compute(q, types.compute))
    if types.result == np.bool_:
        values = values != 0
    return W._with_stored_values(values.astype(types.result, copy=False))
