# SPDX-License-Identifier: BSD-3-Clause
"""Vectors for test benches, and what the CPU library makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from complsparse._core import kwta, linear
from complsparse.hls.design import Design
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
