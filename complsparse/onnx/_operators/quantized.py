# SPDX-License-Identifier: BSD-3-Clause
"""Integers of 8 bits as functions of NumPy: exact, because sums are formed in float64, which holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.elementwise import dtype_of
from complsparse.onnx._operators.images import convolved
from complsparse.onnx._operators.table import computed


def _along(op: Op, v: Any, x: Any, axis: int) -> Any:
    """A scale or zero point as it broadcasts with x: one number, one for each entry of an axis, or for each block."""
    if v is None or np.ndim(v) == 0 or np.size(v) == 1:
        return v if v is None else np.reshape(v, ())
    axis = op.axis(axis, x.ndim)
    block = op.int("block_size", 0)
    if block:
        if v.ndim != x.ndim or v.shape[axis] != -(-x.shape[axis] // block):
            raise op.refuse(f"scales of shape {v.shape} in blocks of {block} for an array of shape {x.shape}")
        return np.take(np.repeat(v, block, axis=axis), range(x.shape[axis]), axis=axis)
    if v.ndim != 1 or len(v) != x.shape[axis]:
        raise op.refuse(f"scales of shape {v.shape} along axis {axis} of an array of shape {x.shape}")
    return v.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def _saturated(y: Any, dtype: Any) -> Any:
    limits = np.iinfo(dtype)
    return np.clip(y, limits.min, limits.max).astype(dtype)


@computed("QuantizeLinear")
def quantize(op: Op, x: Any, scale: Any, zero: Any = None) -> Any:
    number = op.int("output_dtype", 0)
    dtype = zero.dtype if zero is not None else dtype_of(op, number) if number else np.dtype(np.uint8)
    if dtype.kind not in "iu":
        raise op.refuse(f"numbers of {dtype}; integers are known")
    scale, zero = _along(op, scale, x, op.int("axis", 1)), _along(op, zero, x, op.int("axis", 1))
    y = np.rint(x / scale.astype(x.dtype))
    return _saturated(y if zero is None else y + zero.astype(y.dtype), dtype)


@computed("DequantizeLinear")
def dequantize(op: Op, x: Any, scale: Any, zero: Any = None) -> Any:
    if x.dtype.kind not in "iu":
        raise op.refuse(f"numbers of {x.dtype}; integers are known")
    scale, zero = _along(op, scale, x, op.int("axis", 1)), _along(op, zero, x, op.int("axis", 1))
    y = x.astype(np.int64) if zero is None else x.astype(np.int64) - zero.astype(np.int64)
    return y.astype(scale.dtype) * scale


@computed("DynamicQuantizeLinear")
def dynamic_quantize(op: Op, x: Any) -> Any:
    low, high = min(0.0, np.min(x, initial=0)), max(0.0, np.max(x, initial=0))
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(255))
    scale = scale if scale > 0 else np.float32(1)
    zero = np.uint8(np.clip(np.rint(-np.float32(low) / scale), 0, 255))
    return _saturated(np.rint(x / scale) + np.float32(zero), np.uint8), scale, zero


def _centred(x: Any, zero: Any) -> Any:
    """About zero. In float64, whose products BLAS has, and whose sums are exact up to 2**53."""
    return x.astype(np.float64) if zero is None else x.astype(np.float64) - zero.astype(np.float64)


@computed("MatMulInteger")
def matmul_integer(op: Op, a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    return _wrapped(np.matmul(_centred(a, _of_rows(a_zero)), _centred(b, b_zero)))


def _wrapped(sums: Any) -> Any:
    """As int32 adds up."""
    return sums.astype(np.int64).astype(np.int32)


def _of_rows(zero: Any) -> Any:
    return zero[..., None] if zero is not None and zero.ndim == 1 and len(zero) > 1 else zero


def _requantized(sums: Any, factor: Any, zero: Any) -> Any:
    """The factor is found in float32, its product with sums in float64, and rounded before the zero point is added."""
    y = np.rint(sums * factor.astype(np.float64))
    return _saturated(y + zero.astype(np.float64), zero.dtype)


@computed("QLinearMatMul")
def quantized_matmul(op: Op, a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, y_scale: Any,
                     y_zero: Any) -> Any:  # fmt: skip
    sums = np.matmul(_centred(a, _of_rows(a_zero)), _centred(b, b_zero))
    return _requantized(sums, _of_rows(a_scale) * b_scale / y_scale, y_zero)


def _of_filters(v: Any, ndim: int) -> Any:
    return v if v is None or np.size(v) == 1 else v.reshape(-1, *[1] * (ndim - 1))


@computed("ConvInteger")
def convolution_integer(op: Op, x: Any, w: Any, x_zero: Any = None, w_zero: Any = None) -> Any:
    sums = convolved(op, _centred(x, x_zero), _centred(w, _of_filters(w_zero, w.ndim)), None, 0)
    return _wrapped(sums)


@computed("QLinearConv")
def quantized_convolution(op: Op, x: Any, x_scale: Any, x_zero: Any, w: Any, w_scale: Any, w_zero: Any, y_scale: Any,
                          y_zero: Any, bias: Any = None) -> Any:  # fmt: skip
    wide = None if bias is None else bias.astype(np.float64)
    sums = convolved(op, _centred(x, x_zero), _centred(w, _of_filters(w_zero, w.ndim)), wide, 0)
    factor = _of_filters(w_scale, w.ndim - 1)
    return _requantized(sums, x_scale * factor / y_scale, y_zero)
