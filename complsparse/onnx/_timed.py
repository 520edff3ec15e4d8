# SPDX-License-Identifier: BSD-3-Clause
"""Inputs for a network of a model, and how far its outputs are from those of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import nn
from complsparse._files.trust import printable

_MOST_ENTRIES = 2**28  # of an input that is drawn


def inputs_of(net: nn.Graph, given: dict[str, NDArray[Any]], size: int, rng: Any = 0) -> dict[str, NDArray[Any]]:
    """An array for each input, in the network's order: the given one, or numbers at random.

    Those of floating point are normal, integers 0 or 1, which indices and masks may be. Axes whose size the model does
    not say have `size` entries. ValueError where an input is given that is none, or has no shape to be drawn in.
    """
    generator = np.random.default_rng(rng)
    nodes = [node for node in net._nodes if node.layer is None]
    for name in given:
        if name not in {node.name for node in nodes}:
            known = ", ".join(node.name for node in nodes)
            raise ValueError(f"{printable(name)!r} is not one of the inputs {known}")
    return {node.name: given[node.name] if node.name in given else _drawn(node, size, generator) for node in nodes}


def _drawn(node: Any, size: int, rng: np.random.Generator) -> NDArray[Any]:
    if node.shape is None:
        raise ValueError(f"the model does not say the shape of input {node.name!r}: give an array")
    shape = tuple(size if n is None else n for n in node.shape)
    if np.prod(shape, dtype=object) > _MOST_ENTRIES:
        raise ValueError(f"input {node.name!r} of shape {shape} is too large to be drawn: give an array")
    if node.dtype is None:
        return rng.standard_normal(shape, dtype=np.float32)
    return rng.integers(0, 2, shape).astype(node.dtype)


def largest_difference(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Over the outputs, the largest difference as a share of the largest entry; infinite where shapes differ, or one
    has a NaN or an infinity elsewhere than the other."""
    most = 0.0
    for y, other in zip(found, wanted, strict=True):
        if np.shape(y) != np.shape(other):
            return float("inf")
        a, b = np.asarray(y, dtype=np.float64), np.asarray(other, dtype=np.float64)
        finite = np.isfinite(b)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
            return float("inf")
        distance = float(np.max(np.abs(a[finite] - b[finite]), initial=0))
        if distance:
            largest = float(np.max(np.abs(b[finite]), initial=0))
            most = max(most, distance / max(largest, float(np.finfo(np.float32).tiny)))
    return most
