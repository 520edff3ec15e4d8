# SPDX-License-Identifier: BSD-3-Clause
"""Contests of k winners, of arrays and of products, that the fast checks in `_core` did not accept."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import is_bfloat16, product_types
from complsparse._operands import as_compute, checked_activation, checked_bias
from complsparse._ops import products
from complsparse._ops.products import checked_weights
from complsparse._ops.vectors import as_axis, check_length, checked_values, normal_axes, split_shape, vectors_first
from complsparse._ops.winners import Winners

LARGEST_EXACT = 2**53  # integers that float64 tells apart


def winners_wanted(k: Any, n: int) -> int:
    """k of a contest as a count, at most n."""
    count = _core.winners_wanted(k, n)
    if count >= 0:
        return count
    if isinstance(k, (float, np.floating)):
        raise ValueError(f"k={k} is not a share: a float k lies from 0.0 to 1.0; a count is an int")
    try:
        number = operator.index(k)
    except TypeError:
        raise TypeError(f"k must be an int or a float share, not {k!r}") from None
    if number < 0:
        raise ValueError(f"k={number} is negative")
    return min(number, n)


def _checked_relu(relu: Any) -> bool:
    if not isinstance(relu, (bool, np.bool_)):
        raise TypeError(f"relu must be a bool, not {relu!r}")
    return bool(relu)


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
    array = checked_values(x, "x")
    if array.ndim == 0:
        raise ValueError("winners need at least one axis; x is a scalar")
    axes = normal_axes(axis, array.ndim)
    contest = split_shape(array.shape, axes)[1]
    length = check_length(math.prod(contest))
    count, relu = winners_wanted(k, length), _checked_relu(relu)
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
    if factors is not None and array.dtype.kind != "f":
        return _boosted_integers(
            vectors if offset is None else vectors + offset, count, relu, factors, array.shape, axes
        )
    return _core.compete(vectors, count, 1, relu, offset, factors, array.shape, as_axis(axes))


def _boosted_integers(
    vectors: NDArray[Any], k: int, relu: bool, factors: NDArray[Any], shape: tuple[int, ...], axes: tuple[int, ...]
) -> Winners:
    """Ranked by their products with the factors in float64; their values stay what they are."""
    if vectors.dtype.itemsize == 8 and vectors.size:
        least, greatest = int(vectors.min()), int(vectors.max())
        if max(-least, greatest) > LARGEST_EXACT:
            raise ValueError(
                f"x runs from {least} to {greatest}; boosted integers are ranked in float64, which tells them apart up "
                "to 2**53"
            )
    ranked = _core.compete(vectors * factors, k, 1, False, None, None, shape, as_axis(axes))
    of_vector = np.repeat(np.arange(len(vectors)), np.diff(ranked.indptr))
    values = vectors[of_vector, ranked.indices]
    kept = values > 0 if relu else np.ones(ranked.nnz, dtype=np.bool_)
    starts = np.zeros(len(vectors) + 1, dtype=np.int64)
    np.cumsum(np.bincount(of_vector[kept], minlength=len(vectors)), out=starts[1:])
    return Winners(values[kept], ranked.indices[kept], starts, shape, as_axis(axes))


def linear_winners(x: Any, W: Any, bias: Any, activation: Any, out: Any, dtype: Any, k: Any) -> Winners:
    """`complsparse.linear` with `winners`."""
    if out is not None:
        raise TypeError("linear with winners= makes Winners and takes no out")
    checked_weights(W)
    count = winners_wanted(k, W.shape[0])
    sparse = isinstance(x, _core.Compressed)
    operand = x if sparse else as_array(x, "x")
    types = product_types(W.dtype, operand.dtype, dtype)
    if types.result != types.compute:  # winners of rounded, or of wrapped, outputs
        return kwta(products.linear(operand, W, bias, activation, None, dtype), count, -1, False, None, None)
    shape = products.result_shape(operand, W, "linear")
    activation = checked_activation(activation, types.compute)
    offset = checked_bias(bias, W.shape[0], types)
    if sparse:
        operand = operand.astype(types.compute)
    else:
        operand = as_compute(operand.reshape(-1, W.shape[1]) if operand.ndim > 2 else operand, types.compute)
    return _core.linear_winners_in(W, operand, offset, activation, count, types.compute, shape)
