# SPDX-License-Identifier: BSD-3-Clause
"""Functions of entries, as layers on whole arrays; a row each. Inputs broadcast as NumPy's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from complsparse.nn._array_layer import array_layer
from complsparse.nn._attributes import Array


def _in_dtype(value: Any, x: Any) -> Any:
    """A number that leaves x in its dtype."""
    return x.dtype.type(value)


# --- of one array -----------------------------------------------------------------------------------------------------


@array_layer
def Abs(x: Any) -> Any:
    """Magnitudes."""
    return np.abs(x)


@array_layer
def Neg(x: Any) -> Any:
    """``-x``."""
    return np.negative(x)


@array_layer
def Sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return np.sign(x)


@array_layer
def Sqrt(x: Any) -> Any:
    """Square roots; NaN below zero."""
    return np.sqrt(x)


@array_layer
def Reciprocal(x: Any) -> Any:
    """``1 / x``."""
    return _in_dtype(1, x) / x


@array_layer
def Exp(x: Any) -> Any:
    """The exponential function."""
    return np.exp(x)


@array_layer
def Log(x: Any) -> Any:
    """The natural logarithm."""
    return np.log(x)


@array_layer
def Erf(x: Any) -> Any:
    """The error function."""
    return scipy.special.erf(x)


@array_layer
def Sin(x: Any) -> Any:
    """Sines."""
    return np.sin(x)


@array_layer
def Cos(x: Any) -> Any:
    """Cosines."""
    return np.cos(x)


@array_layer
def Floor(x: Any) -> Any:
    """The largest integers that are not above."""
    return np.floor(x)


@array_layer
def Ceil(x: Any) -> Any:
    """The least integers that are not below."""
    return np.ceil(x)


@array_layer
def Round(x: Any) -> Any:
    """The nearest integers, the even one of two."""
    return np.rint(x)


@array_layer
def Not(x: Any) -> Any:
    """Where a condition does not hold."""
    return np.logical_not(x)


@array_layer
def IsNaN(x: Any) -> Any:
    """Where there is no number."""
    return np.isnan(x)


@array_layer
def HardSigmoid(x: Any, *, alpha: float = 1 / 6, beta: float = 0.5) -> Any:
    """``alpha * x + beta``, between 0 and 1."""
    return np.clip(_in_dtype(alpha, x) * x + _in_dtype(beta, x), _in_dtype(0, x), _in_dtype(1, x))


@array_layer
def Softplus(x: Any) -> Any:
    """``log(1 + exp(x))``."""
    return np.logaddexp(x, _in_dtype(0, x))


@array_layer
def ELU(x: Any, *, alpha: float = 1.0) -> Any:
    """``x`` where it is above zero, ``alpha * (exp(x) - 1)`` elsewhere."""
    return np.where(x > 0, x, _in_dtype(alpha, x) * np.expm1(np.minimum(x, _in_dtype(0, x))))


@array_layer
def Clip(x: Any, low: Any = None, high: Any = None, *, least: float | None = None, most: float | None = None) -> Any:
    """Entries below `low` are `low`, entries above `high` are `high`; each an input or an attribute.

    Parameters
    ----------
    least, most : float, optional
        Where there is no such input. Both None: nothing is clipped.
    """
    low = _in_dtype(least, x) if low is None and least is not None else low
    high = _in_dtype(most, x) if high is None and most is not None else high
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@array_layer
def Cast(x: Any, *, to: str) -> Any:
    """In another dtype, given by name; floating point numbers are those of the network, whatever their size."""
    wanted = np.dtype(to)
    if wanted.kind not in "fiub":
        raise ValueError(f"to={to!r} is not a dtype of real numbers")
    if wanted.kind == "f" and x.dtype.kind == "f":
        return x
    return x.astype(np.float32 if wanted.kind == "f" else wanted)


# --- of two, or more --------------------------------------------------------------------------------------------------


@array_layer
def Pow(x: Any, y: Any) -> Any:
    """``x ** y``, in the dtype of x."""
    return np.power(x, y).astype(x.dtype, copy=False)


@array_layer
def Mod(x: Any, y: Any, *, fmod: bool = False) -> Any:
    """What is left of a division, with the sign of the divisor; `fmod`: with that of x."""
    return np.fmod(x, y) if fmod else np.mod(x, y)


@array_layer
def Equal(x: Any, y: Any) -> Any:
    """Where both are the same."""
    return np.equal(x, y)


@array_layer
def Less(x: Any, y: Any) -> Any:
    """``x < y``."""
    return np.less(x, y)


@array_layer
def LessOrEqual(x: Any, y: Any) -> Any:
    """``x <= y``."""
    return np.less_equal(x, y)


@array_layer
def Greater(x: Any, y: Any) -> Any:
    """``x > y``."""
    return np.greater(x, y)


@array_layer
def GreaterOrEqual(x: Any, y: Any) -> Any:
    """``x >= y``."""
    return np.greater_equal(x, y)


@array_layer
def And(x: Any, y: Any) -> Any:
    """Where both conditions hold."""
    return np.logical_and(x, y)


@array_layer
def Or(x: Any, y: Any) -> Any:
    """Where one of the conditions holds."""
    return np.logical_or(x, y)


@array_layer
def Xor(x: Any, y: Any) -> Any:
    """Where one condition holds, and the other does not."""
    return np.logical_xor(x, y)


@array_layer
def Where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, y elsewhere."""
    return np.where(condition, x, y)


@array_layer
def Einsum(*inputs: Any, equation: str) -> Any:
    """Products and sums by NumPy's notation of indices."""
    return np.einsum(equation, *inputs, optimize=True)


@array_layer
def Embedding(indices: Any, *, W: Array) -> Any:
    """Rows of a table by their numbers, which count from the back where they are negative."""
    return W[indices]
