# SPDX-License-Identifier: BSD-3-Clause
"""ScaledQLinear and ScaledQConv2d: products of 8-bit numbers whose sums become numbers of 8 bits by a real factor."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._conv.conv import convolution
from complsparse._conv.layouts import four_axes
from complsparse._quantized.numbers import range_of
from complsparse._quantized.requantize import Ending, checked_scale, checked_zero_point, ending_of
from complsparse.nn._integers import checked_8_bits
from complsparse.nn._qproducts import QConv2d, QLinear, _Product


class _ScaledEnding(Ending):
    """As `Ending`, with a float64 factor for each row."""

    by_multipliers = False

    def __init__(self, real: Ending, factors: NDArray[np.float32], dtype: np.dtype[Any], zero_point: int) -> None:
        self.__dict__.update(copy.copy(real).__dict__)
        self.dtype, self.zero_point, self.units = dtype, zero_point, factors.astype(np.float64)
        least, most = range_of(dtype)
        self.cut = float(least - zero_point), float(most - zero_point)

    @property
    def factors(self) -> tuple[Any, ...]:
        return self.units, *self.cut, self.zero_point

    def of_sums(self, sums: NDArray[np.int32], axis: int) -> NDArray[Any]:
        """Outputs of sums whose features lie along the axis."""
        shape = [-1 if i == axis % sums.ndim else 1 for i in range(sums.ndim)]
        exact = (sums + self.bias.reshape(shape)).astype(np.float64) * self.units.reshape(shape)
        return (np.rint(np.clip(exact, *self.cut)).astype(np.int32) + self.zero_point).astype(self.dtype)


class _Scaled(_Product):
    ending: _ScaledEnding

    def _found_ending(self, name: str) -> _ScaledEnding:
        given = self._ending
        if given["activation"] is not None:
            raise TypeError(f"activation={given['activation']!r}: its results are cut off by their type alone")
        real = (given["x_scale"], given["x_zero_point"], None, None, 0, None)
        ending = ending_of(self.W, self.x_dtype, name, self.bias, real)
        out = checked_8_bits(given["out_dtype"] or self.x_dtype, "out_dtype")
        scale = checked_scale(given["out_scale"], "out_scale")
        zero_point = checked_zero_point(given["out_zero_point"], out, "zero_point")
        with np.errstate(over="ignore", under="ignore"):
            factors = np.float32(given["x_scale"]) * self.W.scale / np.float32(scale)
        if not np.isfinite(factors).all():
            raise ValueError(f"x_scale * W.scale / out_scale reaches {factors.max():g}, which float32 cannot hold")
        given |= {"out_scale": scale, "out_zero_point": zero_point, "out_dtype": out.name}
        return _ScaledEnding(ending, factors, out, zero_point)


class ScaledQLinear(_Scaled, QLinear):
    """`QLinear` whose results are rounded as ONNX has it in QLinearMatMul.

    An 8-bit result is the exact sum times ``x_scale * W.scale / out_scale``, which is found in float32. This product is
    found in float64, rounded half to even, `out_zero_point` is added, and the result saturates. `QLinear`
    has an integer factor instead, and circuits.

    Parameters
    ----------
    W, x_scale, x_zero_point, x_dtype, bias, out_scale, out_zero_point, out_dtype
        As for `QLinear`, with `out_scale`, and without an activation.

    Raises
    ------
    ValueError, TypeError
        As `QLinear`; a factor that float32 cannot hold.
    """

    def apply(self, *inputs: Any) -> Any:
        return self.ending.of_sums(_core.linear(self._checked(inputs[0]), self.W), -1)


class ScaledQConv2d(_Scaled, QConv2d):
    """`QConv2d` whose results are rounded as ONNX has it in QLinearConv: see `ScaledQLinear`.

    Parameters
    ----------
    W, kernel_size, stride, padding, dilation, groups, layout
        As for `QConv2d`.
    x_scale, x_zero_point, x_dtype, bias, out_scale, out_zero_point, out_dtype
        As for `ScaledQLinear`.

    Raises
    ------
    ValueError, TypeError
        As `QConv2d` and `ScaledQLinear`.
    """

    def apply(self, *inputs: Any) -> Any:
        x = np.ascontiguousarray(self._checked(inputs[0]))
        bound, out = self._bound(x.shape[1:])
        sums = np.empty((len(x), *out), np.int32)
        last = self.layout == "NHWC"
        images, to = four_axes(x, last), four_axes(sums, last)
        convolution(self.W, bound, self.x_dtype)(images, to, None, None, pad=self.ending.x_zero_point)
        return self.ending.of_sums(sums, -1 if last else 1)
