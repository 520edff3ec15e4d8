# SPDX-License-Identifier: BSD-3-Clause
"""Models whose sparse layers are our operators, for sessions of ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy import sparse

from complsparse._files.trust import naming
from complsparse.onnx._constants import Constants, attributes_of
from complsparse.onnx._files import Model, read_model, restore
from complsparse.onnx._library import DOMAIN, VERSION
from complsparse.onnx._shapes import inferred, sizes_of
from complsparse.onnx._sparse_tensors import SparseTensor, is_sparse, rows_of
from complsparse.onnx._worth import is_worthwhile

_FORMAT = 4  # of models, from which on initializers need not be inputs


class Layer(NamedTuple):
    """A node as one of our operators: y = activation(x W' + bias)."""

    operator: str
    filters: Any  # W in CSR, a row for each output
    bias: NDArray[Any] | None
    attributes: dict[str, Any]


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
    given = attributes_of(node)
    weights = _weights(node, constants, sparsity)
    if weights is None or weights.ndim not in (3, 4) or given.get("group", 1) != 1:
        return None
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    bias = None
    if len(node.input) > 2 and node.input[2]:
        bias = constants.array(node.input[2])
        if bias is None or bias.shape != weights.shape[:1] or bias.dtype != np.float32:
            return None
    axes = weights.ndim - 2
    filters = rows_of(weights)
    geometry = {
        "input_size": filters.shape[1],
        "axes": axes,
        "kernel_shape": list(weights.shape[2:]),
        "strides": list(given.get("strides", [1] * axes)),
        "dilations": list(given.get("dilations", [1] * axes)),
        "pads": list(given.get("pads", [0] * (2 * axes))),
    }
    return Layer("SparseConv", sparse.csr_array(filters), bias, geometry)


def _pays(layer: Layer, image: list[int | None] | None) -> bool:
    """Products do: on CPUs that were measured none of so many zeros was slower than a dense one."""
    if layer.operator != "SparseConv":
        return True
    axes: list[int | None] = [None] * (2 + layer.attributes["axes"])
    return is_worthwhile(layer.filters, layer.attributes, image or axes)


_LAYERS: dict[str, Callable[[Any, Constants, float], Layer | None]] = {
    "MatMul": _of_matmul,
    "Gemm": _of_gemm,
    "Conv": _of_conv,
}


def _activation(node: Any, constants: Constants) -> tuple[str, float] | None:
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


class _Graph:
    """A graph that is being rewritten."""

    def __init__(self, graph: Any, constants: Constants) -> None:
        self.graph, self.constants = graph, constants
        self.nodes = list(graph.node)
        self.readers = Counter(name for node in self.nodes for name in _names_read(node))
        self.readers.update(value.name for value in graph.output)
        self.reader = {name: node for node in self.nodes for name in node.input}
        self.dropped: set[int] = set()  # nodes, by identity
        self.taken = {name for node in self.nodes for name in (*node.input, *node.output)} | set(self.readers)

    def only_reader(self, node: Any) -> Any | None:
        """The node that alone reads the result of another."""
        name = node.output[0]
        reader = self.reader.get(name) if self.readers[name] == 1 else None
        return reader if reader is not None and _is_plain(reader) else None

    def initializer(self, name: str, array: NDArray[Any]) -> str:
        """The name of a new one."""
        free = name
        while free in self.taken:
            free += "_"
        self.taken.add(free)
        self.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), free))
        return free

    def replace(self, node: Any, layer: Layer) -> None:
        """By a node of ours, which does what the nodes behind it do, where it can."""
        last, bias = node, layer.bias
        after = self.only_reader(last)
        if after is not None and after.op_type == "Add" and layer.operator == "SparseMatMul":
            added = self._summand(after, last.output[0], len(layer.filters.indptr) - 1)
            if added is not None:
                bias = added if bias is None else bias + added
                last, after = after, self.only_reader(after)
                self.dropped.add(id(last))
        activation = None if after is None else _activation(after, self.constants)
        if after is not None and activation is not None:
            last = after
            self.dropped.add(id(after))
        name, parameter = activation or ("none", 0.0)
        W, prefix = layer.filters, node.input[1]
        W.sort_indices()
        inputs = [
            node.input[0],
            self.initializer(f"{prefix}/row_ptr", W.indptr.astype(np.int64)),
            self.initializer(f"{prefix}/columns", W.indices.astype(np.int32)),
            self.initializer(f"{prefix}/values", W.data.astype(np.float32)),
        ]
        if bias is not None:
            inputs.append(self.initializer(f"{prefix}/bias", bias.astype(np.float32)))
        ours = onnx.helper.make_node(
            layer.operator, inputs, [last.output[0]], name=node.name, domain=DOMAIN,
            activation=name, parameter=parameter, **layer.attributes,
        )  # fmt: skip
        self.nodes[next(i for i, other in enumerate(self.nodes) if other is node)] = ours

    def _summand(self, node: Any, product: str, outputs: int) -> NDArray[Any] | None:
        """What a node adds to each output of a product, where that is constant."""
        other = [name for name in node.input if name != product]
        added = self.constants.array(other[0]) if len(other) == 1 else None
        return added if added is not None and added.shape == (outputs,) and added.dtype == np.float32 else None

    def finish(self) -> set[str]:
        """Nodes that were replaced go, and initializers that nobody reads any more. The names that are read."""
        kept = [node for node in self.nodes if id(node) not in self.dropped]
        read = {name for node in kept for name in _names_read(node)} | {value.name for value in self.graph.output}
        held = {tensor.name for tensor in self.graph.initializer}
        _replace(self.graph.node, kept)
        _replace(self.graph.initializer, [tensor for tensor in self.graph.initializer if tensor.name in read])
        # Those that are inputs as well are constants here, as the formats before 4 wanted them.
        _replace(self.graph.input, [value for value in self.graph.input if value.name not in held])
        return read


def _replace(field: Any, messages: list[Any]) -> None:
    """The content of a repeated field, by some of its own messages among others."""
    copies = [type(message).FromString(message.SerializeToString()) for message in messages]
    del field[:]
    field.extend(copies)


def _is_plain(node: Any) -> bool:
    """Whether it is an operator of ONNX of one result."""
    return node.domain in ("", "ai.onnx") and len(node.output) == 1 and bool(node.output[0])


def _names_read(node: Any) -> list[str]:
    """By a node, and by the graphs within it."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            names += [name for inner in graph.node for name in _names_read(inner)]
            names += [value.name for value in graph.output]
    return names


def rewrite(model: Any, *, sparsity: float = 0.7, all_convolutions: bool = False) -> Any:
    """A model whose sparse MatMul, Gemm and Conv are our operators, for sessions of ONNX Runtime that know them.

    Parameters
    ----------
    model : path or onnx.ModelProto
        Stays as it is. Weights in files beside the model become part of the result.
    sparsity : float
        The least share of zeros in the weights of a node that is replaced.
    all_convolutions : bool
        Also those that are expected to be slower than ONNX Runtime's dense ones, as images are converted for them.
        Expected for the CPU that this runs on, and images of 32 pixels along an axis whose size the model does not say.

    Returns
    -------
    onnx.ModelProto
        The nodes `SparseMatMul` and `SparseConv` of the domain ``ai.complsparse`` in the place of those whose weights
        are constant, of type float32 and sparse, with what follows them of a bias, Relu, Clip from 0 to 6, LeakyRelu,
        HardSwish, Gelu, Sigmoid or Tanh. Convolutions in groups, and those padded by a rule (``auto_pad``), stay. Other
        nodes, inputs and outputs are as they were; initializers that are inputs as well are constants.

    Raises
    ------
    TypeError, ValueError
        `sparsity` is no number from 0 to 1; the model is not well-formed.

    See Also
    --------
    register : makes the operators known to a session.

    Notes
    -----
    Linear in the size of the model. Weights are stored as initializers in CSR form: row_ptr, columns, values.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx, onnxruntime
    >>> import complsparse as cs
    >>> W = cs.random((64, 32), set_size=8, rng=0, dtype="float32").toarray()
    >>> graph = onnx.parser.parse_graph("g (float[n, 64] x) => (float[n, 32] y) { y = MatMul(x, W) }")
    >>> graph.initializer.extend([onnx.numpy_helper.from_array(W, "W")])
    >>> model = cs.onnx.rewrite(onnx.helper.make_model(graph, ir_version=10))
    >>> [node.op_type for node in model.graph.node]
    ['SparseMatMul']
    >>> options = onnxruntime.SessionOptions()
    >>> cs.onnx.register(options)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    >>> x = np.ones((2, 64), np.float32)
    >>> np.allclose(session.run(None, {"x": x})[0], x @ W, atol=1e-5)
    True
    """
    if not isinstance(sparsity, (int, float, np.floating)) or isinstance(sparsity, bool):
        raise TypeError(f"sparsity={sparsity!r}; use a number from 0 to 1")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity={sparsity!r} is not from 0 to 1")
    read = read_model(model)
    with naming(read.name):
        return _rewritten(read, float(sparsity), bool(all_convolutions))


def _rewritten(model: Model, sparsity: float, all_convolutions: bool) -> Any:
    model = model._replace(proto=inferred(model.proto))
    proto = model.proto
    if any(imported.domain == DOMAIN and imported.version != VERSION for imported in proto.opset_import):
        raise ValueError(f"the model has operators of {DOMAIN} of another version than {VERSION}")
    graph, sizes = _Graph(proto.graph, Constants(model)), sizes_of(proto)
    for node in list(graph.nodes):
        if _is_plain(node) and node.op_type in _LAYERS:
            layer = _LAYERS[node.op_type](node, graph.constants, sparsity)
            if layer is not None and (all_convolutions or _pays(layer, sizes.get(node.input[0]))):
                graph.replace(node, layer)
    restore(model, graph.finish())
    proto.ir_version = max(proto.ir_version, _FORMAT)
    if DOMAIN not in {imported.domain for imported in proto.opset_import}:
        proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
    return proto
