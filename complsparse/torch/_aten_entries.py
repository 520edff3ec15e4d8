# SPDX-License-Identifier: BSD-3-Clause
"""Which layer does what an operator of torch does: what is done entry by entry, of one value or of several."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from complsparse import nn
from complsparse.torch._translation import At, Flow, Unsupported, constant, optional, rule

# Those without arguments.
ENTRY_BY_ENTRY: dict[str, type[nn.Layer]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.HardSwish, "hardsigmoid": nn.HardSigmoid,
    "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "exp": nn.Exp, "log": nn.Log, "sqrt": nn.Sqrt, "reciprocal": nn.Reciprocal,
    "abs": nn.Abs, "neg": nn.Neg, "erf": nn.Erf, "sin": nn.Sin, "cos": nn.Cos, "floor": nn.Floor, "ceil": nn.Ceil,
    "round": nn.Round, "sign": nn.Sign, "isnan": nn.IsNaN, "logical_not": nn.Not,
}  # fmt: skip


def _entry_by_entry(layer: type[nn.Layer]) -> None:
    @rule(*(f"aten.{name}" for name, kind in ENTRY_BY_ENTRY.items() if kind is layer))
    def of_each(at: At, x: Any) -> Flow:
        return at.add(layer(), x)


for _layer in ENTRY_BY_ENTRY.values():
    _entry_by_entry(_layer)


@rule("aten.gelu")
def _gelu(at: At, x: Any, approximate: str) -> Flow:
    if approximate == "none":
        return at.add(nn.GELU(), x)
    cubed = at.add(nn.Mul(), at.add(nn.Mul(), x, x, part="square"), x, part="cube")
    inner = at.add(
        nn.Add(), _times(at, x, math.sqrt(2 / math.pi)), _times(at, cubed, 0.044715 * math.sqrt(2 / math.pi))
    )
    half = _times(at, x, 0.5)
    return at.add(nn.Add(), half, at.add(nn.Mul(), half, at.add(nn.Tanh(), inner)))


def _times(at: At, x: Flow, factor: float) -> Flow:
    return at.add(scaling(np.full(x.shape[0], factor), None, 1), x, part="scaled")


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


def scaling(factor: Any, summand: Any, axis: int) -> nn.BatchNorm:
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
        return at.add(scaling(vector, None, axis), x)
    return at.add(scaling(np.full(len(vector), float(factor)), vector, axis), x)


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


# Of two values, or of a value and a constant or number.
OF_TWO: dict[str, type[nn.Layer]] = {
    "maximum": nn.Max, "minimum": nn.Min, "pow.Tensor_Scalar": nn.Pow, "pow.Tensor_Tensor": nn.Pow,
    "logical_and": nn.And, "logical_or": nn.Or, "logical_xor": nn.Xor,
    **{
        f"{name}.{kind}": layer
        for name, layer in {
            "eq": nn.Equal, "lt": nn.Less, "le": nn.LessOrEqual, "gt": nn.Greater, "ge": nn.GreaterOrEqual,
        }.items()
        for kind in ("Tensor", "Scalar")
    },
}  # fmt: skip


def _of_two(name: str, layer: type[nn.Layer]) -> None:
    @rule(f"aten.{name}")
    def of_two(at: At, x: Any, other: Any = None, exponent: Any = None) -> Flow:
        return at.add(layer(), *(_operand(at, v) for v in (x, exponent if other is None else other)))


for _name, _layer in OF_TWO.items():
    _of_two(_name, _layer)


def _operand(at: At, value: Any) -> Flow:
    """A value, or a constant as one."""
    if isinstance(value, Flow):
        return value
    array = value.detach().cpu() if isinstance(value, Tensor) else torch.tensor(value)
    return at.constant(array.numpy() if array.dtype in (torch.bool, torch.int64) else constant(array))


def _of_conditions(name: str, layer: type[nn.Layer]) -> None:
    @rule(f"aten.__{name}__.Tensor", f"aten.bitwise_{name}.Tensor")
    def of_conditions(at: At, x: Any, other: Any) -> Flow:
        if at.node.meta["val"].dtype is not torch.bool:
            raise Unsupported("is of bits; layers take conditions")
        return at.add(layer(), _operand(at, x), _operand(at, other))


for _name, _layer in {"and": nn.And, "or": nn.Or, "xor": nn.Xor}.items():
    _of_conditions(_name, _layer)


@rule("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther")
def _where(at: At, condition: Any, x: Any, other: Any) -> Flow:
    return at.add(nn.Where(), *(_operand(at, v) for v in (condition, x, other)))


@rule("aten.masked_fill.Scalar")
def _masked_fill(at: At, x: Any, mask: Any, value: Any) -> Flow:
    return _where(at, mask, float(value), x)


@rule("aten.softplus")
def _softplus(at: At, x: Any, beta: float, threshold: float) -> Flow:
    """Beyond the threshold torch leaves out what is added: nothing that numbers show, for one of 20."""
    if beta != 1 or threshold < 20:
        raise Unsupported(f"has beta={beta} and threshold={threshold}; the layer has 1 and none")
    return at.add(nn.Softplus(), x)
