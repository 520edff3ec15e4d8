# SPDX-License-Identifier: BSD-3-Clause
"""Vectors in which entries compete: along which axes of an array they lie, how long they are, of what they consist."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array, read_array
from complsparse._dtypes import is_bfloat16

DTYPES = tuple(sorted(_core.dtypes(), key=lambda dtype: (dtype.kind, dtype.itemsize)))


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a contest, ascending and not negative."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not axes:
        raise ValueError("axis is empty; a contest needs at least one axis")
    found = []
    for one in axes:
        try:
            at = operator.index(one)
        except TypeError:
            raise TypeError(f"axis must be an int or a tuple of ints, not {axis!r}") from None
        if not -ndim <= at < ndim:
            raise ValueError(f"axis {at} is outside an array of {ndim} axes")
        found.append(at % ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"axis {axis!r} names an axis twice")
    return tuple(sorted(found))


def split_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sizes of the axes that are left, and of those on which the entries compete."""
    return tuple(n for a, n in enumerate(shape) if a not in axes), tuple(shape[a] for a in axes)


def as_axis(axes: tuple[int, ...]) -> int | tuple[int, ...]:
    return axes[0] if len(axes) == 1 else axes


def vectors_first(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """The array as (vectors, length of a contest); a view where that is possible."""
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    left, contest = split_shape(x.shape, axes)
    return x.transpose(rest + axes).reshape(math.prod(left), math.prod(contest))


def check_length(contest: int) -> int:
    """How long vectors are, at most what int32 indices reach."""
    if contest >= 2**31:
        raise ValueError(f"vectors of {contest} entries are too long: indices need fewer than 2**31")
    return contest


def checked_values(values: Any, name: str = "values") -> NDArray[Any]:
    """As an array of a dtype that winners have; 16-bit floats lose nothing as float32."""
    array = as_array(values, name)
    if array.dtype == np.float16 or is_bfloat16(array.dtype):
        array = array.astype(np.float32)
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        names = ", ".join(dtype.name for dtype in DTYPES)
        raise TypeError(f"winners of dtype {array.dtype} do not exist; convert them to one of: {names}")
    return array.astype(next(dtype for dtype in DTYPES if dtype == native), copy=False)


def checked_integers(array: Any, name: str, dtype: type) -> NDArray[Any]:
    given = read_array(array, name)
    if given.ndim != 1:
        raise ValueError(f"{name} has {given.ndim} axes; it must have one")
    if given.size == 0:
        return np.zeros(0, dtype=dtype)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {given.dtype}; it must be of integers")
    low, high, limits = given.min(), given.max(), np.iinfo(dtype)
    if int(low) < limits.min or int(high) > limits.max:
        raise ValueError(f"{name} runs from {low} to {high}, which does not fit {np.dtype(dtype)}")
    return np.require(given, dtype, ["C", "A"])


class Taken(NamedTuple):
    """Some of the vectors of an array."""

    numbers: NDArray[np.int64]  # in C order over the axes that are left
    shape: tuple[int, ...]
    axes: tuple[int, ...]


def taken_vectors(index: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Taken:
    """The vectors that an index leaves of an array of this shape, whose entries compete along these axes."""
    numbers = np.zeros((), dtype=np.int64)
    sizes: list[int] = []
    competing: list[int] = []
    n_lists = n_integers = 0
    for a, part in enumerate(_parts(index, len(shape))):
        if a in axes:
            if not (isinstance(part, slice) and part == slice(None)):
                raise IndexError(f"entries compete along axis {a} of {shape}: index it by ':' alone, not {part!r}")
            competing.append(len(sizes))
            sizes.append(shape[a])
            continue
        places = _places(part, shape[a], a)
        n_lists += not isinstance(part, slice) and places.ndim == 1
        n_integers += places.ndim == 0
        numbers = numbers[..., None] * shape[a] + places if places.ndim else numbers * shape[a] + places
        sizes.extend(places.shape)
    if n_lists > 1 or (n_lists and n_integers):  # NumPy takes pairs, and may move their axis
        raise IndexError("winners take one list of vectors in an index, and no integer beside it")
    return Taken(numbers.reshape(-1), tuple(sizes), tuple(competing))


def _parts(index: Any, ndim: int) -> list[Any]:
    """One part of an index for each axis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(parts) - len(dots) > ndim or len(dots) > 1:
        raise IndexError(f"the index {index!r} has too many parts for winners of {ndim} axes")
    at = dots[0] if dots else len(parts)
    return [*parts[:at], *[slice(None)] * (ndim - len(parts) + len(dots)), *parts[at + 1 :]]


def _places(part: Any, size: int, axis: int) -> NDArray[np.int64]:
    """Where an integer (no axis), a slice, a list of integers or a mask points on an axis."""
    if isinstance(part, slice):
        return np.arange(*part.indices(size), dtype=np.int64)
    array = np.asarray(part)
    if array.dtype == np.bool_ and array.ndim == 1:
        if len(array) != size:
            raise IndexError(f"a mask of {len(array)} entries does not fit axis {axis}, which has {size}")
        return np.flatnonzero(array)
    if array.ndim > 1 or (array.dtype.kind not in "iu" and array.shape != (0,)):
        raise IndexError(
            f"axis {axis} of winners is indexed by an integer, a slice, a list of integers or a mask, not {part!r}"
        )
    if array.size and not (-size <= int(array.min()) and int(array.max()) < size):
        raise IndexError(f"index {part!r} is outside axis {axis}, which has {size}")
    return array.astype(np.int64) % max(size, 1)
