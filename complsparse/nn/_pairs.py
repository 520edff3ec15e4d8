# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic of branches, as layers on whole arrays that broadcast as NumPy's do."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import Array
from complsparse.nn._elementwise import ActivationLayer
from complsparse.nn._layer import Layer
from complsparse.nn._values import Shape, Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class _Pairwise(ArrayLayer):
    """Floating point numbers by a step of their own; what integers and booleans give, by NumPy."""

    operation: ClassVar[str]  # of `_core.Program.pair`

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        return self.emit_activated(builder, None, *inputs)

    def emit_activated(self, builder: Builder, activation: str | None, *inputs: Value) -> Value:
        """And an activation of the result, in the same step; of floating point numbers."""
        together, *others = map(builder.dense, inputs)
        if any(x.spec.dtype is not None for x in (together, *others)):
            return super().emit(builder, *inputs)  # type: ignore[no-any-return]
        for i, other in enumerate(others):
            together = self._pair(builder, together, other, activation if i + 1 == len(others) else None)
        return together

    def _pair(self, builder: Builder, a: Value, b: Value, activation: str | None) -> Value:
        shape = np.broadcast_shapes(a.spec.whole, b.spec.whole)
        spec = Spec(shape[1:], samples=shape[0]) if shape else Spec((), samples=None)
        y = builder.new(spec)
        read: list[Value] = []
        axes: list[Any] = [(n, 0, 0) for n in spec.shape]
        for i, x in enumerate((a, b)):
            aligned = (1,) * (len(shape) - len(x.spec.whole)) + x.spec.whole
            of_sample, is_shared = aligned[1:], bool(shape) and aligned[0] == 1 and shape[0] != 1
            x = builder.cut(x, spec._replace(shape=of_sample, samples=None if is_shared else spec.samples))
            read.append(builder.steady(x) if is_shared else x)
            axes = [
                (n, *(step if j == i else old for j, old in enumerate(steps)))
                for (n, *steps), step in zip(axes, _steps(of_sample), strict=True)
            ]
        image = spec.shape if len(spec.shape) == 3 else (0, 0, 0)
        joined = _joined(axes)
        step = builder.program.pair(self.operation, joined, image, activation, read[0].number, read[1].number, y.number)
        name = self.operation if activation is None else f"{self.operation} + {activation}"
        builder.step(name, step, read, y, in_place=len(joined) == 1 and joined[0][1:] == (1, 1))
        return y


def _steps(shape: Shape) -> list[int]:
    """Elements from one entry to the next along each axis, 0 where there is but one."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(0 if n == 1 else step)
        step *= n
    return steps[::-1]


def _joined(axes: list[Any]) -> list[tuple[int, int, int]]:
    """Axes that either operand goes through as through one; the inner one has steps of 0 or 1."""
    joined: list[tuple[int, int, int]] = []
    for n, a, b in axes:
        if n == 1:
            continue
        if joined and (joined[-1][1], joined[-1][2]) == (n * a, n * b):
            joined[-1] = joined[-1][0] * n, a, b
        else:
            joined.append((n, a, b))
    if not joined or joined[-1][1] > 1 or joined[-1][2] > 1 or joined[-1][1] == joined[-1][2] == 0:
        joined.append((1, 1, 1))
    return joined


class Add(_Pairwise):
    """The sum of two or more values."""

    n_inputs, operation = None, "add"

    @staticmethod
    def function(x: Any, y: Any, *more: Any) -> Any:
        return reduce(np.add, (x, y, *more))


class Mul(_Pairwise):
    """The product, entry by entry, of two or more values."""

    n_inputs, operation = None, "multiply"

    @staticmethod
    def function(x: Any, y: Any, *more: Any) -> Any:
        return reduce(np.multiply, (x, y, *more))


class Sub(_Pairwise):
    """The difference of two values."""

    operation = "subtract"

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        return np.subtract(x, y)


class Div(_Pairwise):
    """The quotient of two values; of integers what is left without its fraction."""

    operation = "divide"

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        if np.result_type(x, y).kind == "f":
            return np.divide(x, y)
        return np.where(y == 0, 0, np.sign(x) * np.sign(y) * (np.abs(x) // np.maximum(np.abs(y), 1))).astype(x.dtype)


class Min(_Pairwise):
    """The least of two or more values, entry by entry."""

    n_inputs, operation = None, "smaller"

    @staticmethod
    def function(x: Any, *more: Any) -> Any:
        return reduce(np.minimum, more, x)


class Max(_Pairwise):
    """The largest of two or more values, entry by entry."""

    n_inputs, operation = None, "larger"

    @staticmethod
    def function(x: Any, *more: Any) -> Any:
        return reduce(np.maximum, more, x)


class PReLU(_Pairwise):
    """``x`` where it is above zero, ``slope * x`` elsewhere; the slope is an input or, as an attribute, `weight`.

    Parameters
    ----------
    weight : array_like, optional
        A slope for all, or what broadcasts with x; 0.25 unless given.
    """

    operation = "slope"
    weight: Any

    @staticmethod
    def function(x: Any, slope: Any = None, *, weight: Array | None = None) -> Any:
        if slope is None:
            slope = 0.25 if weight is None else weight
        slope = np.asarray(slope, x.dtype)
        return np.where(x > 0, x, slope * x)

    def emit_activated(self, builder: Builder, activation: str | None, *inputs: Value) -> Value:
        if len(inputs) == 1 and inputs[0].spec.dtype is None:
            slope = np.asarray(0.25 if self.weight is None else self.weight, builder.dtype)
            inputs = (*inputs, builder.fixed(Spec.of_array(slope, True)))
        return super().emit_activated(builder, activation, *inputs)


class ActivatedPair(Layer):
    """What a network makes of arithmetic whose result only an activation reads."""

    n_inputs, by_sample, in_files = None, False, False

    def __init__(self, pair: _Pairwise, activation: ActivationLayer) -> None:
        self.pair, self.activation = pair, activation

    def result(self, *inputs: Spec) -> Any:
        return self.activation.result(self.pair.result(*inputs))

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        return self.pair.emit_activated(builder, self.activation.activation, *inputs)


class MatMul(ArrayLayer):
    """Products of matrices, the last two axes; the others broadcast."""

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        return np.matmul(x, y)
