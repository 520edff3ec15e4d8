# SPDX-License-Identifier: BSD-3-Clause
"""The functions that make a `ComplementaryMatrix`, recognise one, and hand it to scipy's solvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scipy.sparse
from numpy.typing import DTypeLike

from complsparse import _core
from complsparse._dtypes import counted
from complsparse._matrix.matrix import ComplementaryMatrix

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


def from_scipy(
    A: Any,
    *,
    strategy: str = "auto",
    block: Any = "auto",
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
    strategy: str = "auto",
    block: Any = "auto",
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
    if scipy.sparse.issparse(D) or isinstance(D, (_core.Operand, tuple)):
        raise TypeError(f"from_dense takes an array, not {type(D).__name__}; ComplementaryMatrix takes any matrix")
    return ComplementaryMatrix(D, dtype=dtype, strategy=strategy, block=block, eliminate_zeros=eliminate_zeros)


def from_coo(
    data: Any,
    coords: Any,
    shape: tuple[int, int],
    *,
    strategy: str = "auto",
    block: Any = "auto",
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
