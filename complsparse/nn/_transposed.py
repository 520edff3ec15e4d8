# SPDX-License-Identifier: BSD-3-Clause
"""ConvTranspose: every entry of an image adds its filters to what lies around it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from complsparse.nn._array_layer import array_layer
from complsparse.nn._attributes import Array, Ints


def _each(given: Ints, n: int, name: str) -> Ints:
    if len(given) not in (1, n):
        raise ValueError(f"{name}={given} has {len(given)} entries; 1 or {n} are expected")
    return given * n if len(given) == 1 else given


@array_layer
def ConvTranspose(
    x: Any,
    *,
    W: Array,
    bias: Array | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    output_padding: Ints = (0,),
    groups: int = 1,
) -> Any:
    """The transpose of a convolution with dense filters, of images with the channels in front, of any number of axes.

    Parameters
    ----------
    W : ndarray, shape (C, M / groups, ...)
        Filters of the convolution that this is the transpose of.
    bias : array_like, shape (M,), optional
    stride, dilation : int or tuple of int
    padding : int or tuple of int
        Cut off: of all sides; or before each axis, then behind each.
    output_padding : int or tuple of int
        Rows and columns more behind the last.
    groups : int
    """
    axes = W.ndim - 2
    if axes < 1 or x.ndim != W.ndim or x.shape[1] != W.shape[0] or groups < 1 or x.shape[1] % groups:
        raise ValueError(f"images of shape {x.shape} do not fit filters of shape {W.shape} in {groups} groups")
    stride, dilation = _each(stride, axes, "stride"), _each(dilation, axes, "dilation")
    more, cut = _each(output_padding, axes, "output_padding"), _each(padding, 2 * axes, "padding")
    kernel, image, n = W.shape[2:], x.shape[2:], x.shape[0]
    whole = [
        s * (i - 1) + d * (k - 1) + 1 + m for s, i, d, k, m in zip(stride, image, dilation, kernel, more, strict=True)
    ]
    outputs = W.shape[1]
    filters = W.reshape(groups, -1, outputs * int(np.prod(kernel))).astype(x.dtype)
    pixels = x.reshape(n, groups, x.shape[1] // groups, -1)
    added = np.matmul(filters.transpose(0, 2, 1), pixels).reshape(n, groups, outputs, *kernel, *image)
    y: Any = np.zeros((n, groups, outputs, *whole), x.dtype)
    for tap in itertools.product(*map(range, kernel)):
        there: Any = [
            slice(d * t, d * t + s * (i - 1) + 1, s) for d, t, s, i in zip(dilation, tap, stride, image, strict=True)
        ]
        y[(..., *there)] += added[(slice(None), slice(None), slice(None), *tap)]
    y = y.reshape(n, groups * outputs, *whole)
    y = y[(..., *(slice(a, size - b) for a, b, size in zip(cut[:axes], cut[axes:], whole, strict=True)))]
    return y if bias is None else y + bias.astype(x.dtype).reshape(-1, *[1] * axes)
