# SPDX-License-Identifier: BSD-3-Clause
"""Contests of k winners that the fast check in `_core` did not accept."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import is_bfloat16
from complsparse._ops.winners import Winners, as_axis, checked_values, normal_axes, split_shape, vectors_first


def winners_wanted(k: Any, n: int) -> int:
    """k of `kwta` as a count, at most n."""
    if isinstance(k, (float, np.floating)):
        if not 0 <= k <= 1:
            raise ValueError(f"k={k} is not a share: a float k lies from 0.0 to 1.0; a count is an int")
        return round(float(k) * n)
    try:
        count = operator.index(k)
    except TypeError:
        raise TypeError(f"k must be an int or a float share, not {k!r}") from None
    if count < 0:
        raise ValueError(f"k={count} is negative")
    return min(count, n)


def _per_entry(given: Any, name: str, contest: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A bias or a boost with one entry per entry of a vector."""
    array = as_array(given, name)
    if not np.can_cast(array.dtype, dtype, "same_kind") and not is_bfloat16(array.dtype):
        raise TypeError(f"{name} has dtype {array.dtype}, which does not fit a contest in {dtype}")
    try:
        full = np.broadcast_to(array, contest)
    except ValueError:
        raise ValueError(
            f"{name} has shape {array.shape}; it needs one entry per entry of a vector: {contest}"
        ) from None
    return np.require(full.reshape(-1), dtype, ["C", "A"])


def kwta(x: Any, k: Any, axis: Any, relu: Any, bias: Any, boost: Any) -> Winners:
    """`complsparse.kwta` of what the fast check in `_core` did not accept."""
    array = checked_values(as_array(x, "x"))
    if array.ndim == 0:
        raise ValueError("winners need at least one axis; x is a scalar")
    axes = normal_axes(axis, array.ndim)
    contest = split_shape(array.shape, axes)[1]
    length = math.prod(contest)
    if length >= 2**31:
        raise ValueError(f"vectors of {length} entries are too long: indices need fewer than 2**31")
    count = winners_wanted(k, length)
    offset = None
    if bias is not None:
        if array.dtype.kind == "i" or array.dtype.kind == "u":
            sum_dtype = np.result_type(array.dtype, as_array(bias, "bias").dtype, np.int32)
            array = checked_values(array.astype(sum_dtype))
        offset = _per_entry(bias, "bias", contest, array.dtype)
    factors = None
    if boost is not None:
        factors = _per_entry(boost, "boost", contest, array.dtype if array.dtype.kind == "f" else np.dtype(np.float64))

    vectors = np.require(vectors_first(array, axes), requirements=["C", "A"])
    if factors is None or array.dtype.kind == "f":
        found = _core.compete(vectors, count, 1, bool(relu), offset, factors, array.shape, as_axis(axes))
        return found
    if offset is not None:
        vectors = vectors + offset
    ranked = _core.compete(vectors * factors, count, 1, False, None, None, array.shape, as_axis(axes))
    of_vector = np.repeat(np.arange(len(vectors)), np.diff(ranked.indptr))
    values, kept = vectors[of_vector, ranked.indices], np.ones(ranked.nnz, dtype=np.bool_)
    if relu:
        kept = values > 0
    starts = np.zeros(len(vectors) + 1, dtype=np.int64)
    np.cumsum(np.bincount(of_vector[kept], minlength=len(vectors)), out=starts[1:])
    return Winners(values[kept], ranked.indices[kept], starts, array.shape, as_axis(axes))
