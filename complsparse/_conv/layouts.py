# SPDX-License-Identifier: BSD-3-Clause
"""How images and signals lie in arrays: where their channels stand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._operands import is_direct
from complsparse._ops.winners import Winners

_CHANNEL_AXES = {"NCHW": 1, "NHWC": 3, "NCL": 1, "NLC": 2}


def channel_axis(layout: Any, shape: tuple[int, ...], axes: int, name: str) -> int:
    """Of an array of this shape with so many spatial axes. ValueError for another layout or shape."""
    known = [layout for layout in _CHANNEL_AXES if len(layout) == axes + 2]
    if layout not in known:
        raise ValueError(f"layout={layout!r} is not known; use {' or '.join(map(repr, known))}")
    if len(shape) != axes + 2:
        raise ValueError(f"x has shape {shape}; {name} with layout={layout!r} takes {axes + 2} axes")
    return _CHANNEL_AXES[layout]


def spatial(shape: tuple[int, ...], channel: int) -> tuple[int, ...]:
    """The axes that are neither batch nor channels."""
    return shape[1:channel] if channel > 1 else shape[2:]


def with_channels(spatial_shape: tuple[int, ...], channels: int, channel: int) -> tuple[int, ...]:
    """The shape of one image."""
    return (*spatial_shape, channels) if channel > 1 else (channels, *spatial_shape)


def four_axes(array: NDArray[Any], channels_last: bool) -> NDArray[Any]:
    """A signal is an image of one row."""
    if array.ndim == 4:
        return array
    return array[:, None] if channels_last else array[:, :, None]


def writable_in_place(out: Any, compute: np.dtype[Any], channels_last: bool) -> NDArray[Any] | None:
    """`out` with four axes where C++ can write it as it is: rows of pixels follow one another."""
    if type(out) is not np.ndarray or out.dtype != compute or not is_direct(out):
        return None
    y = four_axes(out.view(compute), channels_last)
    row, col = (1, 2) if channels_last else (2, 3)
    flat = y.shape[row] <= 1 or y.shape[col] <= 1 or y.strides[row] == y.shape[col] * y.strides[col]
    return y if flat else None


def written_out(x: Any) -> Any:
    """Winners with their zeros."""
    return x.toarray() if isinstance(x, Winners) else x
