# SPDX-License-Identifier: BSD-3-Clause
"""Where real numbers become integers and integers real numbers; what all layers of integers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._quantized.numbers import LEAST_SCALE, is_8_bit, range_of
from complsparse._quantized.requantize import checked_scale, checked_zero_point
from complsparse.nn._elementwise import dense
from complsparse.nn._layer import Layer
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

INT32: np.dtype[Any] = np.dtype(np.int32)
FLOAT32: np.dtype[Any] = np.dtype(np.float32)


class Numbers(NamedTuple):
    """What integers stand for: ``scale * (q - zero_point)``."""

    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def border(self) -> tuple[float, int, np.dtype[Any]]:
        """As `Quantize` and `Dequantize` take it."""
        return self.scale, self.zero_point, self.dtype


def checked_8_bits(dtype: Any, name: str) -> np.dtype[Any]:
    wanted: np.dtype[Any] = np.dtype(dtype)
    if not is_8_bit(wanted):
        raise TypeError(f"{name}={wanted}: numbers of 8 bits are uint8 or int8")
    return wanted


class QuantizedLayer(Layer):
    """A layer of numbers that stand for ``scale * (q - zero_point)``. Networks with one compute in float32 besides."""

    takes_integers = True

    def numbers_behind(self, given: Numbers | None) -> Numbers | None:
        """What its results stand for, where its first input is of these; None: real numbers."""
        return given

    def to_dense(self) -> Layer:
        raise TypeError("a quantised network has no dense form: quantize the dense one, net.to_dense()")


class _Border(QuantizedLayer):
    def __init__(self, scale: float, zero_point: int = 0, dtype: Any = "uint8") -> None:
        self.dtype = checked_8_bits(dtype, "dtype")
        self.scale = checked_scale(scale, "scale")
        if not LEAST_SCALE <= self.scale <= np.finfo(np.float32).max:
            raise ValueError(f"scale is {self.scale}, which float32 cannot hold in full precision")
        self.zero_point = checked_zero_point(zero_point, self.dtype, "zero_point")

    def arguments(self) -> dict[str, Any]:
        return {"scale": self.scale, "zero_point": self.zero_point, "dtype": self.dtype.name}


class Quantize(_Border):
    """Real numbers as integers of 8 bits: ``x / scale`` in float32, rounded half to even, plus the zero point,
    saturated. NaN becomes the least integer.

    Parameters
    ----------
    scale : float
    zero_point : int
    dtype : {"uint8", "int8"}

    Raises
    ------
    ValueError, TypeError
        A scale that is not positive, or that float32 cannot hold; a zero point out of range; another dtype.
    """

    takes_integers = False

    def numbers_behind(self, given: Numbers | None) -> Numbers:
        return Numbers(self.dtype, self.scale, self.zero_point)

    def infer(self, *inputs: Spec) -> Spec:
        return inputs[0].dense._replace(dtype=self.dtype)

    def apply(self, *inputs: Any) -> Any:
        least, most = range_of(self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            units = dense(inputs[0]).astype(np.float32, copy=False) / np.float32(self.scale)
        low, high = np.float32(least - self.zero_point), np.float32(most - self.zero_point)
        within = np.minimum(np.where(units > low, units, low), high)
        return (np.rint(within).astype(np.int32) + self.zero_point).astype(self.dtype)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(self.infer(x.spec))
        step = builder.program.quantize(self.dtype, self.scale, self.zero_point, x.spec.size, x.number, y.number)
        builder.step("quantize", step, [x], y)
        return y


class Dequantize(_Border):
    """Integers of 8 bits as the real numbers that they stand for, ``scale * (x - zero_point)`` in float32.

    Parameters
    ----------
    scale : float
    zero_point : int
    dtype : {"uint8", "int8"}

    Raises
    ------
    ValueError, TypeError
        A scale that is not positive, or that float32 cannot hold; a zero point out of range; another dtype.
    """

    def numbers_behind(self, given: Numbers | None) -> None:
        return None

    def infer(self, *inputs: Spec) -> Spec:
        check_dtype(inputs[0], self.dtype)
        return inputs[0].dense._replace(dtype=None)

    def apply(self, *inputs: Any) -> Any:
        x: NDArray[Any] = dense(inputs[0])
        return np.float32(self.scale) * (x.astype(np.int32) - self.zero_point).astype(np.float32)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(self.infer(x.spec))
        step = builder.program.dequantize(self.dtype, self.scale, self.zero_point, x.spec.size, x.number, y.number)
        builder.step("dequantize", step, [x], y)
        return y


class QClip(QuantizedLayer):
    """Integers of 8 bits, cut off below `least` and above `most`: what becomes of ReLU and ReLU6."""

    def __init__(self, least: int, most: int, dtype: Any = "uint8") -> None:
        self.dtype = checked_8_bits(dtype, "dtype")
        self.least = checked_zero_point(least, self.dtype, "least")
        self.most = checked_zero_point(most, self.dtype, "most")
        if self.least > self.most:
            raise ValueError(f"least={self.least} is above most={self.most}")

    def arguments(self) -> dict[str, Any]:
        return {"least": self.least, "most": self.most, "dtype": self.dtype.name}

    def infer(self, *inputs: Spec) -> Spec:
        check_dtype(inputs[0], self.dtype)
        return inputs[0].dense

    def apply(self, *inputs: Any) -> Any:
        return np.clip(dense(inputs[0]), self.least, self.most)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(self.infer(x.spec))
        step = builder.program.clip(self.dtype, self.least, self.most, x.spec.size, x.number, y.number)
        builder.step("clip", step, [x], y)
        return y


def check_dtype(spec: Spec, dtype: np.dtype[Any]) -> None:
    if spec.dtype != dtype:
        given = "real numbers" if spec.dtype is None else spec.dtype
        raise ValueError(f"its input is {given}; it was made for {dtype}")
