# SPDX-License-Identifier: BSD-3-Clause
"""Blocks that weights were pruned in, some of whose entries became zeros when weights were rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.makers import from_scipy
from complsparse._matrix.matrix import ComplementaryMatrix

_FULL = 0.95  # blocks that were pruned whole may hold some zeros, where weights were rounded
_LARGEST = 32  # rows or columns of a block


def with_whole_blocks(W: ComplementaryMatrix) -> ComplementaryMatrix:
    """The same matrix with the zeros stored that its blocks lack, so that they multiply as blocks. O(nnz log(nnz))."""
    coo = W.tocoo()
    rows, cols = (np.asarray(indices, dtype=np.int64) for indices in (coo.row, coo.col))
    block = largest_blocks(rows, cols, W.shape)
    if block[0] * block[1] <= W.block[0] * W.block[1]:
        return W
    return from_scipy(W.tocsr().tobsr(blocksize=block).tocsr())


def grid(
    rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int], block: tuple[int, int]
) -> NDArray[np.int64]:
    """The numbers of the blocks that hold an entry."""
    return np.unique(rows // block[0] * -(-shape[1] // block[1]) + cols // block[1])


def largest_blocks(rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int]) -> tuple[int, int]:
    """The largest blocks, of powers of two, that are as good as full; sides are doubled while they stay so."""
    block = (1, 1)
    while True:
        best = 0.0
        for wider in ((2 * block[0], block[1]), (block[0], 2 * block[1])):
            if max(wider) > _LARGEST or shape[0] % wider[0] or shape[1] % wider[1]:
                continue
            full = len(rows) / max(1, len(grid(rows, cols, shape, wider)) * wider[0] * wider[1])
            if full > best:
                best, chosen = full, wider
        if best < _FULL:
            return block
        block = chosen
