# SPDX-License-Identifier: BSD-3-Clause
"""Operators on entries: arithmetic, activations, comparisons, casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.table import OPERATORS, OURS, Row, built, computed, layered

# Those without attributes that are layers as they are.
for _kind, _layer in {
    "Abs": nn.Abs, "Ceil": nn.Ceil, "Cos": nn.Cos, "Erf": nn.Erf, "Exp": nn.Exp, "Floor": nn.Floor, "Log": nn.Log,
    "Neg": nn.Neg, "Reciprocal": nn.Reciprocal, "Round": nn.Round, "Sigmoid": nn.Sigmoid, "Sign": nn.Sign,
    "Sin": nn.Sin, "Softplus": nn.Softplus, "Sqrt": nn.Sqrt, "Tanh": nn.Tanh, "Identity": nn.Identity, "Not": nn.Not,
    "IsNaN": nn.IsNaN, "Where": nn.Where, "Pow": nn.Pow, "And": nn.And, "Or": nn.Or, "Xor": nn.Xor, "Equal": nn.Equal,
    "Greater": nn.Greater, "Less": nn.Less, "GreaterOrEqual": nn.GreaterOrEqual, "LessOrEqual": nn.LessOrEqual,
    "Add": nn.Add, "Mul": nn.Mul, "Sub": nn.Sub, "Div": nn.Div,
}.items():  # fmt: skip
    OPERATORS["", _kind] = Row(layer=lambda op, made=_layer: made())  # type: ignore[misc]
for _kind, _layer in {"Silu": nn.SiLU, "Gelu": nn.GELU, "HardSwish": nn.HardSwish}.items():
    OPERATORS[OURS, _kind] = Row(layer=lambda op, made=_layer: made())  # type: ignore[misc]

_UNARY = {
    "Cosh": np.cosh, "Sinh": np.sinh, "Tan": np.tan, "Acos": np.arccos, "Asin": np.arcsin, "Atan": np.arctan,
    "Acosh": np.arccosh, "Asinh": np.arcsinh, "Atanh": np.arctanh, "Softsign": lambda x: x / (1 + np.abs(x)),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
}  # fmt: skip
for _kind, _function in _UNARY.items():
    OPERATORS["", _kind] = Row(compute=lambda op, x, function=_function: function(x))


@built("Add", "Mul", "Sub", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
def before_version_7(op: Op, build: Any) -> Any:
    """The second operand broadcast along an axis that an attribute named."""
    if op.version >= 7 or not op.int("broadcast", 0):
        return None
    x, y = (build.ndim(op, i) for i in range(2))
    if x is None or y is None:
        raise op.refuse("broadcast along an axis of an array whose axes are not known")
    axis = op.axis(op.int("axis", x - y), max(x, 1))
    behind = tuple(range(y, y + max(0, x - axis - y)))
    second = build.add(op, nn.Unsqueeze(axes=behind), build.value(op, 1)) if behind else build.value(op, 1)
    return build.add(op, OPERATORS["", op.kind].layer(op), build.value(op, 0), second)  # type: ignore[misc]


@layered("Sum", "Max", "Min")
def of_any_number(op: Op) -> Any:
    if len(op.inputs) == 1:
        return nn.Identity()
    return {"Sum": nn.Add, "Max": nn.Max, "Min": nn.Min}[op.kind]()


@computed("Mean")
def mean(op: Op, *xs: Any) -> Any:
    return sum(xs[1:], xs[0]) / xs[0].dtype.type(len(xs))


@layered("Mod")
def modulo(op: Op) -> Any:
    return nn.Mod(fmod=bool(op.int("fmod", 0)))


@computed("IsInf")
def is_infinite(op: Op, x: Any) -> Any:
    found = np.zeros(x.shape, dtype=bool)
    if op.int("detect_positive", 1):
        found |= np.isposinf(x)
    if op.int("detect_negative", 1):
        found |= np.isneginf(x)
    return found


@layered("Relu")
def relu(op: Op) -> Any:
    return nn.ReLU()


@computed("Relu")
def relu_of_any(op: Op, x: Any) -> Any:
    return np.maximum(x, 0)


@layered("HardSwish")
def hard_swish(op: Op) -> Any:
    return nn.HardSwish()


@layered("LeakyRelu")
def leaky_relu(op: Op) -> Any:
    slope = op.float("alpha", 0.01)
    return nn.LeakyReLU() if np.float32(slope) == np.float32(0.01) else nn.PReLU(weight=slope)


@layered("PRelu")
def prelu(op: Op) -> Any:
    return None if op.version < 7 else nn.PReLU()


@computed("PRelu")
def prelu_of_channels(op: Op, x: Any, slope: Any) -> Any:
    return np.where(x > 0, x, slope.reshape(-1, *[1] * (x.ndim - 2)) * x)


@layered("Elu")
def elu(op: Op) -> Any:
    return nn.ELU(alpha=op.float("alpha", 1.0))


@computed("Selu", "Celu", "ThresholdedRelu", "Shrink")
def bent(op: Op, x: Any) -> Any:
    number = x.dtype.type
    if op.kind == "ThresholdedRelu":
        return np.where(x > number(op.float("alpha", 1.0)), x, number(0))
    if op.kind == "Shrink":
        lambd, bias = number(op.float("lambd", 0.5)), number(op.float("bias", 0.0))
        return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, number(0)))
    if op.kind == "Celu":
        alpha = number(op.float("alpha", 1.0))
        return np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x, 0) / alpha), 0)
    alpha, gamma = op.float("alpha", 1.67326319217681884765625), op.float("gamma", 1.05070102214813232421875)
    return number(gamma) * np.where(x > 0, x, number(alpha) * np.expm1(np.minimum(x, 0)))


@layered("HardSigmoid")
def hard_sigmoid(op: Op) -> Any:
    return nn.HardSigmoid(alpha=op.float("alpha", 0.2), beta=op.float("beta", 0.5))


@layered("Gelu")
def gelu(op: Op) -> Any:
    return nn.GELU() if op.str("approximate", "none", ("none", "tanh")) == "none" else None


@computed("Gelu")
def gelu_by_tanh(op: Op, x: Any) -> Any:
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


OPERATORS["com.microsoft", "Gelu"] = OPERATORS["", "Gelu"]


@computed("Swish")
def swish(op: Op, x: Any) -> Any:
    return x * scipy.special.expit(x * x.dtype.type(op.float("alpha", 1.0)))


@built("Clip")
def clip(op: Op, build: Any) -> Any:
    if op.version < 11:
        least, most = op.float("min", None), op.float("max", None)
    else:
        found = [build.constant(op, i) if op.has(i) else None for i in (1, 2)]
        if any(bound is None and op.has(i) for i, bound in zip((1, 2), found, strict=True)):
            return None
        if any(bound is not None and (bound.size != 1 or bound.dtype.kind != "f") for bound in found):
            return None
        least, most = (None if bound is None else float(bound.reshape(())) for bound in found)
    if least == 0 and (most is None or most == np.inf or most == np.finfo(np.float32).max):
        layer: Any = nn.ReLU()
    else:
        layer = nn.ReLU6() if (least, most) == (0, 6) else nn.Clip(least=least, most=most)
    return build.add(op, layer, build.value(op, 0))


@computed("Clip")
def clip_between(op: Op, x: Any, least: Any = None, most: Any = None) -> Any:
    if least is not None:
        x = np.maximum(x, np.asarray(least, dtype=x.dtype))
    return x if most is None else np.minimum(x, np.asarray(most, dtype=x.dtype))


@computed("Cast")
def cast(op: Op, x: Any) -> Any:
    return cast_to(op, x, dtype_of(op, op.int("to")))


@computed("CastLike")
def cast_like(op: Op, x: Any, like: Any) -> Any:
    return cast_to(op, x, like.dtype)


def cast_to(op: Op, x: Any, dtype: np.dtype[Any]) -> Any:
    """Floating point numbers stay those that the network computes in."""
    if dtype.kind == "f" and dtype.itemsize > 1:
        return x if x.dtype.kind == "f" else x.astype(np.float32)
    if dtype.kind not in "iub":
        raise op.refuse(f"a cast to {dtype}; real numbers and truths are cast")
    if dtype.kind in "iu" and x.dtype.kind == "f":
        return np.nan_to_num(x, nan=0.0).astype(dtype)
    return x.astype(dtype)


def dtype_of(op: Op, number: int) -> np.dtype[Any]:
    """Of ONNX's number of a type."""
    import onnx

    try:
        found: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(number)
    except (KeyError, ValueError):
        raise op.refuse(f"type {number} is not known") from None
    return found


@computed("Dropout")
def dropout(op: Op, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """At inference: the mask keeps all."""
    if training is not None and bool(np.any(training)):
        raise op.refuse("dropout as it is in training")
    return x, np.ones(x.shape, dtype=bool)
