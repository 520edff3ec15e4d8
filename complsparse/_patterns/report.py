# SPDX-License-Identifier: BSD-3-Clause
"""What `prune` says that it kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._patterns.pattern import written_out


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class KeptShare:
    """What is left of a matrix A, as shares of the whole; 1.0 where there was nothing.

    Attributes
    ----------
    magnitude : float
        The share of the sum of ``|A|``.
    square : float
        The share of the sum of ``A**2``: 1 less the square of the relative error in the Frobenius norm.
    rows : ndarray of float64, shape (M,)
        `magnitude` of each row.
    """

    magnitude: float
    square: float
    rows: NDArray[np.float64]

    @property
    def worst_row(self) -> float:
        """The least of `rows`."""
        return float(self.rows.min(initial=1.0))

    def __repr__(self) -> str:
        return f"KeptShare(magnitude={self.magnitude:.4f}, square={self.square:.4f}, worst_row={self.worst_row:.4f})"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PruneReport:
    """What `prune` kept, and where: ``mask`` is a bool array of A's shape, to multiply weights or gradients with.

    Attributes
    ----------
    shape : (int, int)
    nnz : int
        Stored entries of the result, explicit zeros included.
    filter_shape : tuple of int, or None
        Of the filters, where A has such a shape.
    set_size, per_group, block, balanced, order, method
        As given to `prune`, or chosen by it.
    asked : float or None
        The density that `set_size` was chosen for; None where `set_size` was given.
    density : float
        The share of the positions that are stored.
    kept : KeptShare
        Of the result.
    unconstrained : KeptShare
        Of the `nnz` entries of the greatest magnitude, wherever they are: what no pattern can exceed.
    """

    shape: tuple[int, int]
    nnz: int
    set_size: int
    per_group: int
    block: tuple[int, int]
    balanced: bool
    method: str
    kept: KeptShare
    unconstrained: KeptShare
    asked: float | None = None
    order: str = "OIHW"
    filter_shape: tuple[int, ...] | None = None
    _stored: tuple[NDArray[Any], NDArray[Any]] | None = None  # indptr, indices of the result

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What is kept, explicit zeros included: a new bool array of A's own shape, also where A is filters. O(M K)."""
        if self._stored is None:
            raise AttributeError("a report of version 0.1.0 has no mask: the matrix that came with it has one, W.mask")
        indptr, indices = self._stored
        return written_out(indptr, indices, self.shape, self.filter_shape)

    @property
    def density(self) -> float:
        return self.nnz / (self.shape[0] * self.shape[1] or 1)

    def __repr__(self) -> str:
        return (
            f"PruneReport(shape={self.shape}, nnz={self.nnz}, set_size={self.set_size}, per_group={self.per_group}, "
            f"block={self.block}, balanced={self.balanced}, method={self.method!r}, kept={self.kept!r}, "
            f"unconstrained={self.unconstrained!r}, asked={self.asked}, order={self.order!r}, "
            f"filter_shape={self.filter_shape})"
        )

    def __str__(self) -> str:
        total = self.shape[0] * self.shape[1]
        group = "each group" if self.order == "OIHW" else "each group of a tap's channels"
        where = group if self.balanced else "each row"
        blocks = "" if self.block == (1, 1) else f", blocks of {self.block[0]} x {self.block[1]}"
        asked = "" if self.asked is None or abs(self.asked - self.density) < 5e-4 else f", {self.asked:.1%} asked for"
        title = (
            f"{self.nnz} of {total} entries kept ({self.density:.1%}{asked}): {self.per_group} of "
            f"{self.set_size} columns in {where}{blocks}, by {self.method}"
        )
        rows = [
            ("share kept of", "pattern", "unconstrained"),
            ("|A|", f"{self.kept.magnitude:.1%}", f"{self.unconstrained.magnitude:.1%}"),
            ("A**2", f"{self.kept.square:.1%}", f"{self.unconstrained.square:.1%}"),
            ("|A|, worst row", f"{self.kept.worst_row:.1%}", f"{self.unconstrained.worst_row:.1%}"),
        ]
        return "\n".join([title, *(f"  {name:<16}{ours:>9}{free:>15}" for name, ours, free in rows)])
