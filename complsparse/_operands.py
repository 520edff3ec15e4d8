# SPDX-License-Identifier: BSD-3-Clause
"""What callers pass to products, brought into a form that `_core` takes, or refused with the numbers.

The fast checks in `_core` only say no; the functions here find out why.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array, is_masked
from complsparse._dtypes import ProductTypes, as_dtype, product_types


def checked_activation(activation: Any, compute: np.dtype[Any]) -> str | None:
    """The name of an activation that a product in this dtype can end with, whatever kind of string it came as."""
    if activation is None:
        return None
    names = _core.activations()
    if not isinstance(activation, str) or activation not in names:
        raise ValueError(f"activation={activation!r} is not known; use {', '.join(['None', *map(repr, names)])}")
    if compute.kind == "i" and activation != "relu":
        raise TypeError(
            f"activation={activation!r} exists for float products; this one is computed in {compute}: use None or "
            "'relu', or convert W or x with astype(np.float32)"
        )
    return names[names.index(activation)]


def checked_bias(bias: Any, features: int, types: ProductTypes) -> NDArray[Any] | None:
    if bias is None:
        return None
    array = as_array(bias, "bias")
    if array.shape != (features,):
        raise ValueError(f"bias has shape {array.shape}; it needs one entry per output feature: ({features},)")
    if not np.can_cast(array.dtype, types.compute, "same_kind"):
        raise TypeError(f"bias has dtype {array.dtype}, which does not fit a product in {types.compute}")
    return np.require(array, types.compute, ["C", "A"])


def overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True  # undecided within the budget: refuse


def _repeats(array: NDArray[Any]) -> bool:
    """Whether an element may stand at several indices: an axis steps less far than the axes inside it reach."""
    if array.size == 0:
        return False
    reach = 0
    for step, n in sorted((abs(stride), n) for n, stride in zip(array.shape, array.strides, strict=True) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: list[NDArray[Any]]) -> None:
    if not isinstance(out, np.ndarray) or is_masked(out):
        raise TypeError(f"out must be a numpy array, not {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has shape {shape}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}; the result has dtype {dtype} (dtype= chooses another)")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if _repeats(out):
        raise ValueError(
            f"out of shape {out.shape} and strides {out.strides} repeats elements; it needs memory of its own"
        )
    if any(overlap(out, array) for array in inputs):
        raise ValueError("out shares memory with an input; the product would overwrite what it still reads")


def is_direct(array: NDArray[Any]) -> bool:
    """Whether C++ can read or write it where it lies: aligned, native, strides in whole elements."""
    whole = all(stride % array.itemsize == 0 for stride in array.strides)
    return bool(array.flags.aligned and whole and array.dtype.isnative)


def as_compute(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in the compute dtype, as C++ reads it. A copy only where needed."""
    converted = np.asarray(array, dtype=dtype)
    if not is_direct(converted):
        converted = np.array(converted, order="C", subok=False)
    return converted if converted.dtype.num == dtype.num else converted.view(dtype)  # longlong is int64 by another name


def compute_dtype(W: _core.Operand, dtype: Any = None) -> np.dtype[Any]:
    """The dtype that products of W with operands of `dtype` (default: W's own) compute in."""
    return product_types(W.dtype, W.dtype if dtype is None else as_dtype(dtype)).compute


def activations_dtype(W: _core.Operand, dtype: Any = None) -> np.dtype[Any]:
    """Of what products of W with activations of `dtype` (default: W's own) read: 8-bit numbers have products of their
    own, others are in the dtype that is computed in."""
    given = W.dtype if dtype is None else as_dtype(dtype)
    compute = product_types(W.dtype, given).compute
    return given if W.dtype == np.int8 and given in (np.int8, np.uint8) else compute


def checked_batch(n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"n must be an integer, not {type(n).__name__} ({n!r})")
    if not 0 <= n < 2**47:
        raise ValueError(f"n={n} vectors: use a number from 0 to 2**47 - 1")
    return int(n)


def checked_winners(winners: Any) -> int:
    if not isinstance(winners, (int, np.integer)) or isinstance(winners, bool):
        raise TypeError(f"winners must be an integer, not {type(winners).__name__} ({winners!r})")
    if not 0 <= winners < 2**31:
        raise ValueError(f"winners={winners} of a vector: use a number from 0 to 2**31 - 1")
    return int(winners)


def wrong_inner_size(dense_shape: tuple[int, ...], w_shape: tuple[int, int], form: str) -> ValueError:
    """`form` is "W @ X", "X @ W" or "linear"."""
    if form == "X @ W":
        axis, got, expected, what = "columns", dense_shape[-1], w_shape[0], "its row count"
    elif form == "linear":
        axis, got, expected, what = "features (last axis)", dense_shape[-1], w_shape[1], "its column count"
    elif len(dense_shape) == 1:
        axis, got, expected, what = "entries", dense_shape[0], w_shape[1], "its column count"
    else:
        axis, got, expected, what = "rows", dense_shape[-2], w_shape[1], "its column count"
    name = "x" if form == "linear" else "X"
    return ValueError(
        f"{name} of shape {dense_shape} has {got} {axis}; W of shape {w_shape} expects {expected} ({what})"
    )
