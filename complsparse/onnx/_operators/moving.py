# SPDX-License-Identifier: BSD-3-Clause
"""Operators that move entries and change none: shapes, parts, gathers, constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import built, computed, layered
from complsparse.onnx._tensors import MOST_DENSE


def _bounded(op: Op, shape: Any) -> tuple[int, ...]:
    """The shape that a node asks for, where it is one, and not out of proportion."""
    wanted = tuple(int(n) for n in np.atleast_1d(shape))
    if any(n < 0 for n in wanted):
        raise op.refuse(f"the shape {wanted}")
    if math.prod(wanted) > MOST_DENSE:
        raise op.refuse(f"an array of shape {wanted}; {MOST_DENSE} entries at most are made of so few bytes")
    return wanted


def _axes(op: Op, build: Any, i: int = 1) -> Any:
    """From an attribute, or from a constant input; Ellipsis where they are not known yet."""
    if not op.has(i):
        return op.ints("axes", None)
    found = build.constant(op, i)
    return ... if found is None else tuple(int(n) for n in np.atleast_1d(found))


@built("Reshape")
def reshape(op: Op, build: Any) -> Any:
    keep_zeros = bool(op.int("allowzero", 0))
    wanted = build.constant(op, 1) if op.has(1) else op.ints("shape")
    if wanted is None:
        return build.add(op, nn.Reshape(keep_zeros=keep_zeros), build.value(op, 0), build.value(op, 1))
    shape = tuple(int(n) for n in np.atleast_1d(wanted)) if np.size(wanted) else ()
    return build.add(op, nn.Reshape(shape=shape, keep_zeros=keep_zeros), build.value(op, 0))


@layered("Flatten")
def flatten_samples(op: Op) -> Any:
    return nn.Flatten() if op.int("axis", 1) == 1 else None


@computed("Flatten")
def flatten(op: Op, x: Any) -> Any:
    axis = op.int("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        raise op.refuse(f"axis {axis} of an array of {x.ndim} axes")
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@built("Squeeze", "Unsqueeze")
def axes_of_one(op: Op, build: Any) -> Any:
    axes = _axes(op, build)
    layer = nn.Squeeze if op.kind == "Squeeze" else nn.Unsqueeze
    if axes is ...:
        return build.add(op, layer(), build.value(op, 0), build.value(op, 1))
    if axes is None and op.kind == "Unsqueeze":
        raise op.refuse("axes are missing")
    return build.add(op, layer(axes=axes), build.value(op, 0))


@layered("Transpose")
def transpose(op: Op) -> Any:
    return nn.Transpose(axes=op.ints("perm", None))


@built("Concat")
def concat(op: Op, build: Any) -> Any:
    if len(op.inputs) == 1:
        return build.value(op, 0)
    axis, ndim = op.int("axis", 1) if op.version < 4 else op.int("axis"), build.ndim(op, 0)
    if (axis if axis > 0 else axis + (ndim or 0)) > 0 and build.is_float(op, 0):
        return build.add(op, nn.Concat(axis), *(build.value(op, i) for i in range(len(op.inputs))))
    return None


@computed("Concat")
def concat_any(op: Op, *xs: Any) -> Any:
    axis = op.int("axis", 1) if op.version < 4 else op.int("axis")
    return np.concatenate(xs, axis=op.axis(axis, xs[0].ndim))


@built("Split")
def split(op: Op, build: Any) -> Any:
    sizes = build.constant(op, 1) if op.has(1) else op.ints("split", None)
    if sizes is None and op.has(1):
        return None
    axis, parts = op.int("axis", 0), op.int("num_outputs", len(op.outputs))
    if sizes is not None:
        layer = nn.Split(sizes=tuple(int(n) for n in np.atleast_1d(sizes)), axis=axis)
    else:
        layer = nn.Split(parts=parts, axis=axis)
    if layer.n_outputs != len(op.outputs):
        raise op.refuse(f"{layer.n_outputs} parts and {len(op.outputs)} outputs")
    return build.add(op, layer, build.value(op, 0))


@computed("Split", shaped_by=(1,))
def split_by(op: Op, x: Any, sizes: Any = None) -> Any:
    axis = op.axis(op.int("axis", 0), x.ndim)
    if sizes is None:
        return tuple(np.array_split(x, op.int("num_outputs", len(op.outputs)), axis=axis))
    if len(sizes) != len(op.outputs) or sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        raise op.refuse(f"an axis of {x.shape[axis]} in {len(op.outputs)} parts of {tuple(sizes)}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


@built("Slice")
def slice_(op: Op, build: Any) -> Any:
    if op.version < 10:
        given = {"starts": op.ints("starts"), "ends": op.ints("ends"), "axes": op.ints("axes", None)}
        return build.add(op, nn.Slice(**given), build.value(op, 0))
    found = {name: build.constant(op, i) for i, name in enumerate(("starts", "ends", "axes", "steps"), 1) if op.has(i)}
    if all(part is not None for part in found.values()):
        ints = {name: tuple(int(n) for n in np.atleast_1d(part)) for name, part in found.items()}
        return build.add(op, nn.Slice(**ints), build.value(op, 0))
    values = [build.value(op, i) if op.has(i) else None for i in range(len(op.inputs))]
    if len(values) > 3 and values[3] is None:
        raise op.refuse("steps without axes, and parts that are not constants")
    return build.add(op, nn.Slice(), *values)


@built("Shape", "Size")
def shape(op: Op, build: Any) -> Any:
    layer = nn.Size() if op.kind == "Size" else nn.Shape(start=op.int("start", 0), end=op.int("end", None))
    return build.add(op, layer, build.value(op, 0))


def pad_widths(op: Op, ndim: int, pads: Any, axes: Any) -> list[tuple[int, int]]:
    """Before and behind each axis."""
    if pads is None:
        pads = op.ints("pads", None) or op.ints("paddings")
    wanted = list(range(ndim)) if axes is None else [op.axis(int(axis), ndim) for axis in axes]
    if len(pads) != 2 * len(wanted):
        raise op.refuse(f"{len(pads)} pads for {len(wanted)} axes")
    widths = [(0, 0)] * ndim
    for i, axis in enumerate(wanted):
        widths[axis] = (int(pads[i]), int(pads[i + len(wanted)]))
    return widths


@built("Pad")
def constant_pad(op: Op, build: Any) -> Any:
    """Where how much of what is known."""
    mode = op.str("mode", "constant", ("constant", "reflect", "edge", "wrap"))
    pads = build.constant(op, 1) if op.has(1) else op.ints("pads", None) or op.ints("paddings", None)
    fill = build.constant(op, 2) if op.has(2) else np.float32(op.float("value", 0.0))
    ndim = build.ndim(op, 0)
    if pads is None or fill is None or np.size(fill) != 1 or ndim is None or not build.is_float(op, 0):
        return None
    axes = build.constant(op, 3) if op.has(3) else None
    if op.has(3) and axes is None:
        return None
    widths = pad_widths(op, ndim, pads, axes)
    flat = (*(before for before, _ in widths), *(behind for _, behind in widths))
    return build.add(op, nn.Pad(widths=flat, mode=mode, value=float(np.reshape(fill, ()))), build.value(op, 0))


@computed("Pad", shaped_by=(1, 3))
def pad(op: Op, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    mode = op.str("mode", "constant", ("constant", "reflect", "edge", "wrap"))
    widths = pad_widths(op, x.ndim, pads, axes)
    # Negative ones cut.
    cut = tuple(slice(-min(0, a), n + min(0, b)) for n, (a, b) in zip(x.shape, widths, strict=True))
    x, widths = x[cut], [(max(0, a), max(0, b)) for a, b in widths]
    _bounded(op, [a + n + b for n, (a, b) in zip(x.shape, widths, strict=True)])
    if mode != "constant":
        return np.pad(x, widths, mode=mode)
    fill = op.float("value", 0.0) if value is None else np.asarray(value).reshape(-1)[:1]
    return np.pad(x, widths, constant_values=fill if np.size(fill) else 0)


@built("Gather")
def embedding(op: Op, build: Any) -> Any:
    table = build.constant(op, 0)
    if table is None or op.int("axis", 0) != 0 or table.ndim < 2 or table.dtype.kind != "f":
        return None
    return build.add(op, nn.Embedding(W=table), build.value(op, 1))


@computed("Gather")
def gather(op: Op, x: Any, indices: Any) -> Any:
    axis = op.axis(op.int("axis", 0), x.ndim)
    _bounded(op, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    return np.take(x, indices, axis=axis)


@layered("GatherElements")
def gather_elements(op: Op) -> Any:
    return nn.GatherElements(axis=op.int("axis", 0))


@layered("GatherND")
def gather_nd(op: Op) -> Any:
    return nn.GatherND(batch_axes=op.int("batch_dims", 0))


@computed("ScatterND")
def scatter_nd(op: Op, x: Any, indices: Any, updates: Any) -> Any:
    y = x.copy()
    at = tuple(np.moveaxis(indices, -1, 0))
    how = op.str("reduction", "none", ("none", "add", "mul", "min", "max"))
    if how == "none":
        y[at] = updates
    else:
        {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}[how].at(y, at, updates)
    return y


@computed("Expand", shaped_by=(1,))
def expand(op: Op, x: Any, wanted: Any) -> Any:
    full = np.broadcast_shapes(x.shape, tuple(int(n) for n in wanted))
    return np.broadcast_to(x, _bounded(op, full))


@computed("Tile", shaped_by=(1,))
def tile(op: Op, x: Any, repeats: Any) -> Any:
    if np.shape(repeats) != (x.ndim,):
        raise op.refuse(f"{np.size(repeats)} repeats of an array of {x.ndim} axes")
    _bounded(op, [n * int(r) for n, r in zip(x.shape, repeats, strict=True)])
    return np.tile(x, [int(r) for r in repeats])


@computed("ConstantOfShape", shaped_by=(0,))
def constant_of_shape(op: Op, wanted: Any) -> Any:
    value = op.array("value", np.zeros(1, dtype=np.float32))
    if value is None or value.size != 1:
        raise op.refuse("value is not one number")
    return np.broadcast_to(value.reshape(()), _bounded(op, wanted))


@computed("Range", shaped_by=(0, 1, 2))
def range_(op: Op, start: Any, limit: Any, delta: Any) -> Any:
    if not delta:
        raise op.refuse("a step of 0")
    _bounded(op, [max(0, math.ceil((float(limit) - float(start)) / float(delta)))])
    return np.arange(start, limit, delta, dtype=start.dtype)


@computed("Constant")
def constant(op: Op) -> Any:
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64), ("value_floats", np.float32),
                        ("value_ints", np.int64)):  # fmt: skip
        if name in op.attributes:
            return np.array(op.attributes[name], dtype=dtype)
    return op.array("value")


@layered("DepthToSpace")
def depth_to_space(op: Op) -> Any:
    return nn.DepthToSpace(size=_block_size(op), order=op.str("mode", "DCR", ("DCR", "CRD")))


@layered("SpaceToDepth")
def space_to_depth(op: Op) -> Any:
    return nn.SpaceToDepth(size=_block_size(op)) if op.str("mode", "DCR", ("DCR", "CRD")) == "DCR" else None


def _block_size(op: Op) -> int:
    size: int = op.int("blocksize")
    if not 1 <= size <= 2**15:
        raise op.refuse(f"blocksize {size}")
    return size


@layered("Trilu")
def triangle(op: Op) -> Any:
    return nn.Trilu(upper=bool(op.int("upper", 1)))
