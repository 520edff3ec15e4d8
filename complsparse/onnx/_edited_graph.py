# SPDX-License-Identifier: BSD-3-Clause
"""A graph of ONNX in which nodes give way to our operators, with what the nodes around them do."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from complsparse.onnx._chains import chained
from complsparse.onnx._constants import Constants, attributes_of
from complsparse.onnx._library import DOMAIN
from complsparse.onnx._our_layers import Layer, activation_of
from complsparse.onnx._shapes import Sizes

_ELEMENTWISE = ("Add", "Clip", "Relu")  # whose results have the type of what they read first


class EditedGraph:
    """A graph that is being rewritten."""

    def __init__(self, graph: Any, constants: Constants) -> None:
        self.graph, self.constants = graph, constants
        self.nodes = list(graph.node)
        self.readers = Counter(name for node in self.nodes for name in _names_read(node))
        self.readers.update(value.name for value in graph.output)
        self.reader = {name: node for node in self.nodes for name in node.input}
        self.writer = {name: node for node in self.nodes for name in node.output}
        self.dropped: set[int] = set()  # nodes, by identity
        self.passed_by: set[int] = set()  # those that go where nobody else reads them
        self.taken = {name for node in self.nodes for name in (*node.input, *node.output)} | set(self.readers)

    def only_reader(self, node: Any) -> Any | None:
        """The node that alone reads the result of another."""
        name = node.output[0]
        reader = self.reader.get(name) if self.readers[name] == 1 else None
        return reader if reader is not None and is_plain(reader) else None

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
        if pad is None or pad.op_type != "Pad" or not is_plain(pad) or layer.operator == "SparseMatMul":
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
        self.passed_by.add(id(pad))
        pads = [int(n) for n in around[:, 2:].ravel() + np.array(layer.attributes["pads"])]
        return pad.input[0], layer._replace(attributes=layer.attributes | {"pads": pads})

    def resized(self, node: Any, layer: Layer, sizes: Sizes) -> Any | None:
        """The Resize before a convolution of one pixel that may go behind it, and leaves it fewer pixels there.

        Pixels are sums of pixels whose factors add up to 1, the same in every channel; a bias passes through them."""
        name = node.input[0]
        resize = self.writer.get(name)
        if resize is None or resize.op_type != "Resize" or not is_plain(resize) or self.readers[name] != 1:
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
        activation = None if after is None else activation_of(after, self.constants)
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

    def take_shuffles(self) -> None:
        """Pixels that move from channels to space, of images that nodes of ours make."""
        written = {name: node for node in self.nodes if id(node) not in self.dropped for name in node.output}
        for node in list(self.nodes):
            if node.op_type != "DepthToSpace" or not is_plain(node):
                continue
            before = written.get(node.input[0])
            while before is not None and before.op_type in _ELEMENTWISE and is_plain(before):
                before = written.get(before.input[0])
            given = {"mode": b"DCR"} | attributes_of(node)
            known = isinstance(given.get("blocksize"), int) and given["mode"] in (b"DCR", b"CRD")
            if known and before is not None and before.domain == DOMAIN:
                ours = onnx.helper.make_node("DepthToSpace", node.input, node.output, name=node.name, domain=DOMAIN,
                                             blocksize=given["blocksize"], mode=given["mode"])  # fmt: skip
                self.put(node, [ours])

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
        """Nodes that were replaced go, and initializers that nobody reads any more; ours that follow one another become
        chains. The names that are read."""
        kept = [node for node in self.nodes if id(node) not in self.dropped]
        read = {name for node in kept for name in _names_read(node)} | {value.name for value in self.graph.output}
        kept = [node for node in kept if id(node) not in self.passed_by or node.output[0] in read]
        readers = Counter(name for node in kept for name in _names_read(node))
        readers.update(value.name for value in self.graph.output)
        kept, read = chained(kept, readers), set(readers)
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


def is_plain(node: Any) -> bool:
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
