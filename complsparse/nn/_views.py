# SPDX-License-Identifier: BSD-3-Clause
"""Attention that is written out, found in a network whose shapes are known; axes that move around it are no steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from complsparse.nn._attention import Attention, PlacedAttention, Strided, by_head, scores_of, unread
from complsparse.nn._elementwise import Softmax
from complsparse.nn._moving import Identity, Reshape, Squeeze, Transpose, Unsqueeze
from complsparse.nn._pairs import Add, Div, MatMul, Mul
from complsparse.nn._passes import Network, Node, _without_idle, readers
from complsparse.nn._shapes import Flatten
from complsparse.nn._values import Shape, Spec

View = Callable[[Any], Any]  # of an array of bytes
_MOVING = (Flatten, Identity, Reshape, Squeeze, Transpose, Unsqueeze)


class _Found(NamedTuple):
    """What attention reads, by node, and the factor of its scores."""

    q: int
    k: int  # rows and columns transposed
    v: int
    mask: int | None
    scale: float


def with_attention(network: Network, specs: list[Any]) -> Network:
    """`specs`: of every node. The network itself where it has none."""
    nodes = list(network.nodes)
    tracing = _Tracing(network, specs)
    for i, node in enumerate(network.nodes):
        if isinstance(node.layer, Attention):
            tracing.place(i, nodes)
        elif isinstance(node.layer, MatMul) and (found := tracing.written_out(i)) is not None:
            tracing.place(i, nodes, found)
    return network if nodes == network.nodes else _without_idle(Network(nodes, network.outputs))


class _Tracing:
    def __init__(self, network: Network, specs: list[Any]) -> None:
        self.network, self.specs = network, specs

    def _node(self, i: int) -> Node:
        return self.network.nodes[i]

    # --- what is written out

    def _only(self, i: int, kind: Any) -> bool:
        """Whether a node is of this kind, and has one reader."""
        return isinstance(self._node(i).layer, kind) and readers(self.network, i) == 1

    def _number(self, i: int) -> float | None:
        known = self.specs[i].known if isinstance(self.specs[i], Spec) else None
        return float(known.reshape(())) if known is not None and known.size == 1 and known.dtype.kind == "f" else None

    def _without_factors(self, i: int) -> tuple[int, float]:
        """Behind multiplications by numbers: what they multiply, and their product."""
        factor = 1.0
        while isinstance(self._node(i).layer, (Mul, Div)) and len(self._node(i).inputs) == 2:
            a, b = self._node(i).inputs
            number = self._number(b)
            if number is None and isinstance(self._node(i).layer, Mul):
                a, b, number = b, a, self._number(a)
            if number is None or self.specs[a].whole != self.specs[i].whole:
                break
            factor, i = (factor * number if isinstance(self._node(i).layer, Mul) else factor / number), a
        return i, factor

    def written_out(self, i: int) -> _Found | None:
        """At a product of matrices whose first operand are shares of keys."""
        shares, v = self._node(i).inputs
        if not self._only(shares, Softmax) or len(self.specs[shares].whole) not in (3, 4):
            return None
        softmax: Any = self._node(shares).layer
        ndim = len(self.specs[shares].whole)
        (scores,) = self._node(shares).inputs
        if softmax.axis % ndim != ndim - 1 or readers(self.network, scores) != 1:
            return None
        wanted = self.specs[scores].whole
        options: list[tuple[int, int | None]] = [(scores, None)]
        if isinstance(self._node(scores).layer, Add) and len(self._node(scores).inputs) == 2:
            a, b = self._node(scores).inputs
            options = [(a, b), (b, a)]
        for given, mask in options:
            product, after = self._without_factors(given)
            if isinstance(self._node(product).layer, MatMul) and self.specs[product].whole == wanted:
                (q, of_q), (k, of_k) = map(self._without_factors, self._node(product).inputs)
                return _Found(q, k, v, mask, after * of_q * of_k)
        return None

    # --- where it lies

    def place(self, i: int, nodes: list[Node], found: _Found | None = None) -> None:
        """Puts a step for nodes[i], or for what follows it and only moves its result, if BLAS takes what lies there."""
        node = self._node(i)
        layer: Any = node.layer
        if found is None:
            given, scale, causal = list(node.inputs), None, layer.causal
            heads: list[View] = [lambda x: by_head(x, layer.heads)] * 4
        else:
            given, scale, causal = [found.q, found.k, found.v], found.scale, False
            given += [] if found.mask is None else [found.mask]
            heads = [_four_axes, lambda x: _four_axes(np.swapaxes(x, -1, -2)), _four_axes, _four_axes]
        if not all(map(self._is_plain, given)) or any(len(self.specs[j].whole) not in (3, 4) for j in given[:3]):
            return
        traced = [self._traced(j, view) for j, view in zip(given[:3], heads[:3], strict=True)]
        views = [view for _, view in traced]
        q, k, v = (view.shape for view in views)
        if q[:2] != k[:2] or q[:2] != v[:2]:
            return
        last, spec, out = self._moved(i, heads[3])
        views.append(out)
        for j in given[3:]:
            base, mask = self._traced(j, lambda x: np.broadcast_to(x, scores_of(views)))
            traced.append((base, mask))
            views.append(mask)
        scale = layer.scale_of(views) if scale is None else scale
        placed = PlacedAttention(scale, causal, views, spec)
        if placed.is_possible:
            nodes[last] = nodes[last]._replace(layer=placed, inputs=tuple(base for base, _ in traced), name=node.name)

    def _is_plain(self, i: int) -> bool:
        spec = self.specs[i]
        return isinstance(spec, Spec) and spec.is_dense and spec.dtype is None and math.prod(spec.whole) > 0

    def _traced(self, i: int, view: View) -> tuple[int, Strided]:
        """The earliest value whose memory has a view of a value, and that view there."""
        chain = [i]
        while isinstance(self._node(chain[-1]).layer, _MOVING) and self._is_plain(self._node(chain[-1]).inputs[0]):
            chain.append(self._node(chain[-1]).inputs[0])
        for at in reversed(range(len(chain))):
            whole = unread(self.specs[chain[at]].whole)
            moved = whole
            for j in reversed(chain[:at]):
                moved = self._moved_by(j, moved)
            found = view(moved)
            if np.may_share_memory(found, whole):
                return chain[at], Strided.of(found, whole)
        raise AssertionError("a value is a view of itself")

    def _moved_by(self, j: int, x: Any) -> Any:
        layer: Any = self._node(j).layer
        return layer._called([x])[0] if isinstance(layer, Transpose) else x.reshape(self.specs[j].whole)

    def _moved(self, i: int, view: View) -> tuple[int, Spec, Strided]:
        """The last of the nodes that only move a result, its spec, and where the result lies in its array."""
        chain = [i]
        while chain[-1] not in self.network.outputs and readers(self.network, chain[-1]) == 1:
            reader = next(j for j, node in enumerate(self.network.nodes) if chain[-1] in node.inputs)
            if not isinstance(self._node(reader).layer, _MOVING) or self._node(reader).inputs[0] != chain[-1]:
                break
            chain.append(reader)
        for at in reversed(range(len(chain))):
            whole = unread(self.specs[chain[at]].whole)
            back = whole
            for j in reversed(range(1, at + 1)):
                back = self._moved_back(chain[j], self.specs[chain[j - 1]].whole, back)
            found = view(back)
            if np.may_share_memory(found, whole):
                return chain[at], self.specs[chain[at]]._replace(known=None), Strided.of(found, whole)
        raise AssertionError("a value is a view of itself")

    def _moved_back(self, j: int, before: Shape, x: Any) -> Any:
        layer: Any = self._node(j).layer
        if not isinstance(layer, Transpose):
            return x.reshape(before)
        given = layer.arguments()["axes"]
        axes = range(len(before))[::-1] if given is None else given
        return np.transpose(x, np.argsort([axis % len(before) for axis in axes]))


def _four_axes(x: Any) -> Any:
    """(samples, heads, rows, columns) of that, or of (heads, rows, columns)."""
    return x.reshape((1,) * (4 - x.ndim) + x.shape)
