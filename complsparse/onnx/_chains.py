# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions of ours, each of which alone reads what the one before it makes, as one node of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from complsparse.onnx._library import DOMAIN

_LAYERS = ("SparseConv", "DepthwiseConv")


def chained(nodes: list[Any], readers: Mapping[str, int]) -> list[Any]:
    """The nodes of a graph in their order, chains in the place of their last ones. `readers`: how many read a name."""
    chains: dict[str, list[Any]] = {}  # by the name that the last of them writes
    for node in nodes:
        if node.domain == DOMAIN and node.op_type in _LAYERS:
            name = node.input[0]
            follows = name in chains and readers[name] == 1 and _axes(chains[name][-1]) == _axes(node)
            chains[node.output[0]] = [*(chains.pop(name) if follows else []), node]
    within = {id(node) for chain in chains.values() for node in chain}
    last = {id(chain[-1]): chain for chain in chains.values()}
    return [_one(last[id(node)]) if id(node) in last else node
            for node in nodes if id(node) in last or id(node) not in within]  # fmt: skip


def _axes(node: Any) -> int:
    n: int = next(attribute.i for attribute in node.attribute if attribute.name == "axes")
    return n


def _one(chain: list[Any]) -> Any:
    """A node that does what those of a chain do: their attributes have numbers behind their names."""
    if len(chain) == 1:
        return chain[0]
    made = onnx.helper.make_node(
        "ConvChain", [chain[0].input[0]], [chain[-1].output[0]], name=chain[0].name, domain=DOMAIN,
        layers=len(chain), n_inputs=[len(node.input) - 1 for node in chain],
    )  # fmt: skip
    for i, node in enumerate(chain):
        made.input.extend(node.input[1:])
        for attribute in node.attribute:
            made.attribute.add().CopyFrom(attribute)
            made.attribute[-1].name = f"{attribute.name}_{i}"
    return made
