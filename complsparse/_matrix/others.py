# SPDX-License-Identifier: BSD-3-Clause
"""What stands on the other side of an operator: a number, an array, a sparse matrix, an object with its own rules."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import scipy.sparse

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import counted, is_bfloat16
from complsparse._matrix.stored import StoredMatrix, as_csr


def _holds_numbers(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufc" or is_bfloat16(dtype)


def is_scalar(operand: Any) -> bool:
    """Whether the operand is a number that NumPy computes with.

    Raises TypeError for single values that are none: text, dates, exact numbers such as `fractions.Fraction`. Objects
    that merely count as scalars elsewhere (`numpy.isscalar` takes a memoryview for one) are no scalars here.
    """
    if isinstance(operand, (int, float, complex)):
        return True
    if isinstance(operand, np.generic) or (isinstance(operand, np.ndarray) and operand.ndim == 0):
        if _holds_numbers(operand.dtype):
            return True
        if isinstance(operand, np.ndarray) and operand.dtype == object:
            return False
        raise TypeError(f"a matrix is scaled by a number, not by a value of dtype {operand.dtype}")
    if isinstance(operand, (str, bytes, numbers.Number)):
        raise TypeError(
            f"a matrix is scaled by an int, float, complex or NumPy number, not by {type(operand).__name__}; "
            "convert it with float()"
        )
    return False


def is_foreign(operand: Any) -> bool:
    """Whether the operand is an object that NumPy cannot read as an array."""
    if isinstance(operand, (np.ndarray, np.generic, int, float, complex)):
        return False
    if isinstance(operand, _core.Operand) or scipy.sparse.issparse(operand) or hasattr(operand, "__dlpack__"):
        return False
    array = np.asanyarray(operand)
    return array.ndim == 0 and bool(array.dtype == object)


def as_scipy(operand: Any) -> Any:
    """What scipy.sparse computes with instead of this operand: checked matrices, no 16-bit floats, no np.matrix."""
    if isinstance(operand, StoredMatrix):
        return as_csr(operand)
    if scipy.sparse.issparse(operand):
        real = counted(operand.dtype).kind in "biuf"
        return as_csr(operand) if real else scipy.sparse.csr_array(operand)
    if not isinstance(operand, np.ndarray) and (isinstance(operand, memoryview) or hasattr(operand, "__dlpack__")):
        operand = as_array(operand, "the operand")
    if isinstance(operand, (np.ndarray, np.generic)) and is_bfloat16(operand.dtype):
        return operand.astype(np.float32)
    return np.asarray(operand) if isinstance(operand, np.matrix) else operand


def copied_into(out: Any, result: Any) -> Any:
    """The result of an operator in the array that NumPy was given for it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    dense = result.toarray() if scipy.sparse.issparse(result) else result
    if dense.shape != out.shape:
        raise ValueError(f"out has shape {out.shape}; the result has shape {dense.shape}")
    np.copyto(out, dense, casting="same_kind")
    return out
