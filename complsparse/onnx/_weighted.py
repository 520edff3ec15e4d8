# SPDX-License-Identifier: BSD-3-Clause
"""The layers with constant weights of a model of ONNX, and what they multiply."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse import nn
from complsparse._files.trust import naming
from complsparse.onnx._build import build
from complsparse.onnx._constants import Constants, attributes_of
from complsparse.onnx._files import Model, read_model
from complsparse.onnx._load import check_known
from complsparse.onnx._shapes import Sizes, inferred, sizes_of
from complsparse.onnx._simplify import simplified
from complsparse.onnx._sparse_tensors import SparseTensor, rows_of
from complsparse.onnx._weights_of_files import Found, Weighted

_MOST_PLANNED = 2**26  # entries of all inputs together, beyond which no plan is asked for kernels


class _Operand(NamedTuple):
    """Weights as the matrix that multiplies, from an array in the order of the operator."""

    matrix: Any  # dense, or in CSR as the weights are
    columns: list[int | None]  # of what it multiplies: their product; None: not known
    calls: list[int | None]


class _Values:
    """Constant weights by name; those behind a DequantizeLinear without their zero point."""

    def __init__(self, model: Model) -> None:
        self._constants = Constants(model)
        whole = (node for node in model.proto.graph.node if len(node.output) == 1 and node.input)
        self._dequantised = {node.output[0]: node for node in whole if node.op_type == "DequantizeLinear"}

    def weights(self, name: str) -> NDArray[Any] | SparseTensor | None:
        node = self._dequantised.get(name)
        if node is None:
            return self._constants.weights(name)
        stored = self._constants.weights(node.input[0])
        zero = self._constants.array(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if stored is None or zero is None or not zero.any():
            return stored
        if zero.size > 1 and zero.ndim == 1:
            axis = attributes_of(node).get("axis", 1) % max(1, stored.ndim)
            zero = zero.reshape([-1 if i == axis else 1 for i in range(stored.ndim)])
        dense = stored.toarray() if isinstance(stored, SparseTensor) else stored
        return dense.astype(np.int32) - zero.astype(np.int32)


def layers_of_model(path: Any, sparsity: float) -> Found:
    """In the order in which they run. Shapes are what `onnx.shape_inference` finds."""
    model = read_model(path)
    with naming(model.name):
        return _found(model, sparsity)


def _found(model: Model, sparsity: float) -> Found:
    graph = model.proto.graph
    for i, node in enumerate(graph.node):  # layers of the network that is built have the same names
        node.name = node.name or next(filter(None, node.output), f"{node.op_type}_{i}")
    sizes, values = sizes_of(inferred(model.proto)), _Values(model)
    found, others = [], 0
    for node in graph.node:
        operands = _operands(node, values, sizes)
        if not operands and node.op_type in ("MatMul", "Gemm"):
            others += _of_activations(node, sizes)
        groups = int(attributes_of(node).get("group", 1)) if node.op_type.startswith("Conv") else 1
        for suffix, shape, operand in operands:
            known = None not in (*operand.columns, *operand.calls)
            columns, calls = (math.prod(n or 1 for n in some) for some in (operand.columns, operand.calls))
            found.append(
                Weighted(node.name + suffix, node.op_type, shape, operand.matrix, columns, calls, known, groups)
            )
    runners, refused = _runners(model, sparsity)
    return Found(found, others, runners, refused)


def _of_activations(node: Any, sizes: Sizes) -> int:
    """Multiplications of a product of two activations, where its sizes are known."""
    x, y = (sizes.get(name) for name in (node.input[0], node.output[0]))
    if not x or not y:
        return 0
    inner = x[-2 if attributes_of(node).get("transA", 0) else -1] if len(x) > 1 else x[-1]
    return math.prod(n or 1 for n in y) * (inner or 1)


def _operands(node: Any, values: _Values, sizes: Sizes) -> list[tuple[str, tuple[int, ...], _Operand]]:
    """The constant weights of a node: a suffix of its name, their shape, and how they multiply."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in _KINDS or len(node.input) < 2:
        return []
    ndims, places = _KINDS[node.op_type]
    found = []
    for place, suffix in places.items():
        array = values.weights(node.input[place]) if place < len(node.input) else None
        if array is None or array.ndim not in ndims or not array.size or array.dtype.kind not in "fiu":
            continue
        operand = _operand(node, place, array, sizes)
        found.append((suffix, array.shape, operand))
        if node.op_type in ("MatMul", "Gemm"):
            break  # the product of two constants is one layer
    return found


_KINDS: dict[str, tuple[tuple[int, ...], dict[int, str]]] = {  # axes of weights, and where they are among the inputs
    "MatMul": ((2,), {1: "", 0: ""}),
    "Gemm": ((2,), {1: "", 0: ""}),
    "Conv": ((3, 4, 5), {1: ""}),
    "ConvTranspose": ((3, 4, 5), {1: ""}),
    "GRU": ((3,), {1: ".W", 2: ".R"}),
    "LSTM": ((3,), {1: ".W", 2: ".R"}),
}


def _operand(node: Any, place: int, array: NDArray[Any] | SparseTensor, sizes: Sizes) -> _Operand:
    x, y = sizes.get(node.input[0]) or [None], sizes.get(node.output[0]) or [None]
    if node.op_type == "Conv":  # (outputs, a group's channels, kernel)
        return _Operand(rows_of(array), [y[0], *y[2:]], [])
    if node.op_type == "ConvTranspose":  # (channels, a group's outputs, kernel); each input meets all weights
        return _Operand(rows_of(array).T, [x[0], *x[2:]], [])
    if node.op_type in ("GRU", "LSTM"):
        steps, batch = (x[0], x[1]) if len(x) == 3 else (None, None)
        if attributes_of(node).get("layout", 0):
            steps, batch = batch, steps
        matrix = rows_of(array, 2)
        return _Operand(matrix, [steps, batch], []) if place == 1 else _Operand(matrix, [batch], [steps])
    transposed = bool(attributes_of(node).get("transB" if place else "transA", 0))
    if place == 0:
        return _Operand(rows_of(array).T if transposed else rows_of(array), y[-1:], [])
    return _Operand(rows_of(array) if transposed else rows_of(array).T, y[:-1], [])


def _runners(model: Model, sparsity: float) -> tuple[dict[str, tuple[bool, str | None]], str | None]:
    """Of each row whose weights the network that `load` makes has, whether they are packed, and by which micro-kernel
    or function they run where shapes are known; or why there is no such network."""
    try:
        plain = simplified(model)
        check_known(plain)
        builder = build(plain, sparsity)
    except (ValueError, TypeError, MemoryError) as error:
        return {}, str(error)
    net, kernels = builder.graph, dict[str, list[str]]()
    constants = {*model.sparse, *(tensor.name for tensor in model.proto.graph.initializer)}
    inputs = [value for value in model.proto.graph.input if value.name not in constants]
    shapes = [
        [d.dim_value or (1 if i == 0 else 0) for i, d in enumerate(value.type.tensor_type.shape.dim)]
        for value in inputs
    ]
    if (
        builder.is_tried
        and all(n > 0 for shape in shapes for n in shape)
        and sum(map(math.prod, shapes)) <= _MOST_PLANNED
    ):
        with contextlib.suppress(ValueError, TypeError, MemoryError):
            plan = net.plan(*map(tuple, shapes))
            for step in plan.steps:
                kernels.setdefault(plan._nodes[step.node].name, []).append(step.kernel)
    runners = {}
    for node in net._nodes:
        layer, some = node.layer, kernels.get(node.name, [])
        if isinstance(layer, (nn.GRU, nn.LSTM)):  # the products of all inputs, and then that of each state
            runners[node.name + ".W"] = _is_packed(layer.W), next(iter(some), None)
            runners[node.name + ".R"] = _is_packed(layer.R), next(reversed(some), None)
        elif layer is not None:
            runners[node.name] = any(map(_is_packed, layer.weights)), ", ".join(dict.fromkeys(some)) or None
    return runners, None


def _is_packed(weights: Any) -> bool:
    return hasattr(weights, "packing_efficiency")
