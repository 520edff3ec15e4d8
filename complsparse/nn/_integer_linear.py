# SPDX-License-Identifier: BSD-3-Clause
"""IntegerLinear: the sums of a product of 8-bit numbers, about a zero point that is known when the network runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from complsparse import _core
from complsparse._quantized.numbers import is_8_bit
from complsparse._quantized.requantize import row_sums
from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import ByteWeights
from complsparse.nn._integers import INT32
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class IntegerLinear(ArrayLayer):
    """``(x - zero) @ W.T`` of 8-bit numbers, as int32: MatMulInteger of ONNX, whose zero point is an input.

    Inputs are vectors of uint8 or int8, and their zero point, one number, which may be left out. Sums beyond
    int32 wrap.

    Parameters
    ----------
    W : ComplementaryMatrix of int8, shape (M, K)
    """

    n_inputs = 1

    @staticmethod
    def function(x: Any, zero: Any = None, *, W: ByteWeights) -> Any:
        return _about(_core.linear(np.ascontiguousarray(x), W), zero, W)

    def __init__(self, W: Any) -> None:
        if getattr(W, "dtype", None) != np.int8 or not isinstance(W, _core.Operand):
            raise TypeError(f"W must be a ComplementaryMatrix of int8, not {getattr(W, 'dtype', type(W).__name__)}")
        super().__init__(W=W)

    W: Any

    @property
    def multiplications(self) -> int:
        return int(self.W.nnz)

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        return self.multiplications * math.prod(output.shape[:-1])

    def result(self, *inputs: Spec) -> Any:
        x = inputs[0]
        if x.dtype is None or not is_8_bit(x.dtype):
            raise ValueError(f"its input is {x.dtype or 'real numbers'}; it takes uint8 and int8")
        if not x.whole or x.whole[-1] != self.W.shape[1]:
            raise ValueError(
                f"an input of shape {x.whole}; W of shape {self.W.shape} expects {self.W.shape[1]} features"
            )
        if len(inputs) > 1 and math.prod(inputs[1].whole) != 1:
            raise ValueError(f"zero points of shape {inputs[1].whole}; one number is expected")
        return _spec((*x.whole[:-1], self.W.shape[0]))

    def emit(self, builder: Builder, *inputs: Value) -> Any:
        x, *zero = map(builder.dense, inputs)
        n, dtype = math.prod(x.spec.whole[:-1]), x.spec.dtype
        if n == 0:
            return super().emit(builder, *inputs)
        out = self.result(*(value.spec for value in inputs))
        vectors = builder.cut(x, Spec(x.spec.whole[-1:], samples=n))
        sums = builder.new(Spec((self.W.shape[0],), dtype=INT32, samples=n))
        plan = _core.make_plan(self.W, n, dtype, True, None, None, False, winners=None)
        step = builder.program.product(plan, n, 1, vectors.number, sums.number)
        builder.step(plan.microkernel, step, [vectors], sums, whole_batch=True)
        sums = builder.cut(sums, out)
        if not zero:
            return sums
        y = builder.new(out)

        def subtract(given: Any, about: Any, to: Any) -> None:
            to[...] = _about(given, about, self.W)

        builder.host("zero point", subtract, [sums, *zero], [y])
        return y


def _spec(shape: tuple[int, ...]) -> Spec:
    return Spec(shape[1:], samples=shape[0], dtype=INT32) if len(shape) > 1 else Spec((), samples=shape[0], dtype=INT32)


def _about(sums: Any, zero: Any, W: Any) -> Any:
    if zero is None:
        return sums
    return sums - (row_sums(W).plain * int(np.reshape(zero, ()))).astype(np.int32)
