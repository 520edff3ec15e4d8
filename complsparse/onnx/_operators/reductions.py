# SPDX-License-Identifier: BSD-3-Clause
"""Operators that reduce axes, or order entries along one."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import built, computed, layered

_REDUCTIONS = {
    "ReduceSum": nn.ReduceSum, "ReduceMean": nn.ReduceMean, "ReduceMax": nn.ReduceMax, "ReduceMin": nn.ReduceMin,
    "ReduceProd": nn.ReduceProd, "ReduceL1": nn.ReduceL1, "ReduceL2": nn.ReduceL2,
    "ReduceSumSquare": nn.ReduceSumSquare, "ReduceLogSum": nn.ReduceLogSum, "ReduceLogSumExp": nn.ReduceLogSumExp,
}  # fmt: skip


@built(*_REDUCTIONS)
def reduction(op: Op, build: Any) -> Any:
    keepdims, noop = bool(op.int("keepdims", 1)), bool(op.int("noop_with_empty_axes", 0))
    axes = op.ints("axes", None)
    if op.has(1):
        found = build.constant(op, 1)
        if found is None:
            layer = _REDUCTIONS[op.kind](keepdims=keepdims, noop=noop)
            return build.add(op, layer, build.value(op, 0), build.value(op, 1))
        axes = tuple(int(n) for n in np.atleast_1d(found))
    axes = axes or None
    return build.add(op, _REDUCTIONS[op.kind](axes=axes, keepdims=keepdims, noop=noop), build.value(op, 0))


@layered("ArgMax", "ArgMin")
def extreme_place(op: Op) -> Any:
    layer = nn.ArgMax if op.kind == "ArgMax" else nn.ArgMin
    last = bool(op.int("select_last_index", 0))
    return layer(axis=op.int("axis", 0), keepdims=bool(op.int("keepdims", 1)), last=last)


@layered("TopK")
def top_k(op: Op) -> Any:
    k = None if op.has(1) else op.int("k")
    return nn.TopK(k=k, axis=op.int("axis", -1), largest=bool(op.int("largest", 1)))


@layered("CumSum")
def cumulative_sum(op: Op) -> Any:
    return nn.CumSum(exclusive=bool(op.int("exclusive", 0)), reverse=bool(op.int("reverse", 0)))


@built("Softmax")
def softmax_of_samples(op: Op, build: Any) -> Any:
    ndim = build.ndim(op, 0)
    axis = op.int("axis", 1 if op.version < 13 else -1)
    if ndim is None or ndim < 2 or op.axis(axis, ndim) == 0 or (op.version < 13 and op.axis(axis, ndim) != ndim - 1):
        return None
    return build.add(op, nn.Softmax(axis), build.value(op, 0))


@computed("Softmax", "LogSoftmax")
def softmax(op: Op, x: Any) -> Any:
    function = scipy.special.softmax if op.kind == "Softmax" else scipy.special.log_softmax
    if op.version >= 13:
        return function(x, axis=op.axis(op.int("axis", -1), x.ndim)).astype(x.dtype, copy=False)
    # Before: of all axes from this one on, together.
    axis = op.axis(op.int("axis", 1), x.ndim)
    rows = int(np.prod(x.shape[:axis]))
    return function(x.reshape(rows, -1), axis=1).reshape(x.shape).astype(x.dtype, copy=False)
