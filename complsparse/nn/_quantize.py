# SPDX-License-Identifier: BSD-3-Clause
"""A network of real numbers as one of 8-bit integers.

Values that one layer hands on as they are, as pools and contests do, share their numbers: they form a *group*. A group
is of integers where a product reads it. What wants real numbers gets them, and what gives them is quantised behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from complsparse._matrix.makers import from_dense, from_filters
from complsparse._quantized.numbers import LEAST_SCALE, percentile_of, quantize, range_of, scale_between
from complsparse.nn._calibration import Extremes, Percentiles, Range, observe
from complsparse.nn._compiled import Compiled
from complsparse.nn._convolution import Conv1d, Conv2d
from complsparse.nn._elementwise import ReLU, ReLU6, Softmax, activation_layer
from complsparse.nn._integers import Dequantize, Numbers, QClip, Quantize, QuantizedLayer
from complsparse.nn._layer import Layer, is_weights
from complsparse.nn._linear import Linear
from complsparse.nn._passes import Network, Node, joined, with_activation, with_batch_norm
from complsparse.nn._qproducts import QConv1d, QConv2d, QLinear
from complsparse.nn._qrecurrent import QGRU
from complsparse.nn._recurrent import GRU
from complsparse.nn._winners import KWinners

CUTS = (ReLU, ReLU6)
PRODUCTS = (Conv1d, Conv2d, Linear)
READERS = (*PRODUCTS, GRU)  # of their first input; the others of GRU are real numbers
QUANTIZED: dict[Any, Any] = {Conv1d: QConv1d, Conv2d: QConv2d, Linear: QLinear}
UINT8: np.dtype[Any] = np.dtype(np.uint8)
INT8: np.dtype[Any] = np.dtype(np.int8)


# --- before -----------------------------------------------------------------------------------------------------------


def _with_cut(before: Layer | None, layer: Layer) -> Layer | None:
    return with_activation(before, layer) if isinstance(layer, CUTS) else None


def prepared(network: Network) -> Network:
    """Batch norms and cuts as part of products; other activations, which need real numbers, as layers of their own."""
    network = joined(network, (with_batch_norm, _with_cut))
    nodes: list[Node] = []
    moved: list[int] = []
    for node in network.nodes:
        layer = node.layer
        node = node._replace(inputs=tuple(moved[i] for i in node.inputs))
        activation = layer.activation if isinstance(layer, PRODUCTS) else None
        if layer is None or activation in (None, "relu", "relu6"):
            nodes.append(node)
        else:
            nodes.append(node._replace(layer=layer.with_arguments(activation=None)))
            nodes.append(Node(f"{node.name}.{activation}", activation_layer(activation), (len(nodes) - 1,)))
        moved.append(len(nodes) - 1)
    return Network(nodes, tuple(moved[i] for i in network.outputs))


# --- groups -----------------------------------------------------------------------------------------------------------


def _hands_on(layer: Layer | None) -> bool:
    """Whether the values of its result are those of its inputs, or cut off."""
    return layer is not None and (layer.takes_integers or isinstance(layer, CUTS))


def _is_never_negative(network: Network) -> list[bool]:
    """Of the value of each node, by the layers alone."""
    found: list[bool] = []
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, (*CUTS, Softmax)):
            found.append(True)
        elif isinstance(layer, PRODUCTS):
            found.append(layer.activation in ("relu", "relu6"))
        else:
            handed = _hands_on(layer) and all(found[i] for i in node.inputs)
            found.append(handed or (isinstance(layer, KWinners) and layer.relu))
    return found


class Groups:
    """Which values of a network share their numbers.

    Attributes
    ----------
    of : list of int
        The group of each value.
    integers : set of int
        The groups that are of integers.
    read : dict
        Values that a layer outside of their group reads, and their group: what calibration looks at.
    """

    def __init__(self, network: Network) -> None:
        self.of = list(range(len(network.nodes)))
        for i, node in enumerate(network.nodes):
            if _hands_on(node.layer):
                for other in node.inputs:
                    self._unite(self.of[other], self.of[i])
        readers = [(i, node.layer) for node in network.nodes if not _hands_on(node.layer) for i in node.inputs]
        products = [node for node in network.nodes if isinstance(node.layer, READERS)]
        self.integers = {self.of[node.inputs[0]] for node in products}
        read = [i for i, _ in readers] + list(network.outputs)
        self.read = {i: self.of[i] for i in read if self.of[i] in self.integers}
        never_negative = _is_never_negative(network)
        self._signed = {group for i, group in self.read.items() if not never_negative[i]}
        self._contests = {self.of[i] for i, node in enumerate(network.nodes) if isinstance(node.layer, KWinners)}

    def _unite(self, a: int, b: int) -> None:
        self.of = [a if group == b else group for group in self.of]

    def numbers(self, group: int, low: float, high: float) -> Numbers:
        """Of a group whose values reach from the one to the other.

        uint8: about zero where they are never negative, else with a zero point. int8 about zero where a contest drops
        values of both signs: what winners leave out is the number 0.
        """
        if group not in self._signed:
            return _about_zero(UINT8, high)
        if group in self._contests:
            return _about_zero(INT8, max(high, -low))
        scale, zero_point = scale_between(low, high, UINT8)
        return Numbers(UINT8, _in_float32(scale), zero_point)


def _about_zero(dtype: np.dtype[Any], largest: float) -> Numbers:
    scale = max(largest / range_of(dtype)[1], float(LEAST_SCALE)) if largest > 0 else 1.0
    return Numbers(dtype, _in_float32(scale), 0)


def _in_float32(scale: float) -> float:
    """What both sides of a border compute with."""
    return float(np.float32(scale))


# --- after ------------------------------------------------------------------------------------------------------------


def quantized(net: Compiled, calibration: Any, method: Any, into: Compiled) -> None:
    """Nodes and outputs of the network in integers, into an empty network."""
    if any(isinstance(layer, QuantizedLayer) for layer in net.layers):
        raise TypeError("the network is quantised already")
    share = percentile_of(method)
    network = prepared(net._network)
    groups = Groups(network)
    ranges: dict[int, Range] = {g: Extremes() if share is None else Percentiles(share) for g in groups.integers}
    seen = type(into)()
    seen._nodes, seen._outputs = network.nodes, net._outputs
    observe(seen, calibration, ranges, groups.read)
    numbers = {group: groups.numbers(group, *found.ends()) for group, found in ranges.items()}
    rebuilt = _Rebuilt(network, groups, numbers)
    into._outputs = [(name, rebuilt.real_of(i)) for (name, _), i in zip(net._outputs, network.outputs, strict=True)]
    into._nodes = rebuilt.nodes


class _Rebuilt:
    """Nodes of the network in integers."""

    def __init__(self, network: Network, groups: Groups, numbers: dict[int, Numbers]) -> None:
        self.nodes: list[Node] = []
        self.names = {node.name for node in network.nodes}
        self.numbers: list[Numbers | None] = [numbers.get(group) for group in groups.of]
        self.real: dict[int, int] = {}  # who gives a value as real numbers
        self.whole: dict[int, int] = {}  # and as integers
        for i, node in enumerate(network.nodes):
            self._add(i, node)

    def _new(self, name: str, layer: Layer, inputs: tuple[int, ...]) -> int:
        self.nodes.append(Node(name, layer, inputs))
        return len(self.nodes) - 1

    def _border(self, i: int, kind: type[Quantize] | type[Dequantize], of: int) -> int:
        numbers = self.numbers[i]
        assert numbers is not None
        name = f"{self.nodes[of].name}.{kind.__name__.lower()}"
        while name in self.names:
            name += "_"
        self.names.add(name)
        return self._new(name, kind(*numbers.border), (of,))

    def real_of(self, i: int) -> int:
        if i not in self.real:
            self.real[i] = self._border(i, Dequantize, self.whole[i])
        return self.real[i]

    def whole_of(self, i: int) -> int:
        if i not in self.whole:
            self.whole[i] = self._border(i, Quantize, self.real[i])
        return self.whole[i]

    def _add(self, i: int, node: Node) -> None:
        layer, numbers = node.layer, self.numbers[i]
        if layer is None:
            self.nodes.append(node)
            self.real[i] = len(self.nodes) - 1
        elif isinstance(layer, PRODUCTS):
            of = self.numbers[node.inputs[0]]
            assert of is not None
            made = self._new(node.name, _product(layer, of, numbers), (self.whole_of(node.inputs[0]),))
            (self.real if numbers is None else self.whole)[i] = made
        elif isinstance(layer, GRU):
            of = self.numbers[node.inputs[0]]
            assert of is not None
            sequences, *others = node.inputs
            inputs = (self.whole_of(sequences), *map(self.real_of, others))
            self.real[i] = self._new(node.name, _recurrent(layer, of), inputs)
        elif numbers is not None and _hands_on(layer):
            inputs = tuple(map(self.whole_of, node.inputs))
            cut = _cut(layer, numbers)
            self.whole[i] = inputs[0] if cut is None else self._new(node.name, cut, inputs)
        else:
            self.real[i] = self._new(node.name, _with_float32(layer), tuple(map(self.real_of, node.inputs)))


def _cut(layer: Layer, numbers: Numbers) -> Layer | None:
    """What a layer that hands values on is among integers; None: what saturates is cut already."""
    if not isinstance(layer, CUTS):
        return layer
    least, most = range_of(numbers.dtype)
    cut = most
    if isinstance(layer, ReLU6):
        cut = int(min(np.rint(6 / numbers.scale) + numbers.zero_point, most))
    return None if (numbers.zero_point, cut) == (least, most) else QClip(numbers.zero_point, cut, numbers.dtype)


def _weights(W: Any) -> Any:
    if isinstance(W, np.ndarray):
        W = from_filters(W) if W.ndim > 2 else from_dense(W)
    return quantize(W)


def _recurrent(layer: GRU, x: Numbers) -> Layer:
    arguments = {**layer.arguments(), "W": _weights(layer.W), "R": _weights(layer.R)}
    return QGRU(**arguments, x_scale=x.scale, x_zero_point=x.zero_point, x_dtype=x.dtype.name)


def _product(layer: Any, x: Numbers, out: Numbers | None) -> Layer:
    arguments = {**layer.arguments(), "W": _weights(layer.W)}
    arguments |= {"x_scale": x.scale, "x_zero_point": x.zero_point, "x_dtype": x.dtype}
    if out is not None:
        arguments |= {"out_scale": out.scale, "out_zero_point": out.zero_point, "out_dtype": out.dtype}
    made: Layer = QUANTIZED[type(layer)](**arguments)
    return made


def _with_float32(layer: Layer) -> Any:
    return layer.with_arguments(
        **{name: value.astype(np.float32) for name, value in layer.arguments().items() if is_weights(value)}
    )


def numbers_of(nodes: Iterable[Node]) -> list[Numbers | None]:
    """What the integers of each value stand for; None where it is of real numbers."""
    found: list[Numbers | None] = []
    for node in nodes:
        given = found[node.inputs[0]] if node.inputs else None
        found.append(node.layer.numbers_behind(given) if isinstance(node.layer, QuantizedLayer) else given)
    return found
