# SPDX-License-Identifier: BSD-3-Clause
"""Patterns of weights that somebody else has pruned."""

from __future__ import annotations

import numpy as np

from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse.onnx._blocks import grid, largest_blocks


def pattern_of(W: ComplementaryMatrix) -> str:
    """Blocks, rows with equal counts of them, and complementary sets, in words. O(nnz log(nnz))."""
    coo = W.tocoo()
    rows, cols = (np.asarray(indices, dtype=np.int64) for indices in (coo.row, coo.col))
    found = []
    block = largest_blocks(rows, cols, W.shape)
    if W.block[0] * W.block[1] > block[0] * block[1]:
        block = W.block
    at = grid(rows, cols, W.shape, block)
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
