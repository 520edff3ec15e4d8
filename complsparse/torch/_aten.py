# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: a rule for each, by the operator's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from complsparse import nn
from complsparse.torch._patterns import matrix_of
from complsparse.torch._translation import At, Flow, Unsupported, constant, optional

F = TypeVar("F", bound=Callable[..., Any])
RULES: dict[str, Callable[..., Any]] = {}


def rule(*names: str) -> Callable[[F], F]:
    def add(function: F) -> F:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


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


@rule("aten.mm", "aten.matmul")
def _matmul(at: At, x: Any, mat2: Any = None, other: Any = None) -> Flow:
    weight = other if mat2 is None else mat2
    if isinstance(weight, Tensor) and weight.ndim == 2:
        return at.add(nn.Linear(at.weights(weight.T)), x)
    raise Unsupported("is of two values that depend on the inputs, or of a constant on the left")


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


@rule("aten.relu")
def _relu(at: At, x: Any) -> Flow:
    return at.add(nn.ReLU(), x)


@rule("aten.relu6")
def _relu6(at: At, x: Any) -> Flow:
    return at.add(nn.ReLU6(), x)


@rule("aten.silu")
def _silu(at: At, x: Any) -> Flow:
    return at.add(nn.SiLU(), x)


@rule("aten.hardswish")
def _hardswish(at: At, x: Any) -> Flow:
    return at.add(nn.HardSwish(), x)


@rule("aten.gelu")
def _gelu(at: At, x: Any, approximate: str) -> Flow:
    if approximate != "none":
        raise Unsupported(f"has approximate={approximate!r}; the layer is exact, 'none'")
    return at.add(nn.GELU(), x)


@rule("aten.leaky_relu")
def _leaky_relu(at: At, x: Any, negative_slope: float) -> Flow:
    if negative_slope != 0.01:
        raise Unsupported(f"has negative_slope={negative_slope}; the layer's is 0.01")
    return at.add(nn.LeakyReLU(), x)


@rule("aten.hardtanh", "aten.clamp", "aten.clamp_min")
def _clamp(at: At, x: Any, min_val: Any = None, max_val: Any = None, min: Any = None, max: Any = None) -> Flow:
    least, most = (min if min_val is None else min_val), (max if max_val is None else max_val)
    if (least, most) not in ((0, 6), (0, None)):
        raise Unsupported(f"is bounded by {least} and {most}; layers by 0, or by 0 and 6")
    return at.add(nn.ReLU() if most is None else nn.ReLU6(), x)


@rule("aten.softmax.int")
def _softmax(at: At, x: Any, dim: int, **_: Any) -> Flow:
    if dim % (len(x.shape) + 1) == 0:
        raise Unsupported("is along the batch axis")
    return at.add(nn.Softmax(dim), x)


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


def _of_channels(value: Any, sample: tuple[int, ...]) -> tuple[NDArray[Any], int]:
    """A constant that is broadcast to samples as a vector, and the axis along which it varies."""
    array = np.asarray(value.detach().cpu().double() if isinstance(value, Tensor) else value, np.float64)
    ndim = len(sample) + 1
    shape = (1,) * (ndim - array.ndim) + array.shape
    axes = [axis for axis, n in enumerate(shape) if n > 1]
    if len(shape) > ndim or len(axes) > 1 or 0 in axes:
        raise Unsupported(f"has a constant of shape {array.shape}, which varies along more than one axis of a sample")
    axis = axes[0] if axes else 1
    return np.broadcast_to(array.reshape(-1), (sample[axis - 1],)), axis


def _with_constant(at: At, x: Flow, factor: Any, summand: Any) -> Flow:
    """``x * factor + summand``."""
    if not x.shape:
        raise Unsupported("is of samples that are scalars")
    value, axis = _of_channels(factor if summand is None else summand, x.shape)
    if summand is None:
        return at.add(_scaling(value, None, axis), x)
    return at.add(_scaling(np.full(len(value), float(factor)), value, axis), x)


def _pair(at: At, layer: nn.Layer, x: Flow, other: Flow) -> Flow:
    if x.shape != other.shape:
        raise Unsupported(f"is of samples of shapes {x.shape} and {other.shape}; layers take equal ones")
    return at.add(layer, x, other)


@rule("aten.add.Tensor")
def _add(at: At, x: Any, other: Any, alpha: float = 1) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow):
        if alpha != 1:
            raise Unsupported(f"has alpha={alpha}; the layer adds")
        return _pair(at, nn.Add(), x, other)
    if isinstance(x, Flow):
        return _with_constant(at, x, 1, other * alpha)
    return _with_constant(at, other, alpha, x)


@rule("aten.sub.Tensor")
def _sub(at: At, x: Any, other: Any, alpha: Any = 1) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow):
        raise Unsupported("is of two values that depend on the inputs; layers add and multiply these")
    return _add(at, x, other, -alpha)


@rule("aten.rsub.Scalar")
def _rsub(at: At, x: Any, other: Any, alpha: Any = 1) -> Flow:
    return _sub(at, other, x, alpha)


@rule("aten.mul.Tensor")
def _mul(at: At, x: Any, other: Any) -> Flow:
    if isinstance(x, Flow) and isinstance(other, Flow):
        return _pair(at, nn.Mul(), x, other)
    return _with_constant(at, x, other, None) if isinstance(x, Flow) else _with_constant(at, other, x, None)


@rule("aten.div.Tensor")
def _div(at: At, x: Any, other: Any) -> Flow:
    if isinstance(other, Flow):
        raise Unsupported("divides by a value that depends on the inputs")
    return _with_constant(at, x, 1 / other, None)


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


@rule("aten.mean.dim")
def _mean(at: At, x: Any, dim: Sequence[int] | None, keepdim: bool, **_: Any) -> Flow:
    ndim = len(x.shape) + 1
    if ndim != 4 or dim is None or sorted(axis % ndim for axis in dim) != [2, 3]:
        raise Unsupported(f"along {dim} of samples of shape {x.shape}; a layer does it over the pixels of images")
    if keepdim:
        return at.add(nn.GlobalAvgPool2d(), x)
    return at.add(nn.Flatten(), at.add(nn.GlobalAvgPool2d(), x, shape=(x.shape[0], 1, 1)), part="flatten")


# --- shapes -----------------------------------------------------------------------------------------------------------


@rule("aten.view", "aten.squeeze.dims", "aten.squeeze.dim")
def _reshape(at: At, x: Any, **_: Any) -> Flow:
    if at.shape == x.shape:
        return x  # type: ignore[no-any-return]
    if len(at.shape) == 1:
        return at.add(nn.Flatten(), x)
    raise Unsupported(f"makes samples of shape {at.shape} of {x.shape}; the layer Flatten makes vectors")


@rule("aten.cat")
def _cat(at: At, tensors: Sequence[Any], dim: int) -> Flow:
    if dim % (len(at.shape) + 1) == 0:
        raise Unsupported("is along the batch axis")
    return tensors[0] if len(tensors) == 1 else at.add(nn.Concat(dim), *tensors)


@rule("aten.clone")
def _same(at: At, x: Any, **_: Any) -> Flow:
    return x  # type: ignore[no-any-return]


@rule("<built-in function getitem>")
def _item(at: At, a0: Any, a1: int) -> Any:
    """One of an operator's results."""
    if isinstance(a0, tuple) and a1 < len(a0) and a0[a1] is not None:
        return a0[a1]
    raise Unsupported(f"takes result {a1} of an operator, which layers do not give")


@rule("aten.sym_size.int")
def _size(at: At, x: Any, dim: int) -> Any:
    return at.node.meta["val"]
