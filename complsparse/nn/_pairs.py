# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic of branches, as layers on whole arrays that broadcast as NumPy's do."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from complsparse.nn._array_layer import ArrayLayer

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class _Pairwise(ArrayLayer):
    operation: ClassVar[str]  # of `_core.Program.pair`

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        together, *others = map(builder.dense, inputs)
        same = all(x.spec.whole == together.spec.whole and x.spec.dtype is None for x in (together, *others))
        if not same:
            return super().emit(builder, *inputs)  # type: ignore[no-any-return]
        for other in others:
            y = builder.new(together.spec._replace(known=None))
            step = builder.program.pair(self.operation, y.spec.size, together.number, other.number, y.number)
            builder.step(self.operation, step, [together, other], y)
            together = y
        return together


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


class Sub(ArrayLayer):
    """The difference of two values."""

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        return np.subtract(x, y)


class Div(ArrayLayer):
    """The quotient of two values; of integers what is left without its fraction."""

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        if np.result_type(x, y).kind == "f":
            return np.divide(x, y)
        return np.where(y == 0, 0, np.sign(x) * np.sign(y) * (np.abs(x) // np.maximum(np.abs(y), 1))).astype(x.dtype)


class Min(ArrayLayer):
    """The least of two or more values, entry by entry."""

    @staticmethod
    def function(x: Any, *more: Any) -> Any:
        return reduce(np.minimum, more, x)


class Max(ArrayLayer):
    """The largest of two or more values, entry by entry."""

    @staticmethod
    def function(x: Any, *more: Any) -> Any:
        return reduce(np.maximum, more, x)


class MatMul(ArrayLayer):
    """Products of matrices, the last two axes; the others broadcast."""

    @staticmethod
    def function(x: Any, y: Any) -> Any:
        return np.matmul(x, y)
