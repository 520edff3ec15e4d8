# SPDX-License-Identifier: BSD-3-Clause
"""Where windows lie on images: kernel sizes, strides, padding and dilation as callers write them, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Windows over images of one size: (rows, columns) of everything."""

    image: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair  # padding: top, left
    after: Pair  # bottom, right
    out: Pair

    @property
    def sliding(self) -> tuple[Pair, Pair, Pair, Pair, Pair]:
        """As `_core` takes it."""
        return (self.kernel, self.stride, self.dilation, self.before, self.out)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _integers(value: Any, name: str, axes: int, least: int) -> tuple[int, ...]:
    """One integer for all axes, or one for each."""
    values = (value,) * axes if _is_integer(value) else value
    if not isinstance(values, (tuple, list)) or len(values) != axes or not all(map(_is_integer, values)):
        expected = "an integer" if axes == 1 else f"an integer or {axes} of them"
        raise TypeError(f"{name}={value!r}; use {expected}")
    for entry in values:
        if not least <= entry < 2**31:
            raise ValueError(f"{name}={value!r}: {entry} is not from {least} to 2**31 - 1")
    return tuple(int(entry) for entry in values)


def _both_axes(values: tuple[int, ...], other: int) -> Pair:
    """Of one spatial axis: a single row."""
    return (other, values[0]) if len(values) == 1 else (values[0], values[1])


def _padding(padding: Any, axes: int) -> tuple[tuple[int, ...], tuple[int, ...]] | str:
    """Before and after, of each axis; or the name of a rule."""
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding={padding!r} is not known; use numbers, 'same' or 'valid'")
        return padding
    if (
        isinstance(padding, (tuple, list))
        and len(padding) == axes
        and any(isinstance(p, (tuple, list)) for p in padding)
    ):
        pairs = [_integers(tuple(p) if isinstance(p, list) else p, "padding", 2, 0) for p in padding]
        return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
    if axes == 1 and isinstance(padding, (tuple, list)) and len(padding) == 2:
        before, after = _integers(padding, "padding", 2, 0)
        return (before,), (after,)
    both = _integers(padding, "padding", axes, 0)
    return both, both


def widened(padding: Any, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Pair, ...] | None:
    """Padding with so much more before and behind each axis; None of "same", which is what the image makes of it."""
    given = _padding(0 if padding == "valid" else padding, len(before))
    if isinstance(given, str):
        return None
    return tuple((a + more, b + behind) for a, b, more, behind in zip(*given, before, after, strict=True))


def pool_geometry(
    image: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Geometry:
    """Of a pool: the stride is the kernel's size unless given, and every window meets a pixel.

    With `ceil_mode` windows may reach beyond the padding behind; those that lie wholly in padding are dropped.
    """
    geometry = geometry_of(image, kernel_size, kernel_size if stride is None else stride, padding, dilation)
    out = list(geometry.out)
    for axis in (0, 1):
        kernel, before, after = geometry.kernel[axis], geometry.before[axis], geometry.after[axis]
        if 2 * max(before, after) > kernel:
            raise ValueError(f"padding {max(before, after)} is more than half of the kernel's {kernel} pixels")
        if ceil_mode:
            reach = (kernel - 1) * geometry.dilation[axis] + 1
            left = geometry.image[axis] + before + after - reach
            out[axis] = -(-left // geometry.stride[axis]) + 1
            if (out[axis] - 1) * geometry.stride[axis] >= geometry.image[axis] + before:
                out[axis] -= 1
    found = geometry._replace(out=(max(out[0], 0), max(out[1], 0)))
    if min(found.out) > 0:
        for axis in (0, 1):
            _check_windows(found, axis)
    return found


def _check_windows(geometry: Geometry, axis: int) -> None:
    """Every window meets a pixel: dilated ones, and those of images without any, may lie in padding alone."""
    size, kernel, dilation, before = (
        part[axis] for part in (geometry.image, geometry.kernel, geometry.dilation, geometry.before)
    )
    if before == 0 == geometry.after[axis]:
        return
    first = np.arange(geometry.out[axis]) * geometry.stride[axis] - before
    inside = np.maximum(first, first % dilation)  # the first tap that is no padding before the image
    misses = (inside >= size) | (inside > first + (kernel - 1) * dilation)
    if misses.any():
        raise ValueError(
            f"a window of {kernel} pixels, {dilation} apart, lies in the padding alone: the image has {size}, with "
            f"{before} and {geometry.after[axis]} around it"
        )


def _placed(size: int, kernel: int, stride: int, dilation: int, padding: Any, axis: int) -> tuple[int, int, int]:
    """Padding before, padding after and output size along one axis."""
    reach = (kernel - 1) * dilation + 1
    if padding == "same":  # as ONNX's SAME_UPPER: the odd one goes behind
        out = -(-size // stride)
        total = max((out - 1) * stride + reach - size, 0)
        return total // 2, total - total // 2, out
    before, after = (0, 0) if padding == "valid" else (padding[0][axis], padding[1][axis])
    out = (size + before + after - reach) // stride + 1
    if out < 0:
        raise ValueError(
            f"a kernel of {kernel} with dilation {dilation} reaches over {reach} pixels; the image has {size}, "
            f"with padding {before + size + after}"
        )
    return before, after, out


def geometry_of(image: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Geometry:
    """Of images with these spatial axes, one or two. An image with one axis is a single row.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and its numbers.
    """
    axes = len(image)
    kernel = _integers(kernel_size, "kernel_size", axes, 1)
    strides = _integers(stride, "stride", axes, 1)
    dilations = _integers(dilation, "dilation", axes, 1)
    rule = _padding(padding, axes)
    placed = [_placed(image[axis], kernel[axis], strides[axis], dilations[axis], rule, axis) for axis in range(axes)]
    return Geometry(
        _both_axes(image, 1),
        _both_axes(kernel, 1),
        _both_axes(strides, 1),
        _both_axes(dilations, 1),
        _both_axes(tuple(p[0] for p in placed), 0),
        _both_axes(tuple(p[1] for p in placed), 0),
        _both_axes(tuple(p[2] for p in placed), 1),
    )
