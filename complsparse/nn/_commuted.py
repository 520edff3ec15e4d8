# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions of one pixel change places with the Resize before them, where that leaves them fewer pixels."""

from __future__ import annotations

import math
from typing import Any

from complsparse.nn._convolution import Conv2d
from complsparse.nn._elementwise import ActivationLayer
from complsparse.nn._passes import Network, Node, _without_idle, readers
from complsparse.nn._resize import Resize
from complsparse.nn._values import Spec

_ACTIVATIONS = {kind.activation: kind for kind in ActivationLayer.__subclasses__()}


def with_small_products(network: Network, specs: list[Any]) -> Network:
    """`specs`: of every node. The network itself where nothing changes places.

    Pixels are sums of pixels whose factors add up to 1, the same in every channel; a bias passes through them.
    """
    nodes: list[Node] = []
    moved: list[int] = []  # who gives the value of each node
    for node in network.nodes:
        here = node._replace(inputs=tuple(moved[j] for j in node.inputs))
        if _changes_places(network, specs, node):
            before = network.nodes[node.inputs[0]]
            layer: Any = node.layer
            resize: Any = before.layer
            new = specs[before.inputs[1]].known if len(before.inputs) > 1 else None
            convolution = layer.with_arguments(activation=None)
            nodes.append(here._replace(layer=convolution, inputs=(moved[before.inputs[0]],)))
            nodes.append(before._replace(layer=resize.along((2, 3), 4, new), inputs=(len(nodes) - 1,)))
            if layer.activation is not None:
                nodes.append(here._replace(layer=_ACTIVATIONS[layer.activation](), inputs=(len(nodes) - 1,)))
        else:
            nodes.append(here)
        moved.append(len(nodes) - 1)
    if len(nodes) == len(network.nodes):
        return network
    return _without_idle(Network(nodes, tuple(moved[i] for i in network.outputs)))


def _changes_places(network: Network, specs: list[Any], node: Node) -> bool:
    layer = node.layer
    if not isinstance(layer, Conv2d) or layer.groups != 1 or layer.channel != 1:
        return False
    before = network.nodes[node.inputs[0]]
    if not isinstance(before.layer, Resize) or readers(network, node.inputs[0]) != 1:
        return False
    x, resized = specs[before.inputs[0]], specs[node.inputs[0]]
    if not isinstance(x, Spec) or not x.is_dense or x.dtype is not None or len(x.whole) != 4:
        return False
    if x.whole[:2] != resized.whole[:2] or math.prod(x.whole[2:]) >= math.prod(resized.whole[2:]):
        return False
    geometry = layer._bound(resized.shape)[0].geometry
    of_one_pixel = geometry.kernel == geometry.stride == (1, 1) and geometry.out == resized.shape[1:]
    return of_one_pixel and geometry.before == (0, 0) and int(layer.W.shape[0]) <= resized.shape[0]
