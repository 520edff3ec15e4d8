# SPDX-License-Identifier: BSD-3-Clause
"""What a convolution is bound to: filters and the shape of an image, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from complsparse import _core
from complsparse._conv.geometry import Geometry, Pair, geometry_of
from complsparse._conv.layouts import channel_axis, spatial, with_channels


class Bound(NamedTuple):
    """What a convolution is bound to, checked."""

    geometry: Geometry
    channels: int
    groups: int
    channels_last: bool

    @property
    def problem(self) -> tuple[tuple[int, int, int], tuple[Pair, Pair, Pair, Pair, Pair], bool]:
        """As `_core` takes it: image, windows, memory order."""
        rows, cols = self.geometry.image
        return (self.channels, rows, cols), self.geometry.sliding, self.channels_last


def _groups(groups: Any, channels: int, filters: tuple[int, int], taps: int) -> int:
    if not isinstance(groups, (int, np.integer)) or isinstance(groups, bool):
        raise TypeError(f"groups must be an integer, not {type(groups).__name__} ({groups!r})")
    if groups < 1 or channels % groups or filters[0] % groups:
        raise ValueError(
            f"groups={groups} does not divide {channels} input channels and {filters[0]} filters into equal groups"
        )
    if filters[1] * int(groups) != channels * taps:
        of_group = "" if groups == 1 else " of a group"
        raise ValueError(
            f"W has {filters[1]} columns; {channels // groups} channels{of_group} with {taps} taps each need "
            f"{channels // groups * taps}"
        )
    return int(groups)


def _kernel_size(kernel_size: Any, filter_shape: tuple[int, ...] | None, axes: int) -> Any:
    if kernel_size is not None:
        return kernel_size
    if filter_shape is None:
        raise ValueError(
            "kernel_size is missing, and W does not know its own: from_filters keeps the shape of the filters"
        )
    return filter_shape[2:] if axes == len(filter_shape) - 2 else filter_shape[-axes:]


def bind_filters(
    shape: tuple[int, ...],
    filters: tuple[int, int],
    filter_shape: tuple[int, ...] | None,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    layout: Any,
    name: str,
) -> tuple[Bound, tuple[int, ...]]:
    """The geometry of x of this shape for filters (outputs, channels * taps); and the shape of one image of y."""
    channel = channel_axis(layout, shape, axes, name)
    kernel = _kernel_size(kernel_size, filter_shape, axes)
    geometry = geometry_of(spatial(shape, channel), kernel, stride, padding, dilation)
    groups = _groups(groups, shape[channel], filters, geometry.kernel[0] * geometry.kernel[1])
    out = geometry.out if axes == 2 else geometry.out[1:]
    return Bound(geometry, shape[channel], groups, channel > 1), with_channels(out, filters[0], channel)


def bind(shape: tuple[int, ...], W: Any, *geometry: Any) -> tuple[Bound, tuple[int, ...]]:
    """Likewise for W; `geometry`: the rest of what `bind_filters` takes."""
    if not isinstance(W, _core.Operand):
        name = geometry[-1]
        raise TypeError(
            f"{name} needs W as a ComplementaryMatrix, got {type(W).__name__}; the order is {name}(x, W), and "
            "complsparse.from_filters makes one"
        )
    return bind_filters(shape, W.shape, W.filter_shape, *geometry)  # type: ignore[attr-defined]
