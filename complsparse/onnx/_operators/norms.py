# SPDX-License-Identifier: BSD-3-Clause
"""Normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import OURS, built, computed, is_one_zero


def _channels(v: Any, ndim: int) -> Any:
    return v.reshape(-1, *[1] * (ndim - 2))


@built("BatchNormalization")
def folded_batch_norm(op: Op, build: Any) -> Any:
    vectors = [build.constant(op, i) for i in range(1, 5)]
    if len(op.outputs) > 1 or op.int("training_mode", 0) or not op.int("spatial", 1):
        return None
    if any(v is None or v.ndim != 1 or v.dtype.kind != "f" for v in vectors):
        return None
    scale, bias, mean, var = vectors
    layer = nn.BatchNorm(mean, var, scale, bias, eps=op.float("epsilon", 1e-5), axis=1)
    return build.add(op, layer, build.value(op, 0))


@computed("BatchNormalization")
def batch_norm(op: Op, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
    if not op.int("spatial", 1):
        raise op.refuse("batch norm of every place by itself (spatial=0)")
    eps = op.float("epsilon", 1e-5)
    if op.int("training_mode", 0):
        axes = tuple(i for i in range(x.ndim) if i != 1)
        momentum = op.float("momentum", 0.9)
        now_mean, now_var = x.mean(axis=axes), x.var(axis=axes)
        y = _normalised(x, _channels(now_mean, x.ndim), _channels(now_var, x.ndim), eps)
        y = y * _channels(scale, x.ndim) + _channels(bias, x.ndim)
        running = (mean * momentum + now_mean * (1 - momentum), var * momentum + now_var * (1 - momentum))
        return tuple(part.astype(x.dtype, copy=False) for part in (y, *running)[: len(op.outputs)])
    y = _normalised(x, _channels(mean, x.ndim), _channels(var, x.ndim), eps)
    return (y * _channels(scale, x.ndim) + _channels(bias, x.ndim)).astype(x.dtype, copy=False)


def _normalised(x: Any, mean: Any, var: Any, eps: float) -> Any:
    with np.errstate(all="ignore"):
        return (x - mean) / np.sqrt(var + var.dtype.type(eps))


@computed("InstanceNormalization")
def instance_norm(op: Op, x: Any, scale: Any, bias: Any) -> Any:
    axes = tuple(range(2, x.ndim))
    y = _normalised(x, x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True), op.float("epsilon", 1e-5))
    return y * _channels(scale, x.ndim) + _channels(bias, x.ndim)


@computed("GroupNormalization")
def group_norm(op: Op, x: Any, scale: Any, bias: Any) -> Any:
    groups = op.int("num_groups")
    if groups < 1 or x.ndim < 2 or x.shape[1] % groups:
        raise op.refuse(f"{groups} groups of an input of shape {x.shape}")
    parts = x.reshape(x.shape[0], groups, -1)
    y = _normalised(parts, parts.mean(-1, keepdims=True), parts.var(-1, keepdims=True), op.float("epsilon", 1e-5))
    if op.version < 21:  # a factor for each group
        y = y * scale.reshape(groups, 1) + bias.reshape(groups, 1)
        return y.reshape(x.shape)
    return y.reshape(x.shape) * _channels(scale, x.ndim) + _channels(bias, x.ndim)


@built("LayerNormalization", "RMSNormalization")
def norm_of_samples(op: Op, build: Any) -> Any:
    weights = [build.constant(op, i) if op.has(i) else None for i in (1, 2)]
    if len(op.outputs) > 1 or any(op.has(i) and w is None for i, w in zip((1, 2), weights, strict=True)):
        return None
    given = {"weight": weights[0], "axis": op.int("axis", -1), "eps": op.float("epsilon", 1e-5)}
    layer = nn.LayerNorm(bias=weights[1], **given) if op.kind[0] == "L" else nn.RMSNorm(**given)
    return build.add(op, layer, build.value(op, 0))


@built("Norm", domain=OURS)
def found_norm(op: Op, build: Any) -> Any:
    """Written out, with constant factors or none."""
    weight, bias = (build.constant(op, i) if op.has(i) else None for i in (1, 2))
    return build.add(op, nn.LayerNorm(weight=weight, bias=bias, eps=op.float("epsilon")), build.value(op, 0))


@computed("LayerNormalization")
def layer_norm(op: Op, x: Any, scale: Any, bias: Any = None) -> Any:
    axes = tuple(range(op.axis(op.int("axis", -1), x.ndim), x.ndim))
    wide = x.astype(np.result_type(x.dtype, np.float32))
    mean, var = wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)
    deviation = np.sqrt(var + var.dtype.type(op.float("epsilon", 1e-5)))
    y = ((wide - mean) / deviation).astype(x.dtype) * scale
    y = y if bias is None else y + bias
    return (y, mean, 1 / deviation)[: len(op.outputs)]


@computed("RMSNormalization")
def rms_norm(op: Op, x: Any, scale: Any) -> Any:
    axes = tuple(range(op.axis(op.int("axis", -1), x.ndim), x.ndim))
    wide = x.astype(np.result_type(x.dtype, np.float32))
    squares = np.mean(np.square(wide), axis=axes, keepdims=True)
    return (wide / np.sqrt(squares + wide.dtype.type(op.float("epsilon", 1e-5)))).astype(x.dtype) * scale


@computed("LpNormalization")
def lp_norm(op: Op, x: Any) -> Any:
    axis = op.axis(op.int("axis", -1), x.ndim)
    power = op.int("p", 2, (1, 2))
    length = np.linalg.norm(x, power, axis=axis, keepdims=True)
    return np.where(length == 0, 0, x / np.where(length == 0, 1, length)).astype(x.dtype)


@computed("LRN")
def local_response(op: Op, x: Any) -> Any:
    """Each channel by its neighbours."""
    size, number = op.int("size"), x.dtype.type
    if size < 1:
        raise op.refuse(f"size {size}")
    bias = number(op.float("bias", 1.0))
    if is_one_zero(x) and bias:
        return x
    squares, around = np.square(x), np.zeros_like(x)
    before = (size - 1) // 2
    for channel in range(x.shape[1]):
        around[:, channel] = squares[:, max(0, channel - before) : channel + size - before].sum(axis=1)
    factor = bias + number(op.float("alpha", 1e-4) / size) * around
    return x / factor ** number(op.float("beta", 0.75))
