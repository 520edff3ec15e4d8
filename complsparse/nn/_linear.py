# SPDX-License-Identifier: BSD-3-Clause
"""Linear: products of vectors with sparse or dense weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from complsparse import _core
from complsparse._operands import checked_activation
from complsparse.nn._elementwise import activated, dense
from complsparse.nn._layer import Layer, checked_vector
from complsparse.nn._values import Spec
from complsparse.nn._weights import check_features, checked_weights, dense_weights, scaled_rows

if TYPE_CHECKING:
    from complsparse._typing import Activation
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class Linear(Layer):
    """``activation(x @ W.T + bias)``: `complsparse.linear`.

    Parameters
    ----------
    W : ComplementaryMatrix or ndarray, shape (M, K)
        An ndarray makes a dense layer, which runs on the BLAS that SciPy brings.
    bias : array_like, shape (M,), optional
    activation : None or str
        As for `complsparse.linear`.
    """

    def __init__(self, W: Any, *, bias: Any = None, activation: Activation | None = None) -> None:
        self.W = checked_weights(W, 2)
        self.bias = checked_vector(bias, "bias", self.W.shape[0])
        self.activation: Any = checked_activation(activation, np.dtype(np.float32))

    def arguments(self) -> dict[str, Any]:
        return {"W": self.W, "bias": self.bias, "activation": self.activation}

    @property
    def multiplications(self) -> int:
        return self.W.size if isinstance(self.W, np.ndarray) else int(self.W.nnz)

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        return self.multiplications * math.prod(output.shape[:-1])

    def infer(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        check_features(x.shape, self.W)
        return Spec((*x.shape[:-1], self.W.shape[0]))

    def apply(self, *inputs: Any) -> Any:
        x = inputs[0]
        if isinstance(self.W, np.ndarray):
            y = dense(x) @ self.W.T
            return activated(y if self.bias is None else y + self.bias.astype(y.dtype), self.activation)
        if not isinstance(x, np.ndarray) and x.axis != x.ndim - 1:
            x = x.toarray()
        return _core.linear(x, self.W, self.bias, activation=self.activation)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = inputs[0]
        vectors = math.prod(x.spec.shape[:-1])
        bias = None if self.bias is None else self.bias.astype(builder.dtype)
        program = builder.program
        of_winners = x.spec.axis == len(x.spec.shape) and not isinstance(self.W, np.ndarray)
        if not of_winners:
            x = builder.dense(x)
        y = builder.new(self.infer(x.spec))
        if isinstance(self.W, np.ndarray):
            weights = np.ascontiguousarray(self.W, dtype=builder.dtype)
            step = program.dense_product(builder.blas, weights, vectors, bias, self.activation, x.number, y.number)
            builder.step("gemm", step, [x], y, whole_batch=True)
            return y
        n = builder.samples * vectors
        plan = _core.make_plan(
            self.W, n, builder.dtype, True, bias, self.activation, False,
            winners=x.spec.most if of_winners else None,
        )  # fmt: skip
        step = program.product(plan, builder.samples, vectors, x.winners if of_winners else x.number, y.number)
        builder.step(plan.microkernel, step, [x], y, whole_batch=True)
        return y

    def scaled(self, factor: Any, summand: Any) -> Linear:
        """The layer followed by ``y * factor + summand`` of each output."""
        W, bias = scaled_rows(self.W, self.bias, factor, summand)
        return self.with_arguments(W=W, bias=bias)  # type: ignore[no-any-return]

    def to_dense(self) -> Linear:
        return self.with_arguments(W=dense_weights(self.W))  # type: ignore[no-any-return]
