# SPDX-License-Identifier: BSD-3-Clause
"""Nodes of a model that one of our operators inside ONNX Runtime can stand for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from complsparse.onnx._constants import Constants, attributes_of
from complsparse.onnx._sparse_tensors import SparseTensor, is_sparse, rows_of

_FEW_CHANNELS = 4


class Layer(NamedTuple):
    """A node as one of our operators: y = activation(x W' + bias)."""

    operator: str
    filters: Any  # W in CSR, a row for each output; of a depthwise convolution an array
    bias: NDArray[Any] | None
    attributes: dict[str, Any]

    @property
    def outputs(self) -> int:
        n: int = self.filters.shape[0]
        return n

    def initializers(self) -> dict[str, NDArray[Any]]:
        """By what comes behind the name of the weights."""
        if self.operator == "DepthwiseConv":
            arrays = {"filters": self.filters.ravel()}
        else:
            W = self.filters
            W.sort_indices()
            arrays = {"row_ptr": W.indptr.astype(np.int64), "columns": W.indices.astype(np.int32),
                      "values": W.data.astype(np.float32)}  # fmt: skip
        return arrays if self.bias is None else arrays | {"bias": self.bias.astype(np.float32)}


def _weights(node: Any, constants: Constants, sparsity: float) -> NDArray[Any] | SparseTensor | None:
    """Constant weights of float32 of which so large a share is zero."""
    weights = constants.weights(node.input[1]) if len(node.input) > 1 else None
    if weights is None or weights.dtype != np.float32 or weights.ndim < 2:
        return None
    return weights if is_sparse(weights, sparsity) else None


def _product(filters: Any, bias: NDArray[Any] | None) -> Layer:
    return Layer("SparseMatMul", sparse.csr_array(filters), bias, {"input_size": filters.shape[1]})


def _of_matmul(node: Any, constants: Constants, sparsity: float) -> Layer | None:
    weights = _weights(node, constants, sparsity)
    return None if weights is None or weights.ndim != 2 else _product(rows_of(weights).T, None)


def _of_gemm(node: Any, constants: Constants, sparsity: float) -> Layer | None:
    given = attributes_of(node)
    weights = _weights(node, constants, sparsity)
    if weights is None or weights.ndim != 2 or given.get("transA", 0):
        return None
    filters = rows_of(weights) if given.get("transB", 0) else rows_of(weights).T
    filters = filters * np.float32(given.get("alpha", 1.0))
    if len(node.input) < 3 or not node.input[2]:
        return _product(filters, None)
    bias, outputs = constants.array(node.input[2]), filters.shape[0]
    if bias is None or bias.dtype != np.float32 or bias.size not in (1, outputs):
        return None
    if bias.shape[:-1] not in ((), (1,)):  # a column of as many samples
        return None
    bias = np.broadcast_to(bias.ravel() * np.float32(given.get("beta", 1.0)), outputs)
    return _product(filters, bias)


def _of_conv(node: Any, constants: Constants, sparsity: float) -> Layer | None:
    return _of_filters(node, constants, _weights(node, constants, sparsity))


def _of_filters(node: Any, constants: Constants, weights: NDArray[Any] | SparseTensor | None) -> Layer | None:
    given = attributes_of(node)
    if weights is None or weights.ndim not in (3, 4) or given.get("group", 1) != 1:
        return None
    geometry, bias = _geometry(given, weights.shape), _bias_of_conv(node, constants, weights.shape[0])
    if geometry is None or bias is False:
        return None
    filters = rows_of(weights)
    return Layer("SparseConv", sparse.csr_array(filters), bias, geometry | {"input_size": filters.shape[1]})


def of_depthwise_conv(node: Any, constants: Constants) -> Layer | None:
    """Of images, with filters for one channel each; how many channels there are, x says."""
    given = attributes_of(node)
    groups = given.get("group", 1)
    if node.op_type != "Conv" or len(node.input) < 2 or not isinstance(groups, int) or groups < 2:
        return None
    weights = constants.array(node.input[1])
    if weights is None or weights.dtype != np.float32 or weights.ndim != 4 or weights.shape[1] != 1:
        return None
    geometry, bias = _geometry(given, weights.shape), _bias_of_conv(node, constants, weights.shape[0])
    if geometry is None or bias is False or not weights.size or weights.shape[0] % groups:
        return None
    return Layer("DepthwiseConv", weights, bias, geometry)


def of_first_conv(node: Any, constants: Constants) -> Layer | None:
    """With dense filters over few channels, as images have when they come in."""
    weights = constants.array(node.input[1]) if node.op_type == "Conv" and len(node.input) > 1 else None
    if weights is None or weights.dtype != np.float32 or weights.ndim != 4 or not weights.size:
        return None
    outputs, channels, taps = len(weights), weights.shape[1], math.prod(weights.shape[2:])
    layer = _of_filters(node, constants, weights) if channels <= _FEW_CHANNELS and taps > 1 else None
    if layer is None:
        return None
    # Zeros too, so that all rows have one pattern.
    places = np.tile(np.arange(channels * taps, dtype=np.int32), outputs)
    starts = np.arange(outputs + 1, dtype=np.int64) * (channels * taps)
    return layer._replace(filters=sparse.csr_array((weights.ravel(), places, starts), shape=layer.filters.shape))


def _geometry(given: dict[str, Any], filters: tuple[int, ...]) -> dict[str, Any] | None:
    """Attributes of our convolutions; None where they cannot say it."""
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    axes = len(filters) - 2
    return {
        "axes": axes,
        "kernel_shape": list(filters[2:]),
        "strides": list(given.get("strides", [1] * axes)),
        "dilations": list(given.get("dilations", [1] * axes)),
        "pads": list(given.get("pads", [0] * (2 * axes))),
    }


def _bias_of_conv(node: Any, constants: Constants, outputs: int) -> Any:
    """None where there is none, False where it is not one that is known."""
    if len(node.input) < 3 or not node.input[2]:
        return None
    bias = constants.array(node.input[2])
    return bias if bias is not None and bias.shape == (outputs,) and bias.dtype == np.float32 else False


LAYERS: dict[str, Callable[[Any, Constants, float], Layer | None]] = {
    "MatMul": _of_matmul,
    "Gemm": _of_gemm,
    "Conv": _of_conv,
}


def activation_of(node: Any, constants: Constants) -> tuple[str, float] | None:
    """What a product may do to its outputs itself: its name and parameter."""
    given = attributes_of(node)
    if node.op_type == "Clip":
        low, high = (given.get("min"), given.get("max"))
        if len(node.input) == 3:
            ends = [constants.array(name) for name in node.input[1:]]
            low, high = (None if end is None or end.size != 1 else float(end.ravel()[0]) for end in ends)
        return ("relu6", 0.0) if (low, high) == (0.0, 6.0) else None
    if node.op_type == "Gelu" and given.get("approximate", b"none") != b"none":
        return None
    if node.op_type == "LeakyRelu":
        return "leaky_relu", float(given.get("alpha", 0.01))
    known = {"Relu": "relu", "HardSwish": "hard_swish", "Gelu": "gelu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
    return (known[node.op_type], 0.0) if node.op_type in known else None
