# SPDX-License-Identifier: BSD-3-Clause
"""What flows between layers: the shape of a sample, and whether it is dense or winners."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Spec(NamedTuple):
    """A value of a network, without its batch axis."""

    shape: Shape
    axis: int | Shape | None = None  # of winners, counted with the batch axis; None: dense
    most: int = 0  # winners of each vector, at most
    dtype: np.dtype[Any] | None = None  # of integers; None: the floating point numbers that the network computes in

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        return self.axis is None

    @property
    def dense(self) -> Spec:
        """The same with its zeros."""
        return Spec(self.shape, dtype=self.dtype)

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
