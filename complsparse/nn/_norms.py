# SPDX-License-Identifier: BSD-3-Clause
"""Layers that bring what stands along the last axes to a common scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import Array

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value
    from complsparse.nn._values import Shape


def _axes_from(axis: int, ndim: int) -> tuple[int, ...]:
    if not ndim:
        raise ValueError(f"axis={axis} of an array without axes")
    return tuple(range(axis % ndim, ndim))


def _scaled(y: Any, weight: Any, bias: Any) -> Any:
    y = y if weight is None else y * weight.astype(y.dtype)
    return y if bias is None else y + bias.astype(y.dtype)


class _Norm(ArrayLayer):
    """A step of its own for floating point numbers, along the axes behind the first of the array."""

    centred: ClassVar[bool]
    weight: Any
    axis: int
    eps: float

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        spec = self.result(x.spec)
        at = self.axis % len(spec.whole)
        if at == 0 or spec.dtype is not None:
            return super().emit(builder, *inputs)  # type: ignore[no-any-return]
        before, along = spec.shape[: at - 1], spec.shape[at - 1 :]
        y = builder.new(spec._replace(known=None))
        weight, bias = (
            None if vector is None else _broadcast(vector, along, builder.dtype)
            for vector in (self.weight, getattr(self, "bias", None))
        )
        rows, n = math.prod(before), math.prod(along)
        step = builder.program.norm(rows, n, weight, bias, self.eps, self.centred, x.number, y.number)
        builder.step("norm", step, [x], y)
        return y


def _broadcast(vector: Any, shape: Shape, dtype: np.dtype[Any]) -> Any:
    return np.ascontiguousarray(np.broadcast_to(vector, shape).ravel(), dtype=dtype)


class LayerNorm(_Norm):
    """``(x - mean) / sqrt(var + eps) * weight + bias``, over all axes from `axis` on.

    Parameters
    ----------
    weight, bias : array_like, optional
        Of the shape of these axes, or what broadcasts with it.
    axis : int
        The first of them.
    eps : float
    """

    centred = True

    @staticmethod
    def function(
        x: Any, *, weight: Array | None = None, bias: Array | None = None, axis: int = -1, eps: float = 1e-5
    ) -> Any:
        axes = _axes_from(axis, x.ndim)
        centred = x - np.mean(x, axis=axes, keepdims=True)
        spread = np.sqrt(np.mean(np.square(centred), axis=axes, keepdims=True) + x.dtype.type(eps))
        return _scaled(centred / spread, weight, bias)


class RMSNorm(_Norm):
    """``x / sqrt(mean(x * x) + eps) * weight``, over all axes from `axis` on; the rest as `LayerNorm`."""

    centred = False

    @staticmethod
    def function(x: Any, *, weight: Array | None = None, axis: int = -1, eps: float = 1e-5) -> Any:
        axes = _axes_from(axis, x.ndim)
        return _scaled(x / np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + x.dtype.type(eps)), weight, None)
