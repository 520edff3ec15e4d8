# SPDX-License-Identifier: BSD-3-Clause
"""Patterns of weights that somebody else has pruned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.matrix import ComplementaryMatrix

_FULL = 0.95  # blocks that were pruned whole may hold some zeros, where weights were rounded
_LARGEST = 32  # rows or columns of a block


def pattern_of(W: ComplementaryMatrix) -> str:
    """Blocks, rows with equal counts of them, and complementary sets, in words. O(nnz log(nnz))."""
    coo = W.tocoo()
    rows, cols = (np.asarray(indices, dtype=np.int64) for indices in (coo.row, coo.col))
    found = []
    block = _blocks(rows, cols, W.shape)
    if W.block[0] * W.block[1] > block[0] * block[1]:
        block = W.block
    at = _grid(rows, cols, W.shape, block)
    if block != (1, 1):
        full = W.nnz / (len(at) * block[0] * block[1])
        found.append(f"{block[0]}x{block[1]} blocks" + (f" ({full:.1%} full)" if full < 1 else ""))
    counts = np.bincount(at // -(-W.shape[1] // block[1]), minlength=-(-W.shape[0] // block[0]))
    if len(counts) > 1 and counts.min() == counts.max() > 0:
        found.append("equal rows" if block == (1, 1) else "equal rows of blocks")
    if W.strategy == "strict" and 0 < W.n_sets * W.block[0] < W.shape[0] and W.packing_efficiency > 0.9:
        gaps = "" if W.packing_efficiency == 1 else f" ({W.packing_efficiency:.1%} full)"
        found.append(f"{W.n_sets} complementary sets{gaps}")
    return ", ".join(found) or "none"


def _grid(
    rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int], block: tuple[int, int]
) -> NDArray[np.int64]:
    """The numbers of the blocks that hold an entry."""
    return np.unique(rows // block[0] * -(-shape[1] // block[1]) + cols // block[1])


def _blocks(rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int]) -> tuple[int, int]:
    """The largest blocks, of powers of two, that are as good as full; sides are doubled while they stay so."""
    block = (1, 1)
    while True:
        best = 0.0
        for wider in ((2 * block[0], block[1]), (block[0], 2 * block[1])):
            if max(wider) > _LARGEST or shape[0] % wider[0] or shape[1] % wider[1]:
                continue
            full = len(rows) / max(1, len(_grid(rows, cols, shape, wider)) * wider[0] * wider[1])
            if full > best:
                best, chosen = full, wider
        if best < _FULL:
            return block
        block = chosen
