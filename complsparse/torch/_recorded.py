# SPDX-License-Identifier: BSD-3-Clause
"""Calls of complsparse on tensors that require grad: the weights are constants, gradients flow to x and to the bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.bound import bind
from complsparse._conv.conv import conv2d
from complsparse._ops.contests import winners_wanted
from complsparse._ops.products import checked_weights
from complsparse._ops.vectors import normal_axes
from complsparse.torch._contests import contest
from complsparse.torch._patterns import as_matrix, positions_of

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "leaky_relu": functional.leaky_relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "hard_swish": functional.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


def _as_tensor(given: Any, name: str) -> Tensor:
    return given if isinstance(given, Tensor) else torch.from_numpy(np.array(as_array(given, name)))


class _Product(torch.autograd.Function):
    """One of the three forms of a product; its derivative has the same form, with the transposed matrix."""

    @staticmethod
    def forward(x: Tensor, W: Any, form: str, dtype: Any) -> Any:
        x = x.detach()
        if form == "linear":
            return _core.linear(x, W, dtype=dtype)
        return _core.matmul(W, x, dtype=dtype) if form == "W @ X" else _core.matmul(x, W, dtype=dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.W, ctx.form, _ = inputs

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        return _Product.apply(dy, ctx.W.T, ctx.form, None), None, None, None


class _Convolution(torch.autograd.Function):
    """Of images that are padded already, channels first."""

    @staticmethod
    def forward(x: Tensor, W: Any, of: Any, groups: int, dtype: Any) -> Any:
        return conv2d(x.detach(), W, of.kernel, stride=of.stride, dilation=of.dilation, groups=groups, dtype=dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.W, ctx.geometry, ctx.groups, _ = inputs
        ctx.image = x.shape[2:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        of = ctx.geometry
        W = ctx.W
        if ctx.groups > 1:
            W = as_matrix(positions_of(W).numpy(), W.shape, ctx.groups).with_values(W.data)
        columns = _core.matmul(W.T, dy.flatten(2))
        dx = functional.fold(columns, ctx.image, of.kernel, of.dilation, 0, of.stride)
        return dx, None, None, None, None


def _finished(y: Tensor, bias: Any, activation: Any, axis: int) -> Tensor:
    """With the bias along an axis, and the activation, as differentiable operations."""
    if bias is not None:
        offset = _as_tensor(bias, "bias")
        if offset.shape != (y.shape[axis],):
            raise ValueError(
                f"bias has shape {tuple(offset.shape)}; it needs one entry per output feature: ({y.shape[axis]},)"
            )
        y = y + offset.reshape(-1, *[1] * (-axis - 1)).to(y.dtype)
    if activation is None:
        return y
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is not known; use {', '.join(['None', *map(repr, _ACTIVATIONS)])}")
    return _ACTIVATIONS[activation](y)


def _no_out(out: Any) -> None:
    if out is not None:
        raise TypeError("a result that records gradients takes no out: pass x.detach(), or leave out= away")


def linear(x: Any, W: Any, out: Any, bias: Any, activation: Any, dtype: Any) -> Tensor:
    """`complsparse.linear`, recorded."""
    checked_weights(W)
    _no_out(out)
    return _finished(_Product.apply(_as_tensor(x, "x"), W, "linear", dtype), bias, activation, -1)


def matmul(A: Any, B: Any, out: Any, bias: Any, activation: Any, dtype: Any) -> Tensor:
    """`complsparse.matmul`, recorded."""
    _no_out(out)
    if isinstance(A, _core.Operand):
        X = _as_tensor(B, "X")
        return _finished(_Product.apply(X, A, "W @ X", dtype), bias, activation, -1 if X.ndim == 1 else -2)
    if not isinstance(B, _core.Operand):
        raise TypeError(f"matmul needs a ComplementaryMatrix; got {type(A).__name__} and {type(B).__name__}")
    return _finished(_Product.apply(_as_tensor(A, "X"), B, "X @ W", dtype), bias, activation, -1)


def convolve(
    x: Any,
    W: Any,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    bias: Any,
    activation: Any,
    layout: Any,
    out: Any,
    dtype: Any,
) -> Tensor:
    """`complsparse.conv2d` and `conv1d`, recorded."""
    _no_out(out)
    images = _as_tensor(x, "x")
    name = f"conv{axes}d"
    bound, _ = bind(tuple(images.shape), W, axes, kernel_size, stride, padding, dilation, groups, layout, name)
    if bound.channels_last:
        images = images.movedim(-1, 1)
    if axes == 1:
        images = images.unsqueeze(2)
    of = bound.geometry
    padded = functional.pad(images, (of.before[1], of.after[1], of.before[0], of.after[0]))
    y = _finished(_Convolution.apply(padded, W, of, bound.groups, dtype), bias, activation, -3)
    y = y.squeeze(2) if axes == 1 else y
    return y.movedim(1, -1) if bound.channels_last else y


def kwta_dense(x: Any, k: Any, axis: Any, relu: Any, bias: Any, boost: Any) -> Tensor:
    """`complsparse.kwta_dense`, recorded; no gradient flows into the boost."""
    values = _as_tensor(x, "x")
    values = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    axes = normal_axes(axis, values.ndim)
    size = [values.shape[a] for a in axes]
    if bias is not None:
        offset = _as_tensor(bias, "bias").to(values.dtype).expand(size)
        values = values + offset.reshape([n if a in axes else 1 for a, n in enumerate(values.shape)])
    factors = None if boost is None else _as_tensor(boost, "boost").detach().to(values.dtype).expand(size)
    y, _ = contest(values, winners_wanted(k, math.prod(size)), axes, factors)
    return torch.where(y > 0, y, 0) if relu else y
