# SPDX-License-Identifier: BSD-3-Clause
"""Layers on whole arrays that move entries and change none; a row each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from complsparse.nn._array_layer import ArrayLayer, array_layer
from complsparse.nn._attributes import Ints, Known

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


def _ints(given: Any) -> Ints:
    return tuple(int(n) for n in np.atleast_1d(given))


# --- the same memory with another shape -------------------------------------------------------------------------------


class _Relabelled(ArrayLayer):
    """The same entries in the same order: no step at all."""

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        return builder.cut(x, self.result(x.spec, *(y.spec for y in inputs[1:])))


class Reshape(_Relabelled):
    """The same entries in C order, in another shape.

    Parameters
    ----------
    shape : tuple of int, optional
        With the batch axis, unless it is a second input. One -1 is whatever is left; 0 is what the input has there.
    keep_zeros : bool
        0 is no entry.
    """

    @staticmethod
    def function(x: Any, new: Known = None, *, shape: Ints | None = None, keep_zeros: bool = False) -> Any:
        wanted = list(_ints(new) if new is not None else shape or ())
        for i, n in enumerate(wanted):
            if n == 0 and not keep_zeros:
                if i >= x.ndim:
                    raise ValueError(f"shape {tuple(wanted)} copies axis {i} of an array with {x.ndim} axes")
                wanted[i] = x.shape[i]
        return np.reshape(x, wanted)


class Squeeze(_Relabelled):
    """Without axes of one entry: those named, or all of them; they may be a second input."""

    @staticmethod
    def function(x: Any, at: Known = None, *, axes: Ints | None = None) -> Any:
        return np.squeeze(x, axes if at is None else _ints(at))


class Unsqueeze(_Relabelled):
    """With new axes of one entry, counted in the result; they may be a second input."""

    @staticmethod
    def function(x: Any, at: Known = None, *, axes: Ints = ()) -> Any:
        return np.expand_dims(x, axes if at is None else _ints(at))


class Identity(_Relabelled):
    """What it reads: dropout after training."""

    @staticmethod
    def function(x: Any) -> Any:
        return x


# --- what shapes say --------------------------------------------------------------------------------------------------


class Shape(ArrayLayer):
    """The shape of an array, from axis `start` up to `end`: known when the plan is made."""

    of_shapes_alone = True

    @staticmethod
    def function(x: Any, *, start: int = 0, end: int | None = None) -> Any:
        return np.array(x.shape[start:end], dtype=np.int64)


class Size(ArrayLayer):
    """How many entries an array has: known when the plan is made."""

    of_shapes_alone = True

    @staticmethod
    def function(x: Any) -> Any:
        return np.array(x.size, dtype=np.int64)


@array_layer
def Filled(shape: Known, value: Any = None) -> Any:
    """An array of a shape, all entries the one of `value`; zeros in floating point unless that is given."""
    value = np.zeros((), np.float32) if value is None else value
    return np.full(_ints(shape) if np.size(shape) else (), np.reshape(value, ()), dtype=value.dtype)


@array_layer
def Range(start: Known, stop: Known, step: Known) -> Any:
    """Numbers from `start` to before `stop`."""
    first, last, by = (np.reshape(one, ()).item() for one in (start, stop, step))
    return np.arange(first, last, by, dtype=np.asarray(start).dtype)


# --- parts of arrays --------------------------------------------------------------------------------------------------


@array_layer
def Slice(
    x: Any,
    first: Known = None,
    last: Known = None,
    along: Known = None,
    by: Known = None,
    *,
    starts: Ints = (),
    ends: Ints = (),
    axes: Ints | None = None,
    steps: Ints | None = None,
) -> Any:
    """Entries from `starts` to before `ends`, in steps, along axes: attributes, or inputs in this order."""
    starts, ends = starts if first is None else _ints(first), ends if last is None else _ints(last)
    axes = axes if along is None else _ints(along)
    steps = steps if by is None else _ints(by)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError(f"starts={starts}, ends={ends}, axes={axes}, steps={steps} are not of one length")
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step == 0 or not -x.ndim <= axis < x.ndim:
            raise ValueError(f"step {step} along axis {axis} of shape {x.shape}")
        n = x.shape[axis]
        if step < 0 and end < -n:  # to the first entry, which no stop of Python's names
            cut[axis] = slice(start, None, step)
        else:
            cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


class Split(ArrayLayer):
    """Parts of an array one behind the other along an axis.

    Parameters
    ----------
    sizes : tuple of int, optional
        Of the parts along the axis.
    axis : int
    parts : int, optional
        How many, of one size (the last may be smaller), where `sizes` is not given.
    """

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return (self.parts or 1) if self.sizes is None else len(self.sizes)

    sizes: Ints | None
    parts: int | None

    @staticmethod
    def function(x: Any, *, sizes: Ints | None = None, axis: int = 0, parts: int | None = None) -> Any:
        n = x.shape[axis]
        if sizes is None:
            if parts is None or parts < 1:
                raise ValueError(f"sizes={sizes} and parts={parts}: one of them says how to split")
            each = -(-n // parts)
            sizes = tuple(max(0, min(each, n - i * each)) for i in range(parts))
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise ValueError(f"sizes {sizes} of parts are not {n} entries along axis {axis} of shape {x.shape}")
        found = np.split(x, np.cumsum(sizes)[:-1], axis=axis)
        return found[0] if len(found) == 1 else found


@array_layer
def Gather(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """Entries along an axis by their numbers, which count from the back where they are negative."""
    return np.take(x, indices, axis=axis)


@array_layer
def GatherElements(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """For each index the entry of x that stands there along the axis, and at the same place along the others."""
    return np.take_along_axis(x, indices, axis)


@array_layer
def GatherND(x: Any, indices: Any, *, batch_axes: int = 0) -> Any:
    """Parts of x by rows of indices; the first `batch_axes` axes of both go together."""
    shape = np.broadcast_shapes(x.shape[:batch_axes], indices.shape[:batch_axes])
    rows = x.reshape(math.prod(shape), *x.shape[batch_axes:])
    at = indices.reshape(math.prod(shape), -1, indices.shape[-1])
    found = rows[(np.arange(len(rows))[:, None], *np.moveaxis(at, -1, 0))]
    return found.reshape(*indices.shape[:-1], *x.shape[batch_axes + indices.shape[-1] :])


@array_layer
def ScatterND(x: Any, indices: Any, updates: Any) -> Any:
    """x with the updates where rows of indices say."""
    y = np.array(x)
    y[tuple(np.moveaxis(indices, -1, 0))] = updates
    return y


# --- larger arrays, and other orders ----------------------------------------------------------------------------------


class _Permuted(ArrayLayer):
    """Entries in another order, by a step of their own where they are floating point numbers."""

    def moved(self, shape: Ints) -> tuple[Ints, Ints]:
        """The shape with the first axis, its axes cut where parts of them move, and the order of all of them."""
        raise NotImplementedError

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        shape, order = self.moved(x.spec.whole)
        long = [axis for axis in order if shape[axis] != 1]
        if long == sorted(long):  # the same entries in the same order
            return builder.cut(x, self.result(x.spec))
        if x.spec.dtype is not None or x.spec.samples is None or order[0] != 0:
            return super().emit(builder, *inputs)  # type: ignore[no-any-return]
        y = builder.new(self.result(x.spec)._replace(known=None))
        steps = [math.prod(shape[axis + 1 :]) for axis in order]
        axes = [(shape[axis], step) for axis, step in zip(order[1:], steps[1:], strict=True)] or [(1, 1)]
        builder.step("permute", builder.program.permute(axes, x.number, y.number), [x], y)
        return y


class Transpose(_Permuted):
    """The axes in another order; the reverse unless given."""

    axes: Ints | None

    @staticmethod
    def function(x: Any, *, axes: Ints | None = None) -> Any:
        return np.transpose(x, axes)

    def moved(self, shape: Ints) -> tuple[Ints, Ints]:
        n = len(shape)
        return shape, tuple(range(n))[::-1] if self.axes is None else tuple(axis % n for axis in self.axes)


@array_layer
def Expand(x: Any, shape: Known) -> Any:
    """Repeated along axes of one entry until it broadcasts with a shape."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, _ints(shape) if np.size(shape) else ()))


@array_layer
def Tile(x: Any, repeats: Known) -> Any:
    """Repeated so many times along each axis."""
    return np.tile(x, _ints(repeats))


class Pad(ArrayLayer):
    """More entries on both sides of axes.

    Parameters
    ----------
    widths : tuple of int
        Before each axis, then behind each; unless they are a second input. Negative ones cut.
    mode : {"constant", "reflect", "edge", "wrap"}
        As for `numpy.pad`.
    value : float
        Of the new entries, where it is not the third input.
    """

    widths: Ints

    @staticmethod
    def function(
        x: Any,
        pads: Known = None,
        fill: Any = None,
        along: Known = None,
        *,
        widths: Ints = (),
        mode: Literal["constant", "reflect", "edge", "wrap"] = "constant",
        value: float = 0.0,
    ) -> Any:
        given = widths if pads is None else _ints(pads)
        axes = tuple(range(x.ndim)) if along is None else _ints(along)
        if len(given) != 2 * len(axes):
            raise ValueError(f"widths {given} are not two for each of {len(axes)} axes")
        pairs = [(0, 0)] * x.ndim
        for i, axis in enumerate(axes):
            pairs[axis] = given[i], given[i + len(axes)]
        filled: Any = value if fill is None else np.reshape(fill, ())
        kept = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(pairs, x.shape, strict=True))
        grown = [(max(0, a), max(0, b)) for a, b in pairs]
        more: dict[str, Any] = {"constant_values": filled} if mode == "constant" else {}
        return np.pad(x[kept], grown, mode=mode, **more)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        widths = inputs[1].spec.known if len(inputs) > 1 else self.widths
        if widths is not None and not np.any(widths):
            x = builder.dense(inputs[0])
            return builder.cut(x, self.result(x.spec, *(y.spec for y in inputs[1:])))
        return super().emit(builder, *inputs)  # type: ignore[no-any-return]


class DepthToSpace(_Permuted):
    """Channels of NCHW images as pixels, `size` by `size` for each; `order`: which come first."""

    size: int

    @staticmethod
    def function(x: Any, *, size: int, order: Literal["DCR", "CRD"] = "DCR") -> Any:
        n, c, h, w = x.shape
        shape, axes = _as_pixels(x.shape, size, order)
        return x.reshape(shape).transpose(axes).reshape(n, c // size**2, h * size, w * size)

    def moved(self, shape: Ints) -> tuple[Ints, Ints]:
        return _as_pixels(shape, self.size, self.arguments()["order"])


def _as_pixels(shape: Ints, size: int, order: str) -> tuple[Ints, Ints]:
    n, c, h, w = shape
    if order == "DCR":
        return (n, size, size, c // size**2, h, w), (0, 3, 4, 1, 5, 2)
    return (n, c // size**2, size, size, h, w), (0, 1, 4, 2, 5, 3)


@array_layer
def SpaceToDepth(x: Any, *, size: int) -> Any:
    """Pixels of NCHW images as channels: each block of `size` by `size` is one pixel."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * size**2, h // size, w // size)


@array_layer
def Trilu(x: Any, diagonal: Known = None, *, upper: bool = True, k: int = 0) -> Any:
    """The upper or the lower triangle of matrices, from a diagonal on; zeros elsewhere."""
    return (np.triu if upper else np.tril)(x, k if diagonal is None else int(np.reshape(diagonal, ())))
