# SPDX-License-Identifier: BSD-3-Clause
"""Layers that move values and change none: Flatten, Concat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from complsparse._ops.winners import Winners
from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._elementwise import dense
from complsparse.nn._layer import Layer
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class Flatten(Layer):
    """A sample as one vector, in C order. Winners stay winners."""

    takes_integers = True

    def infer(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        if x.is_dense or (isinstance(x.axis, int) and x.extents[0] > 1 and x.extents[2] > 1):
            return Spec((x.size,), dtype=x.dtype)
        return Spec((x.size,), 1, min(x.size, x.vectors * x.most), x.dtype)

    def apply(self, *inputs: Any) -> Any:
        x = inputs[0]
        n, length = x.shape[0], math.prod(x.shape[1:])
        if not isinstance(x, Winners) or self.infer(Spec(x.shape[1:], x.axis)).is_dense:
            return dense(x).reshape(n, length)
        if isinstance(x.axis, tuple):  # one contest already
            return Winners(x.values, x.indices, x.indptr, (n, length), axis=1)
        ones = Winners(np.ones(x.nnz, dtype=np.uint8), x.indices, x.indptr, x.shape, axis=x.axis)
        alive = ones.toarray().reshape(n, length) != 0  # also those that are zero
        starts = np.concatenate([[0], np.cumsum(alive.sum(axis=1))])
        return Winners(x.toarray().reshape(n, length)[alive], np.nonzero(alive)[1], starts, (n, length), axis=1)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = inputs[0]
        spec = self.infer(x.spec)
        if not spec.is_dense and isinstance(x.spec.axis, int):
            y = builder.new(spec)
            inner = x.spec.extents[2]
            dtype = builder.dtype_of(spec)
            builder.step("flatten", builder.program.flatten(x.winners, dtype, inner, y.winners), [x], y)
            return y
        if spec.is_dense:
            x = builder.dense(x)
        return x._replace(spec=spec)  # the same memory


class Concat(ArrayLayer):
    """Values one behind the other along an axis, counted with the batch axis."""

    takes_integers = True

    @staticmethod
    def function(*inputs: Any, axis: int = 1) -> Any:
        return np.concatenate(inputs, axis=axis)

    def result(self, *inputs: Spec) -> Any:
        for other in inputs:
            if other.dtype != inputs[0].dtype:
                raise ValueError(f"its inputs are {inputs[0]} and {other}, of different dtypes")
        return super().result(*inputs)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        parts = [builder.dense(x) for x in inputs]
        spec: Spec = self.result(*(part.spec for part in parts))
        axis: int = self.axis % len(spec.whole)  # type: ignore[attr-defined]
        y = builder.new(spec._replace(known=None))
        to = y
        if axis == 0:  # one behind the other
            to, parts = builder.whole(y), [builder.whole(part) for part in parts]
        before, behind = to.spec.shape[:axis], to.spec.shape[axis:]
        if axis > 0:
            before, behind = to.spec.shape[: axis - 1], to.spec.shape[axis - 1 :]
        size = builder.dtype_of(spec).itemsize
        pitch, first = math.prod(behind) * size, 0
        for part in parts:
            length = part.spec.size // max(1, math.prod(before)) * size
            step = builder.program.copy(math.prod(before), length, first, pitch, part.number, to.number)
            builder.step("copy", step, [part], to)
            first += length
        return y
