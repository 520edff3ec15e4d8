# SPDX-License-Identifier: BSD-3-Clause
"""Which nodes of a model become ours, by what that gains inside ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from complsparse.onnx._edited_graph import EditedGraph, is_plain
from complsparse.onnx._our_layers import LAYERS, Layer, of_depthwise_conv, of_first_conv
from complsparse.onnx._worth import CALL, gain


def chosen(graph: EditedGraph, sizes: Any, sparsity: float, all_convolutions: bool) -> list[tuple[Any, Layer]]:
    """The nodes that become ours. Products do: on CPUs that were measured none of so many zeros was slower than a
    dense one. Convolutions where each gains more than conversions around it cost; or all of them, and those between
    them that are not sparse, for which nothing is converted, where that gains more."""
    found, between = [], []
    for node in graph.nodes:
        if not is_plain(node) or node.op_type not in LAYERS:
            continue
        layer = LAYERS[node.op_type](node, graph.constants, sparsity)
        if layer is not None:
            found.append((node, layer))
            continue
        layer = of_depthwise_conv(node, graph.constants) or of_first_conv(node, graph.constants)
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

    def __init__(self, graph: EditedGraph, ours: set[int]) -> None:
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
