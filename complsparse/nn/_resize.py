# SPDX-License-Identifier: BSD-3-Clause
"""Resize: arrays of other extents, by interpolation along each axis."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from complsparse.nn._array_layer import array_layer
from complsparse.nn._attributes import Array, Ints, Known


def _coordinates(n: int, out: int, scale: float, how: str) -> NDArray[np.float64]:
    """Where the entries of the result stand among those of the input."""
    at = np.arange(out, dtype=np.float64)
    if how == "align_corners":
        return at * ((n - 1) / (out - 1)) if out > 1 else np.zeros(out)
    if how == "asymmetric":
        return at / scale
    middle = (at + 0.5) / scale - 0.5
    if how == "pytorch_half_pixel" and out == 1:
        return np.zeros(out)
    if how == "half_pixel_symmetric":
        return n / 2 * (1 - out / (scale * n)) + middle
    return middle


def _nearest(at: NDArray[np.float64], rounding: str) -> NDArray[np.float64]:
    if rounding == "round_prefer_floor":
        return np.ceil(at - 0.5)
    if rounding == "round_prefer_ceil":
        return np.floor(at + 0.5)
    return np.floor(at) if rounding == "floor" else np.ceil(at)


def _matrix(at: NDArray[np.float64], n: int, mode: str, cubic: float, exclude_outside: bool) -> NDArray[np.float64]:
    """What a line of n entries is multiplied by; beyond its ends stands the nearest entry."""
    first = np.floor(at).astype(np.int64)
    away = (at - first)[:, None] - (np.arange(2) if mode == "linear" else np.arange(-1, 3))
    where = first[:, None] + (np.arange(2) if mode == "linear" else np.arange(-1, 3))
    d = np.abs(away)
    if mode == "linear":
        weights = 1 - d
    else:
        near = ((cubic + 2) * d - (cubic + 3)) * d * d + 1
        weights = np.where(d <= 1, near, ((cubic * d - 5 * cubic) * d + 8 * cubic) * d - 4 * cubic)
    if exclude_outside:
        weights = np.where((where < 0) | (where >= n), 0, weights)
        weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(at), n))
    np.add.at(matrix, (np.arange(len(at))[:, None], np.clip(where, 0, n - 1)), weights)
    return matrix


@array_layer
def Resize(
    x: Any,
    new: Known = None,
    *,
    sizes: Ints | None = None,
    scales: Array | None = None,
    axes: Ints | None = None,
    mode: Literal["nearest", "linear", "cubic"] = "nearest",
    coordinates: Literal[
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"
    ] = "half_pixel",
    rounding: Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] = "round_prefer_floor",
    cubic: float = -0.75,
    exclude_outside: bool = False,
) -> Any:
    """Other extents along axes, by interpolation: linear and cubic ones are products with a matrix along each axis.

    Parameters
    ----------
    sizes : tuple of int, optional
        With the batch axis. Sizes and scales may be a second input, whose dtype says which of them it is.
    scales : array_like, optional
        Factors of each axis.
    axes : tuple of int, optional
        Those that sizes or scales are of; all unless given.
    mode : {"nearest", "linear", "cubic"}
    coordinates : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"}
        Where entries of the result stand among those of the input: ONNX's words.
    rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}
        Of these coordinates, for the nearest entry.
    cubic : float
        The coefficient of the cubic polynomials.
    exclude_outside : bool
        What stands beyond the ends counts for nothing; otherwise it is the nearest entry.
    """
    if new is not None:
        sizes, scales = (None, new) if np.asarray(new).dtype.kind == "f" else (tuple(int(n) for n in new), None)
    along = tuple(range(x.ndim)) if axes is None else tuple(axis % x.ndim for axis in axes)
    given = sizes if sizes is not None else scales
    if given is None or len(given) != len(along):
        raise ValueError(f"sizes={sizes} and scales={scales}: one of them has an entry for each of {len(along)} axes")
    y = x
    for axis, wanted in zip(along, given, strict=True):
        n = x.shape[axis]
        scale = float(wanted) if sizes is None else wanted / max(n, 1)
        out = int(np.floor(n * scale)) if sizes is None else int(wanted)
        if not scale > 0 or n == 0:
            raise ValueError(f"axis {axis} of {n} entries cannot have {wanted} {'times them' if sizes is None else ''}")
        if out == n and scale == 1:
            continue
        at = _coordinates(n, out, scale, coordinates)
        if mode == "nearest":
            y = np.take(y, np.clip(_nearest(at, rounding), 0, n - 1).astype(np.int64), axis=axis)
        else:
            matrix = _matrix(at, n, mode, cubic, exclude_outside).astype(y.dtype if y.dtype.kind == "f" else np.float32)
            y = np.moveaxis(np.moveaxis(y, axis, -1) @ matrix.T, -1, axis)
    return y.astype(x.dtype, copy=False)
