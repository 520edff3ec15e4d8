# SPDX-License-Identifier: BSD-3-Clause
"""Models whose sparse layers are our operators, for sessions of ONNX Runtime."""

from __future__ import annotations

import math
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
from complsparse.onnx._shapes import Sizes, inferred, sizes_of
from complsparse.onnx._sparse_tensors import SparseTensor, is_sparse, rows_of
from complsparse.onnx._worth import CALL, gain

_FEW_CHANNELS = 4
_FORMAT = 4  # of models, from which on initializers need not be inputs


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


def _of_depthwise_conv(node: Any, constants: Constants) -> Layer | None:
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


def _of_first_conv(node: Any, constants: Constants) -> Layer | None:
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
        self.writer = {name: node for node in self.nodes for name in node.output}
        self.dropped: set[int] = set()  # nodes, by identity
        self.taken = {name for node in self.nodes for name in (*node.input, *node.output)} | set(self.readers)

    def only_reader(self, node: Any) -> Any | None:
        """The node that alone reads the result of another."""
        name = node.output[0]
        reader = self.reader.get(name) if self.readers[name] == 1 else None
        return reader if reader is not None and _is_plain(reader) else None

    def free(self, name: str) -> str:
        """A name that nobody has, from now on this one."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def initializer(self, name: str, array: NDArray[Any]) -> str:
        """The name of a new one."""
        free = self.free(name)
        self.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), free))
        return free

    def padded(self, node: Any, layer: Layer) -> tuple[str, Layer]:
        """What a convolution reads, and the layer: zeros that a node before it puts around images are its own."""
        name = node.input[0]
        pad = self.writer.get(name)
        if pad is None or pad.op_type != "Pad" or not _is_plain(pad) or layer.operator == "SparseMatMul":
            return name, layer
        given, axes = attributes_of(pad), layer.attributes["axes"]
        constants = [self.constants.array(one) if one else None for one in pad.input[1:]]
        if given.get("mode", b"constant") != b"constant" or len(pad.input) not in (2, 3) or constants[0] is None:
            return name, layer
        if len(pad.input) == 3 and pad.input[2] and (constants[1] is None or constants[1].any()):
            return name, layer
        around = constants[0].reshape(2, -1)
        if around.shape[1] != 2 + axes or around[:, :2].any() or around.min() < 0:
            return name, layer
        if self.readers[name] == 1:
            self.dropped.add(id(pad))
        pads = [int(n) for n in around[:, 2:].ravel() + np.array(layer.attributes["pads"])]
        return pad.input[0], layer._replace(attributes=layer.attributes | {"pads": pads})

    def resized(self, node: Any, layer: Layer, sizes: Sizes) -> Any | None:
        """The Resize before a convolution of one pixel that may go behind it, and leaves it fewer pixels there.

        Pixels are sums of pixels whose factors add up to 1, the same in every channel; a bias passes through them."""
        name = node.input[0]
        resize = self.writer.get(name)
        if resize is None or resize.op_type != "Resize" or not _is_plain(resize) or self.readers[name] != 1:
            return None
        one = {"kernel_shape": 1, "strides": 1, "pads": 0}
        if layer.operator != "SparseConv" or any(n != one[a] for a in one for n in layer.attributes[a]):
            return None
        given = attributes_of(resize)
        how = given.get("coordinate_transformation_mode", b"half_pixel")
        if given.get("mode", b"nearest") not in (b"nearest", b"linear") or how == b"tf_crop_and_resize":
            return None
        before, behind = ([n or 0 for n in sizes.get(value) or [0]] for value in (resize.input[0], name))
        if 0 in before or 0 in behind or before[:2] != behind[:2] or layer.outputs > before[1]:
            return None
        fewer = math.prod(before[2:]) < math.prod(behind[2:])
        return resize if fewer and "axes" not in given and "keep_aspect_ratio_policy" not in given else None

    def replace_behind(self, node: Any, layer: Layer, resize: Any, sizes: Sizes) -> None:
        """A convolution by a node of ours, and the Resize behind it."""
        self.dropped.add(id(resize))
        small = self.free(node.output[0])
        size = np.array([sizes[resize.input[0]][0], layer.outputs, *sizes[node.input[0]][2:]], np.int64)
        behind = onnx.NodeProto.FromString(resize.SerializeToString())
        del behind.input[:], behind.output[:]
        behind.input.extend([small, "", "", self.initializer(f"{node.input[0]}/sizes", size)])
        behind.output.append(node.output[0])
        self.put(node, [self.ours(node, layer, resize.input[0], small), behind])

    def replace(self, node: Any, layer: Layer) -> None:
        """By a node of ours, which does what the nodes around it do, where it can."""
        x, layer = self.padded(node, layer)
        last, bias = node, layer.bias
        after = self.only_reader(last)
        if after is not None and after.op_type == "Add" and layer.operator == "SparseMatMul":
            added = self._summand(after, last.output[0], layer.outputs)
            if added is not None:
                bias = added if bias is None else bias + added
                last, after = after, self.only_reader(after)
                self.dropped.add(id(last))
        activation = None if after is None else _activation(after, self.constants)
        if after is not None and activation is not None:
            last = after
            self.dropped.add(id(after))
        self.put(node, [self.ours(node, layer._replace(bias=bias), x, last.output[0], activation)])

    def ours(self, node: Any, layer: Layer, x: str, y: str, activation: tuple[str, float] | None = None) -> Any:
        name, parameter = activation or ("none", 0.0)
        arrays = layer.initializers()
        inputs = [x, *(self.initializer(f"{node.input[1]}/{what}", array) for what, array in arrays.items())]
        return onnx.helper.make_node(
            layer.operator, inputs, [y], name=node.name, domain=DOMAIN,
            activation=name, parameter=parameter, **layer.attributes,
        )  # fmt: skip

    def put(self, node: Any, others: list[Any]) -> None:
        """In the place of a node."""
        at = next(i for i, other in enumerate(self.nodes) if other is node)
        self.nodes[at : at + 1] = others

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


def _chosen(graph: _Graph, sizes: Any, sparsity: float, all_convolutions: bool) -> list[tuple[Any, Layer]]:
    """The nodes that become ours. Products do: on CPUs that were measured none of so many zeros was slower than a
    dense one. Convolutions where each gains more than conversions around it cost; or all of them, and those between
    them that are not sparse, for which nothing is converted, where that gains more."""
    found, between = [], []
    for node in graph.nodes:
        if not _is_plain(node) or node.op_type not in _LAYERS:
            continue
        layer = _LAYERS[node.op_type](node, graph.constants, sparsity)
        if layer is not None:
            found.append((node, layer))
            continue
        layer = _of_depthwise_conv(node, graph.constants) or _of_first_conv(node, graph.constants)
        if layer is not None:
            between.append((node, layer))
    convolutions = [(node, layer) for node, layer in found if layer.operator == "SparseConv"]
    if all_convolutions or not convolutions:
        return found + between if convolutions else found
    gains = [gain(layer.filters, layer.attributes, sizes.get(node.input[0])) for node, layer in convolutions]
    alone = [one.gained - one.before - one.behind for one in gains]
    ours = {id(node) for node, _ in convolutions + between}
    edges = _Edges(graph, ours)
    together = -CALL * len(between)
    for (node, _), one in zip(convolutions, gains, strict=True):
        together += one.gained - one.before * edges.before(node) - one.behind * edges.behind(node)
    if together > sum(max(0.0, one) for one in alone):
        return found + between
    stay = {id(node) for (node, _), one in zip(convolutions, alone, strict=True) if one <= 0}
    return [(node, layer) for node, layer in found if id(node) not in stay]


class _Edges:
    """Where images go between nodes that become ours and others, through what is done element by element."""

    passed = frozenset(["Relu", "Clip", "LeakyRelu", "HardSwish", "Gelu", "Sigmoid", "Tanh", "Add", "Pad"])

    def __init__(self, graph: _Graph, ours: set[int]) -> None:
        self.graph, self.ours = graph, ours
        self.of_name: dict[str, list[Any]] = {}
        for node in graph.nodes:
            for name in node.input:
                self.of_name.setdefault(name, []).append(node)

    def before(self, node: Any) -> bool:
        return self._other(node.input[:1], lambda name: [self.graph.writer.get(name)], lambda one: one.input)

    def behind(self, node: Any) -> bool:
        return self._other(node.output, lambda name: self.of_name.get(name, [None]), lambda one: one.output)

    def _other(self, names: Any, nodes_at: Callable[[str], list[Any]], next_names: Callable[[Any], Any]) -> bool:
        """Whether a node that is not ours is met, or the graph's end."""
        seen, left = set(names), list(names)
        while left:
            name = left.pop()
            for node in nodes_at(name):
                if node is not None and node.op_type in self.passed:
                    left += [one for one in next_names(node) if one not in seen and not self._is_constant(one)]
                    seen.update(next_names(node))
                elif node is None or id(node) not in self.ours:
                    return True
        return False

    def _is_constant(self, name: str) -> bool:
        return not name or self.graph.constants.array(name) is not None


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
        Also those that are expected to gain less than the conversions of images around them cost.
        Expected for the CPU that this runs on, and images of 32 pixels along an axis whose size the model does not say.

    Returns
    -------
    onnx.ModelProto
        The nodes `SparseMatMul` and `SparseConv` of the domain ``ai.complsparse`` in the place of those whose weights
        are constant, of type float32 and sparse, with what follows them of a bias, Relu, Clip from 0 to 6, LeakyRelu,
        HardSwish, Gelu, Sigmoid or Tanh, and zeros that a Pad puts around their images; `DepthwiseConv` in the place
        of convolutions of single channels among them. Convolutions in groups of several channels, and those padded by
        a rule (``auto_pad``), stay. Other nodes, inputs and outputs are as they were; initializers that are inputs as
        well are constants.

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
    for node, layer in _chosen(graph, sizes, sparsity, all_convolutions):
        resize = graph.resized(node, layer, sizes)
        if resize is None:
            graph.replace(node, layer)
        else:
            graph.replace_behind(node, layer, resize, sizes)
    restore(model, graph.finish())
    proto.ir_version = max(proto.ir_version, _FORMAT)
    if DOMAIN not in {imported.domain for imported in proto.opset_import}:
        proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
    return proto
