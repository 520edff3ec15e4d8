# SPDX-License-Identifier: BSD-3-Clause
"""A quantised network beside the one that it was made of: what its integers lose."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._quantized.numbers import range_of
from complsparse._tables import Column, Table, plain_table
from complsparse.nn._compiled import Compiled
from complsparse.nn._elementwise import dense
from complsparse.nn._graph_layers import Item
from complsparse.nn._integers import Dequantize, Numbers, Quantize
from complsparse.nn._quantize import numbers_of, prepared


class LayerNoise(NamedTuple):
    """Of the result of one layer, in decibels: the signal over what differs from it.

    Negative values that a ReLU behind the layer cuts count as 0; what a ReLU6 cuts above, behind a pool, is noise here.
    """

    name: str
    layer: str
    dtype: str
    decibels: float  # against the network in floating point
    decibels_alone: float  # against the layer in floating point, for the input that the quantised layer had
    saturated: float  # share of the integers that are the least or the largest of their dtype


class Comparison:
    """A quantised network and the one that it was made of, for the same samples.

    Attributes
    ----------
    rows : list of LayerNoise
    equal_decisions : float
        Share of the vectors of the outputs whose largest entry is the same.
    samples : int
    """

    def __init__(self, rows: list[LayerNoise], equal_decisions: float, samples: int) -> None:
        self.rows, self.equal_decisions, self.samples = rows, equal_decisions, samples

    def __repr__(self) -> str:
        columns = [
            Column("name", True), Column("layer", True), Column("dtype", True), Column("signal to noise\ndB"),
            Column("of the layer alone\ndB"), Column("saturated"),
        ]  # fmt: skip
        cells = [
            [row.name, row.layer, row.dtype, f"{row.decibels:.1f}", f"{row.decibels_alone:.1f}",
             "" if math.isnan(row.saturated) else f"{row.saturated:.2%}"]
            for row in self.rows
        ]  # fmt: skip
        title = f"{self.samples} samples, {self.equal_decisions:.1%} of the decisions are those of floating point"
        return plain_table(Table(title, columns, cells, set()))


def decibels(signal: NDArray[Any], found: NDArray[Any]) -> float:
    """Signal-to-noise ratio; infinite where there is no noise."""
    wanted = signal.astype(np.float64)
    power, noise = float(np.sum(wanted**2)), float(np.sum((found - wanted) ** 2))
    return math.inf if noise == 0 else -math.inf if power == 0 else 10 * math.log10(power / noise)


def compare(net: Compiled, xs: tuple[Any, ...]) -> Comparison:
    if net.float_network is None:
        raise ValueError(
            "the network does not know the one that it was made of (float_network): quantize() gives one that does, "
            "and files do not hold it"
        )
    exact = type(net)()
    network = prepared(net.float_network._network)
    exact._nodes, exact._outputs = network.nodes, net.float_network._outputs
    wanted = {node.name: value for node, value in zip(network.nodes, exact._values(*xs), strict=True)}
    layers = {node.name: node.layer for node in network.nodes}
    numbers, values = numbers_of(net._nodes), net._values(*xs)
    real = [_real(value, of) for value, of in zip(values, numbers, strict=True)]
    rows = []
    for node, value, of, found in zip(net._nodes, values, numbers, real, strict=True):
        inputs = [real[i] for i in node.inputs]
        if isinstance(node.layer, Quantize):
            signal = alone = inputs[0]
        elif node.layer is None or isinstance(node.layer, (Dequantize, Item)):
            continue
        else:
            found = _together(found)
            signal = _together(wanted[node.name])
            alone = _together(layers[node.name](*inputs))  # type: ignore[misc]
            if of is not None and of.zero_point == range_of(of.dtype)[0]:  # a cut behind it is part of it
                signal, alone = np.maximum(signal, 0), np.maximum(alone, 0)
        rows.append(
            LayerNoise(
                node.name, type(node.layer).__name__, "float32" if of is None else of.dtype.name,
                decibels(signal, found), decibels(alone, found), math.nan if of is None else _saturated(value, of),
            )
        )  # fmt: skip
    pairs = [
        (wanted[network.nodes[i].name], real[j]) for i, j in zip(network.outputs, net._network.outputs, strict=True)
    ]
    equal = np.concatenate([(dense(a).argmax(axis=-1) == b.argmax(axis=-1)).ravel() for a, b in pairs])
    return Comparison(rows, float(equal.mean()), len(xs[0]))


def _together(value: Any) -> NDArray[Any]:
    """An array; several results as one, of one axis."""
    if not isinstance(value, list):
        return dense(value)  # type: ignore[no-any-return]
    return np.concatenate([dense(one).ravel() for one in value])


def _real(value: Any, numbers: Numbers | None) -> Any:
    """What a value stands for; of a layer with several results a list."""
    if isinstance(value, list):
        return value
    array: NDArray[Any] = dense(value)
    return array if numbers is None else Dequantize(*numbers.border).apply(array)


def _saturated(value: Any, numbers: Numbers) -> float:
    least, most = range_of(numbers.dtype)
    entries = dense(value)
    # The zero of uint8 about zero is no end that something was cut off at.
    ends = entries == most if numbers.zero_point == least else (entries == least) | (entries == most)
    return float(ends.mean())
