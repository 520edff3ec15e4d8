# SPDX-License-Identifier: BSD-3-Clause
"""Resize: arrays of other extents, by interpolation along each axis."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from complsparse import _core
from complsparse._matrix.makers import from_scipy
from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import Array, Ints, Known

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

# Entries along an axis, and of a matrix that resizes: beyond that NumPy goes along each axis.
_MOST_ALONG, _MOST_STORED = 1 << 10, 1 << 18


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


def _wanted(ndim: int, new: Any, sizes: Any, scales: Any, axes: Any) -> tuple[Ints, Any, bool]:
    """Which axes become how large, in entries or in times as many."""
    if new is not None:
        sizes, scales = (None, new) if np.asarray(new).dtype.kind == "f" else (tuple(int(n) for n in new), None)
    along = tuple(range(ndim)) if axes is None else tuple(axis % ndim for axis in axes)
    given = sizes if sizes is not None else scales
    if given is None or len(given) != len(along):
        raise ValueError(f"sizes={sizes} and scales={scales}: one of them has an entry for each of {len(along)} axes")
    return along, given, sizes is not None


def _resize(
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
    along, given, in_entries = _wanted(x.ndim, new, sizes, scales, axes)
    y = x
    for axis, wanted in zip(along, given, strict=True):
        n = x.shape[axis]
        scale = wanted / max(n, 1) if in_entries else float(wanted)
        out = int(wanted) if in_entries else int(np.floor(n * scale))
        if not scale > 0 or n == 0:
            raise ValueError(f"axis {axis} of {n} entries cannot have {wanted} {'' if in_entries else 'times them'}")
        if out == n and scale == 1:
            continue
        at = _coordinates(n, out, scale, coordinates)
        if mode == "nearest":
            y = np.take(y, np.clip(_nearest(at, rounding), 0, n - 1).astype(np.int64), axis=axis)
        else:
            matrix = _matrix(at, n, mode, cubic, exclude_outside).astype(y.dtype if y.dtype.kind == "f" else np.float32)
            y = np.moveaxis(np.moveaxis(y, axis, -1) @ matrix.T, -1, axis)
    return y.astype(x.dtype, copy=False)


class Resize(ArrayLayer):
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

    function = staticmethod(_resize)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        matrix, first = None, 0
        if x.spec.dtype is None:
            matrix, first = self._matrix(x.spec.whole, inputs[1].spec.known if len(inputs) > 1 else None)
        if matrix is None:
            return super().emit(builder, *inputs)  # type: ignore[no-any-return]
        y = builder.new(self.result(x.spec, *(given.spec for given in inputs[1:]))._replace(known=None))
        samples, vectors = x.spec.n_samples, math.prod(x.spec.whole[1:first])
        plan = _core.make_plan(from_scipy(matrix.astype(builder.dtype)), samples * vectors, builder.dtype, True, None,
                               None, False, winners=None)  # fmt: skip
        step = builder.program.product(plan, samples, vectors, x.number, y.number)
        builder.step(plan.microkernel, step, [x], y, whole_batch=True)
        return y

    def along(self, axes: Ints, ndim: int, new: Any) -> Resize:
        """The same along these axes alone; `new`: the second input, if there is one."""
        arguments = self.arguments()
        of, given, in_entries = _wanted(ndim, new, *(arguments.pop(name) for name in ("sizes", "scales", "axes")))
        kept = {axis: value for axis, value in zip(of, given, strict=True) if axis in axes}
        values = tuple(int(n) for n in kept.values()) if in_entries else list(kept.values())
        return Resize(**arguments, axes=tuple(kept), **{"sizes" if in_entries else "scales": values})

    def _matrix(self, shape: Ints, new: Any) -> tuple[Any, int]:
        """What the last axes, from the first one on that is resized, are multiplied by as one; None where that is the
        first axis of all, or would be large."""
        arguments = self.arguments()
        along, given, in_entries = _wanted(len(shape), new, *(arguments.pop(n) for n in ("sizes", "scales", "axes")))
        of_axes = [sp.eye_array(n) for n in shape]
        changed = []
        for axis, wanted in zip(along, given, strict=True):
            n, size = shape[axis], {"sizes": (int(wanted),)} if in_entries else {"scales": [wanted]}
            if n != wanted if in_entries else wanted != 1:
                if n > _MOST_ALONG:
                    return None, 0
                of_axes[axis] = sp.csr_array(_resize(np.eye(n), axes=(1,), **size, **arguments).T)
                changed.append(axis)
        first = min(changed, default=0)
        if first == 0 or math.prod(m.nnz for m in of_axes[first:]) > _MOST_STORED:
            return None, first
        return reduce(lambda a, b: sp.kron(a, b, format="csr"), of_axes[first:]).tocsr(), first
