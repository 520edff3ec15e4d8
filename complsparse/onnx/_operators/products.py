# SPDX-License-Identifier: BSD-3-Clause
"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse import nn
from complsparse.onnx._nodes import Op
from complsparse.onnx._operators.integers import product_of_integers
from complsparse.onnx._operators.table import OURS, built, computed, layered


@built("MatMul")
def matmul(op: Op, build: Any) -> Any:
    """A layer of its own where the second matrix is constant."""
    W = build.weights(op, 1)
    ndim = build.ndim(op, 0)
    if W is None or W.ndim != 2 or ndim is None or ndim < 2:
        return build.add(op, nn.MatMul(), build.value(op, 0), build.value(op, 1))
    made = product_of_integers(op, build, 1)
    return made or build.add(op, nn.Linear(build.matrix(W, transpose=True)), build.value(op, 0))


@built("Gemm")
def gemm(op: Op, build: Any) -> Any:
    W, alpha, beta = build.weights(op, 1), op.float("alpha", 1.0), op.float("beta", 1.0)
    if W is None or W.ndim != 2 or op.int("transA", 0) or build.ndim(op, 0) not in (2, None):
        return None
    bias = build.constant(op, 2)
    is_plain = alpha == beta == 1 and op.has(2) == (bias is not None) and (bias is None or bias.ndim == 1)
    made = product_of_integers(op, build, 0 if op.int("transB", 0) else 1, bias) if is_plain else None
    if made is not None:
        return made
    W = build.matrix(W, transpose=not op.int("transB", 0), factor=alpha)
    if not op.has(2) or beta == 0:
        return build.add(op, nn.Linear(W), build.value(op, 0))
    if bias is not None and (bias.size == 1 or bias.shape in ((W.shape[0],), (1, W.shape[0]))):
        bias = np.broadcast_to(bias.reshape(-1) * bias.dtype.type(beta), W.shape[0])
        return build.add(op, nn.Linear(W, bias=bias), build.value(op, 0))
    y = build.add(op, nn.Linear(W), build.value(op, 0))
    more = build.value(op, 2)
    if beta != 1:
        more = build.add(op, nn.Mul(), more, build.number(beta))
    return build.add(op, nn.Add(), y, more)


@computed("Gemm")
def gemm_of_any(op: Op, a: Any, b: Any, c: Any = None) -> Any:
    if a.ndim != 2 or b.ndim != 2:
        raise op.refuse(f"matrices of shapes {a.shape} and {b.shape}")
    number = a.dtype.type
    y = (a.T if op.int("transA", 0) else a) @ (b.T if op.int("transB", 0) else b) * number(op.float("alpha", 1.0))
    return y if c is None else y + c * number(op.float("beta", 1.0))


@layered("Einsum")
def einsum(op: Op) -> Any:
    equation = op.str("equation")
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,-> "
    if len(equation) > 200 or not set(equation) <= set(letters):
        raise op.refuse("an equation that is none")
    return nn.Einsum(equation=equation)


@computed("FusedMatMul", domain="com.microsoft")
def fused_matmul(op: Op, a: Any, b: Any) -> Any:
    a = np.swapaxes(a, -1, -2) if op.int("transA", 0) else a
    b = np.swapaxes(b, -1, -2) if op.int("transB", 0) else b
    return np.matmul(a, b) * a.dtype.type(op.float("alpha", 1.0))


@built("Linear", domain=OURS)
def linear(op: Op, build: Any) -> Any:
    """A product and its bias, which a fusion found."""
    W, bias, ndim = build.weights(op, 1), build.constant(op, 2), build.ndim(op, 0)
    if W is None or bias is None or ndim is None or ndim < 2:
        product = build.add(op, nn.MatMul(), build.value(op, 0), build.value(op, 1))
        return build.add(op, nn.Add(), product, build.value(op, 2))
    made = product_of_integers(op, build, 1, bias.reshape(-1)) if bias.size == W.shape[1] else None
    return made or build.add(op, nn.Linear(build.matrix(W, transpose=True), bias=bias), build.value(op, 0))
