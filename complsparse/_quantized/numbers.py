# SPDX-License-Identifier: BSD-3-Clause
"""How real numbers become 8-bit ones: `quantize` for weights, `quantize_activations` for what they multiply."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._matrix.csr import frozen, row_of_entry
from complsparse._matrix.makers import from_scipy
from complsparse._matrix.matrix import ComplementaryMatrix

LEAST_SCALE = np.finfo(np.float32).tiny  # below it float32 has no full precision


def quantize(W: ComplementaryMatrix, *, bits: int = 8) -> ComplementaryMatrix:
    """Weights as 8-bit integers with one scale for each row, symmetric about zero.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)
        Real values, all finite. A transposed view is packed anew.
    bits : int
        From 2 to 8: integers lie in ``[-limit, limit]`` with ``limit = 2**(bits - 1) - 1``. They are int8 whatever
        `bits` is.

    Returns
    -------
    ComplementaryMatrix, shape (M, K)
        Of int8, on the packing of W, with `scale` float32 (M,): the largest absolute value of the row over `limit`; 1
        for a row of zeros. ``Wq.toarray() * Wq.scale[:, None]`` is W to within half a scale, and the rounding of the
        scale itself. Values are rounded half to even.

    Raises
    ------
    TypeError
        Not a ComplementaryMatrix.
    ValueError
        A value that is not finite, or a row too large for a float32 scale; `bits` out of range.

    Notes
    -----
    O(nnz). Entries that round to 0 stay stored. `T`, copies, files and pickles keep the scale; `astype`, `with_values`
    and arithmetic give plain integers without one.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_dense(np.array([[0.5, 0, -1.27], [0, 2.54, 0]]))
    >>> Wq = cs.quantize(W)
    >>> Wq.toarray()
    array([[  50,    0, -127],
           [   0,  127,    0]], dtype=int8)
    >>> Wq.scale
    array([0.01, 0.02], dtype=float32)
    """
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"quantize takes a ComplementaryMatrix, not {type(W).__name__}")
    if not isinstance(bits, (int, np.integer)) or isinstance(bits, bool):
        raise TypeError(f"bits must be an integer, not {type(bits).__name__} ({bits!r})")
    if not 2 <= bits <= 8:
        raise ValueError(f"bits={bits}: use a number from 2 to 8")
    limit = 2 ** (int(bits) - 1) - 1
    if W._transposed:
        W = from_scipy(W.tocsr(), strategy=W.strategy)  # type: ignore[arg-type]
    csr = W._stored()
    values = csr.data.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    rows = row_of_entry(csr.indptr)
    if len(wrong):
        at = wrong[0]
        raise ValueError(f"W[{rows[at]}, {csr.indices[at]}] is {values[at]}; only finite weights can be quantised")
    largest = np.zeros(csr.shape[0])
    np.maximum.at(largest, rows, np.abs(values))
    with np.errstate(over="ignore"):
        scale = np.where(largest > 0, np.maximum(largest / limit, LEAST_SCALE), 1.0).astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(scale))
    if len(wrong):
        raise ValueError(f"row {wrong[0]} of W has a weight of {largest[wrong[0]]:g}, too large for a float32 scale")
    numbers = np.clip(np.rint(values / scale.astype(np.float64)[rows]), -limit, limit)
    return W._with_stored_values(numbers.astype(np.int8), frozen(scale))


def range_of(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The least and the largest number of an 8-bit dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def is_8_bit(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize == 1


def quantize_activations(
    x: Any, *, dtype: DTypeLike = np.uint8, method: str | tuple[str, float] = "minmax"
) -> tuple[NDArray[Any], float, int]:
    """Activations as 8-bit integers with one scale and one zero point.

    Parameters
    ----------
    x : array_like
        Real, all finite.
    dtype : {uint8, int8}
    method : "minmax" or ("percentile", p)
        Which values the integers reach from and to: the least and the largest, or those that ``(100 - p)`` and `p`
        percent of all values lie below, p above 50; what lies beyond saturates. Zero is always among them, so that it
        is an integer exactly.

    Returns
    -------
    xq : ndarray of `dtype`, of the shape of x
    scale : float
    zero_point : int
        ``scale * (xq - zero_point)`` is x to within half a scale, where it does not saturate. To quantise other
        activations in the same way, as after a calibration, call ``np.clip(np.rint(x / scale) + zero_point, ...)``.

    Raises
    ------
    ValueError
        A value that is not finite, no values at all, an unknown method.
    TypeError
        Another dtype, values that are not real.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> cs.quantize_activations(np.array([-0.5, 0.0, 1.0, 3.484375]))
    (array([  0,  32,  96, 255], dtype=uint8), 0.015625, 32)
    """
    array = as_array(x, "x")
    wanted = np.dtype(dtype)
    if not is_8_bit(wanted):
        raise TypeError(f"dtype={wanted}: activations are quantised to uint8 or int8")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"x has dtype {array.dtype}; only real values can be quantised")
    values = np.ascontiguousarray(array, dtype=np.float32 if array.dtype == np.float32 else np.float64)
    share = percentile_of(method)
    if values.size == 0:
        raise ValueError(f"x has shape {array.shape}: without values there is no scale")
    ends = values.min(), values.max()  # NaN, where there is one
    if not np.isfinite(ends).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array.astype(np.float64)))[0])
        raise ValueError(f"x{list(where)} is {array[where]}; only finite activations can be quantised")
    low, high = ends if share is None else np.percentile(values.astype(np.float64), (100 - share, share))
    scale, zero_point = scale_between(float(low), float(high), wanted)
    numbers = np.empty(array.shape, wanted)
    _core.quantize(values, numbers, scale, zero_point)
    return numbers, scale, zero_point


def scale_between(low: float, high: float, dtype: np.dtype[Any]) -> tuple[float, int]:
    """Scale and zero point of integers that reach from the one to the other, zero included."""
    low, high = min(low, 0.0), max(high, 0.0)
    least, most = range_of(dtype)
    # Of halves, because high - low may overflow.
    scale = max((high / 2 - low / 2) / ((most - least) / 2), float(LEAST_SCALE)) if high > low else 1.0
    return scale, int(np.clip(np.rint(least - low / scale), least, most))


def percentile_of(method: Any) -> float | None:
    """The percentile; None: the extremes."""
    if isinstance(method, str) and method == "minmax":
        return None
    if not isinstance(method, tuple) or len(method) != 2 or method[0] != "percentile":
        raise ValueError(f"method={method!r} is not known; use 'minmax' or ('percentile', 99.9)")
    share = float(method[1])
    if not (math.isfinite(share) and 50 < share <= 100):
        raise ValueError(f"method={method!r}: the percentile must be above 50 and at most 100")
    return share
