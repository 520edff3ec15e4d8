# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: products, contests, pools, and what is done entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from complsparse import nn
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


# --- contests ---------------------------------------------------------------------------------------------------------


@rule("complsparse.kwinners")
def _kwinners(at: At, x: Any, k: int, axes: Sequence[int], boost: Any) -> tuple[Flow, None]:
    axis: Any = tuple(axes) if len(axes) > 1 else axes[0]
    contest = nn.KWinners(k, axis=axis)
    factors = None if boost is None else constant(boost).ravel()
    if factors is None or (factors == 1).all():
        return at.add(contest, x), None
    factors = factors.astype(np.float64)
    boosted = at.add(_scaling(factors, None, axes[0]), x, part="boosted")
    return at.add(_scaling(1 / factors, None, axes[0]), at.add(contest, boosted), part="passed_on"), None


# --- entry by entry ---------------------------------------------------------------------------------------------------


# Those without arguments.
ENTRY_BY_ENTRY: dict[str, type[nn.Layer]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.HardSwish, "hardsigmoid": nn.HardSigmoid,
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "exp": nn.Exp, "log": nn.Log, "sqrt": nn.Sqrt, "reciprocal": nn.Reciprocal,
    "abs": nn.Abs, "neg": nn.Neg, "erf": nn.Erf, "sin": nn.Sin, "cos": nn.Cos, "floor": nn.Floor, "ceil": nn.Ceil,
}  # fmt: skip


def _entry_by_entry(layer: type[nn.Layer]) -> None:
    @rule(*(f"aten.{name}" for name, kind in ENTRY_BY_ENTRY.items() if kind is layer))
    def of_each(at: At, x: Any) -> Flow:
        return at.add(layer(), x)


for _layer in ENTRY_BY_ENTRY.values():
    _entry_by_entry(_layer)


@rule("aten.gelu")
def _gelu(at: At, x: Any, approximate: str) -> Flow:
    if approximate != "none":
        raise Unsupported(f"has approximate={approximate!r}; the layer is exact, 'none'")
    return at.add(nn.GELU(), x)


@rule("aten.leaky_relu")
def _leaky_relu(at: At, x: Any, negative_slope: float) -> Flow:
    if negative_slope == 0.01:
        return at.add(nn.LeakyReLU(), x)
    return at.add(nn.PReLU(np.float32(negative_slope).reshape(1)), x)


@rule("aten.prelu")
def _prelu(at: At, x: Any, weight: Any) -> Flow:
    slopes = constant(weight)
    return at.add(nn.PReLU(slopes.reshape(-1, *[1] * (len(x.shape) - 1))), x)


@rule("aten.elu")
def _elu(at: At, x: Any, alpha: float, scale: float, input_scale: float) -> Flow:
    if scale != 1 or input_scale != 1:
        raise Unsupported(f"has scale={scale} and input_scale={input_scale}; the layer has 1")
    return at.add(nn.ELU(float(alpha)), x)


@rule("aten.hardtanh", "aten.clamp", "aten.clamp_min")
def _clamp(at: At, x: Any, min_val: Any = None, max_val: Any = None, min: Any = None, max: Any = None) -> Flow:
    least, most = (min if min_val is None else min_val), (max if max_val is None else max_val)
    layers = {(0, 6): nn.ReLU6, (0, None): nn.ReLU}
    if (least, most) in layers:
        return at.add(layers[least, most](), x)
    return at.add(nn.Clip(*(None if bound is None else float(bound) for bound in (least, most))), x)


@rule("aten._native_batch_norm_legit_no_training")
def _batch_norm(
    at: At, x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, eps: float, momentum: float
) -> tuple[Flow]:
    axis = 1 if len(x.shape) > 1 else -1
    layer = nn.BatchNorm(constant(running_mean), constant(running_var), optional(weight), optional(bias), eps, axis)
    return (at.add(layer, x),)


def _scaling(factor: Any, summand: Any, axis: int) -> nn.BatchNorm:
    """``x * factor + summand`` along an axis."""
    n = len(factor)
    return nn.BatchNorm(np.zeros(n), np.ones(n), factor, summand, eps=0.0, axis=axis)


def _of_channels(array: NDArray[Any], sample: tuple[int, ...]) -> tuple[NDArray[Any], int] | None:
    """A constant that is broadcast to samples as a vector, and the axis along which it varies; None where along more
    than one."""
    shape = (1,) * (len(sample) + 1 - array.ndim) + array.shape
    axes = [axis for axis, n in enumerate(shape) if n > 1]
    axis = axes[0] if axes else 1
    if not sample or len(shape) > len(sample) + 1 or len(axes) > 1 or axis == 0 or sample[axis - 1] < shape[axis]:
        return None
    return np.broadcast_to(array.reshape(-1), (sample[axis - 1],)), axis


def _pair(at: At, layer: nn.Layer, x: Any, other: Any) -> Flow:
    """Of two values, or of one and a constant that is stored as it is."""
    return at.add(layer, *(v if isinstance(v, Flow) else at.constant(constant(v)) for v in (x, other)))


def _with_constant(at: At, layer: nn.Layer, x: Flow, factor: Any, summand: Any) -> Flow:
    """``x * factor + summand``, one of them an array: as a batch norm where it varies along one axis of samples, else
    as the layer that does it with any two values."""
    value = factor if summand is None else summand
    array = np.asarray(value.detach().cpu().double() if isinstance(value, Tensor) else value, np.float64)
    found = _of_channels(array, x.shape)
    if found is None or at.shape != x.shape:
        return _pair(at, layer, x, at.constant(array if summand is None else array / factor))
    vector, axis = found
    if summand is None:
        return at.add(_scaling(vector, None, axis), x)
    return at.add(_scaling(np.full(len(vector), float(factor)), vector, axis), x)


@rule("aten.add.Tensor")
def _add(at: At, x: Any, other: Any, alpha: float = 1) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow):
        if alpha != 1:
            raise Unsupported(f"has alpha={alpha}; the layer adds")
        return _pair(at, nn.Add(), x, other)
    if isinstance(x, Flow):
        return _with_constant(at, nn.Add(), x, 1, other * alpha)
    return _with_constant(at, nn.Add(), other, alpha, x)


@rule("aten.sub.Tensor")
def _sub(at: At, x: Any, other: Any, alpha: float = 1) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow) and alpha == 1:
        return _pair(at, nn.Sub(), x, other)
    return _add(at, x, other, -alpha)


@rule("aten.rsub.Scalar")
def _rsub(at: At, x: Any, other: Any, alpha: float = 1) -> Flow:
    return _sub(at, other, x, alpha)


@rule("aten.mul.Tensor")
def _mul(at: At, x: Any, other: Any) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow):
        return _pair(at, nn.Mul(), x, other)
    value, factor = (x, other) if isinstance(x, Flow) else (other, x)
    return _with_constant(at, nn.Mul(), value, factor, None)


@rule("aten.div.Tensor")
def _div(at: At, x: Any, other: Any) -> Flow:
    if isinstance(other, Flow):
        return _pair(at, nn.Div(), x, other)
    return _with_constant(at, nn.Mul(), x, 1 / other, None)


# --- pools ------------------------------------------------------------------------------------------------------------


@rule("aten.max_pool2d")
def _max_pool(at: At, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Flow:
    layer = nn.MaxPool2d(
        _sizes(kernel_size, 2), stride=_sizes(stride or kernel_size, 2), padding=_sizes(padding, 2),
        dilation=_sizes(dilation, 2), ceil_mode=ceil_mode,
    )  # fmt: skip
    return at.add(layer, x)


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
