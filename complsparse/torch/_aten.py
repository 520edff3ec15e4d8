# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: products, contests, pools, and other extents of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from complsparse import nn
from complsparse.torch._aten_entries import scaling
from complsparse.torch._patterns import matrix_of
from complsparse.torch._translation import At, Flow, Unsupported, constant, optional, rule

# --- products ---------------------------------------------------------------------------------------------------------


@rule("aten.linear")
def _linear(at: At, x: Any, weight: Any, bias: Any) -> Flow:
    return at.add(nn.Linear(at.weights(weight), bias=optional(bias)), x)


@rule("aten.addmm")
def _addmm(at: At, x: Any, mat1: Any, mat2: Any, beta: float, alpha: float) -> Flow:
    """x is the bias."""
    if beta != 1 or alpha != 1:
        raise Unsupported(f"has beta={beta} and alpha={alpha}; layers take 1")
    bias = np.broadcast_to(constant(x), (mat2.shape[1],))
    return at.add(nn.Linear(at.weights(mat2.T), bias=bias), mat1)


@rule("aten.mm", "aten.bmm", "aten.matmul")
def _matmul(at: At, x: Any, mat2: Any = None, other: Any = None) -> Flow:
    right = other if mat2 is None else mat2
    if isinstance(right, Tensor) and right.ndim == 2:
        return at.add(nn.Linear(at.weights(right.T)), x)
    return at.add(nn.MatMul(), *(v if isinstance(v, Flow) else at.constant(constant(v)) for v in (x, right)))


@rule("aten.conv2d", "aten.conv1d", "aten.conv2d.padding", "aten.conv1d.padding")
def _convolution(at: At, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Flow:
    axes = weight.ndim - 2
    layer = nn.Conv2d if axes == 2 else nn.Conv1d
    return at.add(
        layer(
            at.weights(weight), _sizes(weight.shape[2:], axes), stride=_sizes(stride, axes),
            padding=padding if isinstance(padding, str) else _sizes(padding, axes), dilation=_sizes(dilation, axes),
            groups=groups, bias=optional(bias),
        ),
        x,
    )  # fmt: skip


def _sizes(given: Sequence[int], axes: int) -> Any:
    """As layers take them: one integer for one axis, and a tuple for two."""
    sizes = tuple(int(n) for n in given)
    sizes = sizes * axes if len(sizes) == 1 else sizes
    return sizes[0] if axes == 1 else sizes


@rule("complsparse.sparse_linear")
def _sparse_linear(at: At, x: Any, values: Any, positions: Any, geometry: Sequence[int], bias: Any) -> Flow:
    rows, cols = geometry
    return at.add(nn.Linear(matrix_of(values, positions, (rows, cols)), bias=optional(bias)), x)


@rule("complsparse.sparse_conv2d")
def _sparse_convolution(at: At, x: Any, values: Any, positions: Any, geometry: Sequence[int], bias: Any) -> Flow:
    n = tuple(geometry)
    W = matrix_of(values, positions, n[:4])
    layer = nn.Conv2d(
        W, n[2:4], stride=n[4:6], padding=n[6:8], dilation=n[8:10], groups=n[10], bias=optional(bias)
    )  # fmt: skip
    return at.add(layer, x)


@rule("aten.conv_transpose1d", "aten.conv_transpose2d.input")
def _transposed_convolution(
    at: At, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Flow:
    layer = nn.ConvTranspose(
        W=constant(weight), bias=optional(bias), stride=tuple(stride), padding=(*padding, *padding),
        dilation=tuple(dilation), output_padding=tuple(output_padding), groups=groups,
    )  # fmt: skip
    return at.add(layer, x)


# --- contests ---------------------------------------------------------------------------------------------------------


@rule("complsparse.kwinners")
def _kwinners(at: At, x: Any, k: int, axes: Sequence[int], boost: Any) -> tuple[Flow, None]:
    axis: Any = tuple(axes) if len(axes) > 1 else axes[0]
    contest = nn.KWinners(k, axis=axis)
    factors = None if boost is None else constant(boost).ravel()
    if factors is None or (factors == 1).all():
        return at.add(contest, x), None
    factors = factors.astype(np.float64)
    boosted = at.add(scaling(factors, None, axes[0]), x, part="boosted")
    return at.add(scaling(1 / factors, None, axes[0]), at.add(contest, boosted), part="passed_on"), None


# --- pools ------------------------------------------------------------------------------------------------------------


@rule("aten.max_pool2d")
def _max_pool(at: At, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Flow:
    layer = nn.MaxPool2d(
        _sizes(kernel_size, 2), stride=_sizes(stride or kernel_size, 2), padding=_sizes(padding, 2),
        dilation=_sizes(dilation, 2), ceil_mode=ceil_mode,
    )  # fmt: skip
    return at.add(layer, x)


@rule("aten.max_pool1d")
def _max_pool_of_signals(
    at: At, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Flow:
    """Of images of one row."""
    size, pad, apart = (_sizes(n, 1) for n in (kernel_size, padding, dilation))
    layer = nn.MaxPool2d(
        (1, size), stride=(1, _sizes(stride or kernel_size, 1)), padding=(0, pad), dilation=(1, apart),
        ceil_mode=ceil_mode,
    )  # fmt: skip
    channels, out = at.shape
    image = at.add(nn.Unsqueeze((2,)), x, part="image", shape=(channels, 1, x.shape[1]))
    return at.add(nn.Squeeze((2,)), at.add(layer, image, part="pool", shape=(channels, 1, out)))


@rule("aten.avg_pool2d")
def _avg_pool(
    at: At, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: Any,
) -> Flow:  # fmt: skip
    if divisor_override is not None:
        raise Unsupported(f"has divisor_override={divisor_override}")
    layer = nn.AvgPool2d(
        _sizes(kernel_size, 2), stride=_sizes(stride or kernel_size, 2), padding=_sizes(padding, 2),
        ceil_mode=ceil_mode, count_include_pad=count_include_pad,
    )  # fmt: skip
    return at.add(layer, x)


@rule("aten.adaptive_avg_pool2d")
def _adaptive_avg_pool(at: At, x: Any, output_size: Sequence[int]) -> Flow:
    image, out = x.shape[1:], tuple(output_size)
    if out == (1, 1):
        return at.add(nn.GlobalAvgPool2d(), x)
    if any(n % m for n, m in zip(image, out, strict=True)):
        raise Unsupported(f"to {out} pixels from {image} has windows of more than one size")
    return at.add(nn.AvgPool2d(tuple(n // m for n, m in zip(image, out, strict=True))), x)


# --- other extents ----------------------------------------------------------------------------------------------------


@rule("aten.upsample_nearest2d.vec", "aten.upsample_bilinear2d.vec")
def _resize(at: At, x: Any, output_size: Any, scale_factors: Any, align_corners: bool | None = None) -> Flow:
    """By the sizes that come out: torch takes the factors that were given for coordinates, which must agree."""
    sizes, factors = at.shape[1:], scale_factors or ()
    if any(n * factor != size for n, factor, size in zip(x.shape[1:], factors, sizes, strict=False)):
        raise Unsupported(f"by {tuple(factors)} does not give whole pixels: {x.shape[1:]} become {sizes}")
    if align_corners is None:
        how: dict[str, Any] = {"mode": "nearest", "coordinates": "asymmetric", "rounding": "floor"}
    else:
        how = {"mode": "linear", "coordinates": "align_corners" if align_corners else "half_pixel"}
    return at.add(nn.Resize(sizes=sizes, axes=(2, 3), **how), x)
