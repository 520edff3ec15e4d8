# SPDX-License-Identifier: BSD-3-Clause
"""Vectors for test benches, and what the CPU library makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse._core import kwta, linear
from complsparse._ops.winners import Winners
from complsparse.hls.design import Design
from complsparse.hls.network import Pipeline
from complsparse.hls.tables import IntArray


def vectors(design: Design, count: int) -> IntArray:
    """Activations, a row for each vector: corners first, then as many random ones as it takes."""
    low, high = (0, 255) if design.tables.unsigned else (-128, 127)
    dtype = np.uint8 if design.tables.unsigned else np.int8
    rng = np.random.default_rng(20)
    found = rng.integers(low, high, (count, design.columns), dtype=dtype, endpoint=True)
    corners = [np.full(design.columns, value, dtype=dtype) for value in (low, high, 0)]
    corners.append(np.where(np.arange(design.columns) % 2, low, high).astype(dtype))
    corners.append((np.arange(design.columns) % 3).astype(dtype))  # many ties among winners
    found[: len(corners)] = corners[:count]
    found[len(corners) :: 4] //= 64  # and more of them
    return found


def text(W: Any, design: Design, count: int) -> str:
    """The file that the test benches read: a count, then a line for each vector with its activations and its sums."""
    x = vectors(design, count)
    if design.winners is None:
        inputs, sums = x, linear(x, W)
    else:
        won = kwta(x, design.winners)
        shape = (count, design.winners)
        inputs, sums = np.hstack([won.values.reshape(shape), won.indices.reshape(shape)]), linear(won, W)
    lines = [str(count), *(" ".join(map(str, line)) for line in np.hstack([inputs, sums]).tolist())]
    return "\n".join(lines) + "\n"


def of_network(net: Any, pipeline: Pipeline, samples: Any) -> str:
    """A count, then a line for each sample: what comes in, and the values of the layers in the order of the blocks."""
    values = net._values(np.asarray(samples, dtype=np.float32))
    parts = [_in_order(values[pipeline.first])]
    for block in pipeline.blocks:
        if block.node is None:
            continue
        value = values[block.node]
        if block.kind == "bias":  # the integers behind the real numbers of the last layer
            layer = net._nodes[block.node].layer
            x = values[block.node - 1]
            x = x if isinstance(x, Winners) else x.astype(np.int32)
            value = linear(x, layer.W).astype(np.int32) + layer.ending.bias
        parts.append(_in_order(value))
    lines = [" ".join(map(str, line)) for line in np.hstack(parts).tolist()]
    return "\n".join([str(len(lines)), *lines]) + "\n"


def _in_order(value: Any) -> IntArray:
    """By sample: pixels one after the other, with their channels."""
    array = np.asarray(value.toarray() if isinstance(value, Winners) else value).astype(np.int64)
    found: IntArray = (array.transpose(0, 2, 3, 1) if array.ndim == 4 else array).reshape(len(array), -1)
    return found
