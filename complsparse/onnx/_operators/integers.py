# SPDX-License-Identifier: BSD-3-Clause
"""Operators on integers of 8 bits as layers: where weights are constant and sparse, products run on 8-bit numbers.

Scales and zero points are constants, one for all activations; weights have one scale, or one for each output, and lie
within int8 when their zero point is taken off. Whatever is in another form is a function of NumPy (`quantized.py`).
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse import nn
from complsparse._matrix.csr import frozen
from complsparse._matrix.makers import from_dense, from_filters
from complsparse.nn._integers import Numbers
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import built
from complsparse.onnx._operators.windows import padding_of

_FLOAT32 = np.dtype(np.float32)


class Quantised(NamedTuple):
    """A constant that DequantizeLinear made real: its integers, scale, zero point, and the axis of these."""

    values: NDArray[Any]
    scale: NDArray[Any]
    zero: NDArray[Any] | None
    axis: int


def numbers_of(scale: Any, zero: Any, dtype: Any) -> Numbers | None:
    """Of activations; None where they are not one scale and one zero point of 8 bits."""
    if scale is None or np.size(scale) != 1 or (zero is not None and np.size(zero) != 1):
        return None
    if scale.dtype != _FLOAT32 or np.dtype(dtype) not in (np.uint8, np.int8):
        return None
    return Numbers(np.dtype(dtype), float(scale.reshape(())), 0 if zero is None else int(zero.reshape(())))


@built("QuantizeLinear")
def quantize(op: Op, build: Any) -> Any:
    scale, zero = build.constant(op, 1), build.constant(op, 2)
    if op.has(2) != (zero is not None) or op.int("block_size", 0) or not build.is_float(op, 0):
        return None
    if zero is None and op.int("output_dtype", 2) != 2:
        return None
    numbers = numbers_of(scale, zero, np.uint8 if zero is None else zero.dtype)
    if numbers is None or not build.ndim(op, 0):
        return None
    with contextlib.suppress(ValueError):  # a scale that is none of the layer's
        return build.add(op, nn.Quantize(*numbers.border), build.value(op, 0))
    return None


@built("DequantizeLinear")
def dequantize(op: Op, build: Any) -> Any:
    scale, zero = build.constant(op, 1), build.constant(op, 2)
    spec = build.specs.get(build.value(op, 0))
    if op.has(2) != (zero is not None) or op.int("block_size", 0) or spec is None or spec.samples is None:
        return None
    numbers = numbers_of(scale, zero, np.float32 if spec.dtype is None else spec.dtype)
    if numbers is None:
        return None
    with contextlib.suppress(ValueError):
        made = build.add(op, nn.Dequantize(*numbers.border), build.value(op, 0))
        build.integers[op.outputs[0]] = build.value(op, 0), numbers
        return made
    return None


# --- weights ----------------------------------------------------------------------------------------------------------


def weights_of(build: Any, given: Quantised | None, outputs: int) -> Any:
    """A matrix of int8 with a scale for each row, of weights whose outputs lie along this axis; None where they are not
    sparse, or of another form."""
    if given is None or given.values.dtype not in (np.int8, np.uint8) or given.scale.dtype != _FLOAT32:
        return None
    values, n = given.values.astype(np.int16), given.values.shape[outputs]
    for vector in (given.scale, given.zero):
        if vector is not None and vector.size != 1 and (vector.shape != (n,) or given.axis % values.ndim != outputs):
            return None
    values = np.moveaxis(values, outputs, 0)
    if given.zero is not None:
        values = values - given.zero.astype(np.int16).reshape(-1, *[1] * (values.ndim - 1))
    scale = np.broadcast_to(given.scale.reshape(-1), (n,))
    if not build.is_sparse(values) or np.abs(values).max(initial=0) > 127 or not (scale > 0).all():
        return None
    numbers = np.ascontiguousarray(values, dtype=np.int8)
    W = from_filters(numbers) if numbers.ndim > 2 else from_dense(numbers)
    return W._with_stored_values(W._stored().data, frozen(np.array(scale)))


# --- products that give integers --------------------------------------------------------------------------------------


def _given(op: Op, build: Any, places: tuple[int, ...]) -> list[Any] | None:
    """Constants; None where one that is there is not known."""
    found = [build.constant(op, i) for i in places]
    missing = [op.has(i) for i, array in zip(places, found, strict=True) if array is None]
    return None if any(missing) else found


def _scaled(op: Op, build: Any, layer: Any, outputs: int, bias: Any = None, **more: Any) -> Any:
    given = _given(op, build, (1, 2, 3, 4, 5, 6, 7))
    if given is None or build.is_float(op, 0):
        return None
    x_scale, x_zero, values, scale, zero, y_scale, y_zero = given
    if any(array is None for array in (x_zero, values, scale, zero, y_zero)):
        return None
    numbers, out = numbers_of(x_scale, x_zero, x_zero.dtype), numbers_of(y_scale, y_zero, y_zero.dtype)
    if numbers is None or out is None or values.ndim < 2:
        return None
    W = weights_of(build, Quantised(values, scale, zero, outputs), outputs)
    if W is None:
        return None
    if bias is not None:  # integers, in units that the layer divides by again
        more["bias"] = bias.astype(np.float64) * (numbers.scale * W.scale.astype(np.float64))
    with contextlib.suppress(ValueError):
        made = layer(
            W, x_scale=numbers.scale, x_zero_point=numbers.zero_point, x_dtype=numbers.dtype, out_scale=out.scale,
            out_zero_point=out.zero_point, out_dtype=out.dtype, **more,
        )  # fmt: skip
        return build.add(op, made, build.value(op, 0))
    return None


@built("QLinearMatMul")
def quantized_matmul(op: Op, build: Any) -> Any:
    ndim, W = build.ndim(op, 0), build.constant(op, 3)
    if W is None or W.ndim != 2 or ndim is None or ndim < 2:
        return None
    return _scaled(op, build, nn.ScaledQLinear, 1)


@built("QLinearConv")
def quantized_convolution(op: Op, build: Any) -> Any:
    W, bias = build.constant(op, 3), build.constant(op, 8)
    geometry = None if W is None or op.has(8) != (bias is not None) else geometry_of(op, W)
    return None if geometry is None else _scaled(op, build, nn.ScaledQConv2d, 0, bias, **geometry)


def geometry_of(op: Op, W: NDArray[Any]) -> dict[str, Any] | None:
    """Of filters for images of two axes, as layers take it."""
    if W.ndim != 4:
        return None
    padding, kernel = padding_of(op, 2), tuple(W.shape[2:])
    if padding is None or op.ints("kernel_shape", kernel) != kernel:
        return None
    return {
        "kernel_size": kernel, "stride": op.ints("strides", (1, 1)), "padding": padding,
        "dilation": op.ints("dilations", (1, 1)), "groups": op.int("group", 1),
    }  # fmt: skip


@built("MatMulInteger")
def sums(op: Op, build: Any) -> Any:
    """Zero points of activations are one number; known, or found while the network runs."""
    given = _given(op, build, (1, 3))
    shapes = [build.shape(op, i) for i in (0, 2) if op.has(i)]
    if given is None or given[0] is None or given[0].ndim != 2 or None in shapes or len(shapes[0]) < 1:
        return None
    if len(shapes) > 1 and math.prod(shapes[1]) != 1:
        return None
    W = weights_of(build, Quantised(given[0], np.ones(1, np.float32), given[1], 1), 1)
    if W is None:
        return None
    return build.add(op, nn.IntegerLinear(W), *(build.value(op, i) for i in (0, 2) if op.has(i)))


# --- products between DequantizeLinear and QuantizeLinear -------------------------------------------------------------


def product_of_integers(op: Op, build: Any, outputs: int, bias: Any = None) -> Any:
    """MatMul, Gemm or Conv of what DequantizeLinear made real: as a product of the integers, with real results. None
    where they are not known, or weights are not sparse."""
    of_x = build.integers.get(op.inputs[0])
    given = build.quantised.get(op.inputs[1])
    if of_x is None or given is None:
        return None
    geometry = geometry_of(op, given.values) if op.kind == "Conv" else {}
    W = None if geometry is None else weights_of(build, given, outputs)
    if W is None or geometry is None:
        return None
    handle, numbers = of_x
    apart = bias
    if bias is not None:
        units = numbers.scale * W.scale.astype(np.float64)
        whole = np.rint(bias.astype(np.float64) / units)
        if np.allclose(bias, whole * units, rtol=1e-6, atol=0):  # an integer, which DequantizeLinear made real
            bias, apart = whole * units, None
        else:
            bias = None
    layer: Any = nn.QConv2d if op.kind == "Conv" else nn.QLinear
    try:
        made = layer(
            W, x_scale=numbers.scale, x_zero_point=numbers.zero_point, x_dtype=numbers.dtype, bias=bias, **geometry
        )
    except ValueError:  # sums that could leave int32
        return None
    y = build.add(op, made, handle)
    if apart is None:
        return y
    shape = (-1, 1, 1) if op.kind == "Conv" else (-1,)
    return build.add(op, nn.Add(), y, build._fixed(apart.astype(np.float32).reshape(shape), f"{op.name}.bias"))
