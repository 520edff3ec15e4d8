# SPDX-License-Identifier: BSD-3-Clause
"""NumPy's functions of a `ComplementaryMatrix`, except ufuncs: those that have an answer, and words for the others.

Without them NumPy would take the matrix for an array of one object, and many functions return nonsense of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from complsparse._matrix.others import as_scipy, copied_into
from complsparse._matrix.stored import StoredMatrix

_TABLE: dict[Any, Callable[..., Any]] = {}

# NumPy's own implementations of these ask the matrix for an attribute or a method.
_BY_METHOD = (
    np.argmax,
    np.argmin,
    np.can_cast,
    np.common_type,
    np.imag,
    np.iscomplexobj,
    np.isrealobj,
    np.max,
    np.may_share_memory,
    np.mean,
    np.min,
    np.ndim,
    np.nonzero,
    np.real,
    np.reshape,
    np.result_type,
    np.shape,
    np.shares_memory,
    np.size,
    np.sum,
    np.transpose,
)


def call(function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``__array_function__`` of a `ComplementaryMatrix`."""
    if not all(issubclass(kind, (StoredMatrix, np.ndarray)) for kind in types):
        return NotImplemented
    if function in _BY_METHOD:
        return function._implementation(*args, **kwargs)
    if function not in _TABLE:
        raise TypeError(
            f"{function.__module__}.{function.__name__} does not take a ComplementaryMatrix: pass W.toarray(), or "
            "W.tocsr() to a function of scipy.sparse"
        )
    return _TABLE[function](*args, **kwargs)


def _answers(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(answer: Callable[..., Any]) -> Callable[..., Any]:
        _TABLE.update(dict.fromkeys(functions, answer))
        return answer

    return register


@_answers(np.around, np.round)
def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    result = a.__round__(decimals)
    return result if out is None else copied_into(out, result)


@_answers(np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return a.copy()


@_answers(np.trace)
def _trace(a: Any, offset: int = 0) -> Any:
    return a.trace(offset)


@_answers(np.diagonal)
def _diagonal(a: Any, offset: int = 0) -> Any:
    return a.diagonal(offset)


@_answers(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None) -> Any:
    return a.count_nonzero(axis)


@_answers(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    result = a.dot(b) if scipy.sparse.issparse(a) else a * b if np.ndim(a) == 0 else a @ b
    return result if out is None else copied_into(out, result)


@_answers(np.inner)
def _inner(a: Any, b: Any) -> Any:
    """Sums over the last axis of both, where one is a matrix."""
    b = b if isinstance(b, StoredMatrix) else np.asarray(b)
    return _dot(a, b if b.ndim < 2 else b.T)


@_answers(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None) -> Any:
    from scipy.sparse.linalg import norm  # slow to import, and few need it

    return norm(as_scipy(x), ord=ord, axis=axis)


@_answers(np.array_equal)
def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """By value, whatever is stored."""
    if np.shape(a1) != np.shape(a2):
        return False
    if not (scipy.sparse.issparse(a1) and scipy.sparse.issparse(a2)):
        x, y = (a.toarray() if scipy.sparse.issparse(a) else a for a in (a1, a2))
        return np.array_equal(x, y, equal_nan=equal_nan)
    a, b = (as_scipy(a).copy() for a in (a1, a2))
    a.eliminate_zeros()
    b.eliminate_zeros()
    same_pattern = np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices)
    return same_pattern and np.array_equal(a.data, b.data, equal_nan=equal_nan)
