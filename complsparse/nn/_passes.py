# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a network before it is compiled: nodes that lead nowhere go, and layers join where one step does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from complsparse.nn._convolution import _Convolution
from complsparse.nn._elementwise import ActivationLayer, BatchNorm
from complsparse.nn._layer import Layer
from complsparse.nn._linear import Linear
from complsparse.nn._moving import Pad
from complsparse.nn._pairs import ActivatedPair, _Pairwise
from complsparse.nn._pooled import PooledConvolution
from complsparse.nn._pools import MaxPool2d
from complsparse.nn._qproducts import QConv2d


class Node(NamedTuple):
    """A layer of a network and where its inputs come from; an input of the network where there is no layer."""

    name: str
    layer: Layer | None
    inputs: tuple[int, ...] = ()
    shape: tuple[int | None, ...] | None = None  # of an input, with its batch axis; None: any
    dtype: np.dtype[Any] | None = None  # of an input; None: that of the network


class Network(NamedTuple):
    """Nodes, each behind its inputs, and which of them are outputs."""

    nodes: list[Node]
    outputs: tuple[int, ...]


def fused(network: Network) -> Network:
    """Batch norms and activations as part of the products before them, where nobody else reads these, or of arithmetic;
    zeros around images as padding of the convolutions behind them."""
    network = _without_pads(joined(network, (with_batch_norm, with_activation)))
    return joined(network, (with_pool, with_arithmetic))


Join = Callable[[Layer | None, Layer], Layer | None]


def joined(network: Network, joins: tuple[Join, ...]) -> Network:
    network = _without_idle(network)
    for join in joins:
        nodes: list[Node] = list(network.nodes)
        moved = list(range(len(nodes)))  # who gives the value of each node
        for i, node in enumerate(network.nodes):
            nodes[i] = node._replace(inputs=tuple(moved[j] for j in node.inputs))
            if node.layer is None or len(node.inputs) != 1 or readers(network, node.inputs[0]) != 1:
                continue
            before = moved[node.inputs[0]]
            joined = join(nodes[before].layer, node.layer)
            if joined is not None:
                nodes[before] = nodes[before]._replace(layer=joined)
                moved[i] = before
        network = _without_idle(Network(nodes, tuple(moved[i] for i in network.outputs)))
    return network


def _without_pads(network: Network) -> Network:
    nodes: list[Node] = []
    for node in network.nodes:
        before = nodes[node.inputs[0]] if node.inputs else node
        layer = with_zeros(before.layer, node.layer) if before is not node and len(before.inputs) == 1 else None
        nodes.append(node if layer is None else node._replace(layer=layer, inputs=before.inputs))
    return _without_idle(Network(nodes, network.outputs))


def with_zeros(before: Layer | None, layer: Layer | None) -> Layer | None:
    """A convolution of what `before` reads."""
    if not isinstance(before, Pad) or not isinstance(layer, _Convolution):
        return None
    given, n = before.arguments(), layer.axes + 2
    widths = given["widths"]
    if given["mode"] != "constant" or given["value"] != 0 or len(widths) != 2 * n or min(widths) < 0:
        return None
    if any(widths[axis] or widths[axis + n] for axis in (0, layer.channel)):
        return None
    return layer.padded(widths[:n], widths[n:])  # type: ignore[no-any-return]


def readers(network: Network, number: int) -> int:
    return sum(node.inputs.count(number) for node in network.nodes) + network.outputs.count(number)


def _without_idle(network: Network) -> Network:
    """Without the nodes of which no output comes; inputs stay."""
    wanted = set(network.outputs)
    for i in reversed(range(len(network.nodes))):
        if i in wanted:
            wanted.update(network.nodes[i].inputs)
    numbers: dict[int, int] = {}
    nodes: list[Node] = []
    for i, node in enumerate(network.nodes):
        if i in wanted or node.layer is None:
            numbers[i] = len(nodes)
            nodes.append(node._replace(inputs=tuple(numbers[j] for j in node.inputs)))
    return Network(nodes, tuple(numbers[i] for i in network.outputs))


def with_batch_norm(before: Layer | None, layer: Layer) -> Layer | None:
    if not isinstance(layer, BatchNorm) or not isinstance(before, (_Convolution, Linear)):
        return None
    if before.activation is not None:
        return None
    if isinstance(before, _Convolution):
        channel: int | None = before.channel
        axes = before.axes + 2
    else:  # of vectors, whose number of axes is not known here
        channel, axes = (-1 if layer.axis == -1 else None), 0
    at = layer.axis + axes if layer.axis < 0 and axes else layer.axis
    if at != channel:
        return None
    factor, summand = layer.factors()
    return before.scaled(factor, summand) if np.all(np.isfinite(factor)) and len(factor) == before.W.shape[0] else None


def with_activation(before: Layer | None, layer: Layer) -> Layer | None:
    if not isinstance(layer, ActivationLayer) or not isinstance(before, (_Convolution, Linear)):
        return None
    return before.with_arguments(activation=layer.activation) if before.activation is None else None


def with_pool(before: Layer | None, layer: Layer) -> Layer | None:
    if not isinstance(layer, MaxPool2d) or not isinstance(before, (_Convolution, QConv2d)):
        return None
    return PooledConvolution(before, layer) if before.layout == layer.layout else None


def with_arithmetic(before: Layer | None, layer: Layer) -> Layer | None:
    if not isinstance(layer, ActivationLayer) or not isinstance(before, _Pairwise):
        return None
    return ActivatedPair(before, layer)
