# SPDX-License-Identifier: BSD-3-Clause
"""What flows between layers: the shape of a sample, how many there are, and whether it is dense or winners."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


class Spec(NamedTuple):
    """A value of a network: samples one behind the other along its first axis, which `shape` does not count.

    The first axis is the batch wherever layers that take a sample at a time meet it. Layers on whole arrays may give
    one of another extent, or none.
    """

    shape: Shape
    axis: int | Shape | None = None  # of winners, counted with the batch axis; None: dense
    most: int = 0  # winners of each vector, at most
    dtype: np.dtype[Any] | None = None  # None: the floating point numbers that the network computes in
    samples: int | None = 1  # None: one array that has no such axis
    known: NDArray[Any] | None = None  # what it is, where that is known when the plan is made

    @classmethod
    def of_array(cls, array: NDArray[Any], is_known: bool = False) -> Spec:
        dtype = None if array.dtype.kind == "f" else array.dtype
        known = array if is_known else None
        if array.ndim == 0:
            return cls((), dtype=dtype, samples=None, known=known)
        return cls(array.shape[1:], dtype=dtype, samples=array.shape[0], known=known)

    @property
    def whole(self) -> Shape:
        """The shape with the first axis."""
        return self.shape if self.samples is None else (self.samples, *self.shape)

    @property
    def n_samples(self) -> int:
        return 1 if self.samples is None else self.samples

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        return self.axis is None

    @property
    def dense(self) -> Spec:
        """The same with its zeros."""
        return self._replace(axis=None, most=0)

    @property
    def extents(self) -> tuple[int, int, int]:
        """Of winners: what lies before the axis of the contest, its own extent, what lies behind it."""
        assert self.axis is not None
        if isinstance(self.axis, tuple):
            return 1, self.size, 1
        return extents(self.shape, self.axis)

    @property
    def vectors(self) -> int:
        outer, _, inner = self.extents
        return outer * inner

    def __str__(self) -> str:
        kind = str(self.shape) if self.dtype is None else f"{self.shape} {self.dtype}"
        return kind if self.is_dense else f"{kind}, {self.most} winners along axis {self.axis}"


def extents(shape: Shape, axis: int) -> tuple[int, int, int]:
    """Of a sample, about an axis that is counted with the batch axis."""
    return math.prod(shape[: axis - 1]), shape[axis - 1], math.prod(shape[axis:])


def checked_axis(axis: Any) -> int:
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise TypeError(f"axis must be an integer, not {axis!r}")
    return int(axis)


def normal_axis(axis: int, shape: Shape, what: str) -> int:
    """Counted with the batch axis, and from the front. ValueError where there is none, or it is the batch's."""
    ndim = len(shape) + 1
    at = axis + ndim if axis < 0 else axis
    if not 1 <= at < ndim:
        raise ValueError(f"axis={axis} of {what} is not one of the axes 1 to {ndim - 1} of a sample of shape {shape}")
    return at
