# SPDX-License-Identifier: BSD-3-Clause
"""A matrix as the tables of a circuit: weights and kernel ids by column and set, and where the sums go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from complsparse._matrix.matrix import ComplementaryMatrix

MOST_SLOTS = 2**24
IntArray = npt.NDArray[np.integer[Any]]


def bits_up_to(most: int) -> int:
    """Bits that count from 0 to `most`; at least 1."""
    return max(1, most.bit_length())


@dataclass(frozen=True)
class Tables:
    """`weights[column, set]` and `ids[column, set]`; an empty slot has weight 0 and id 0.

    `rows[set, member]` is the row that a member computes, -1 where a set has fewer members than the largest one.
    """

    shape: tuple[int, int]
    weights: IntArray
    ids: IntArray
    rows: IntArray
    fullest_row: int
    unsigned: bool  # activations

    @property
    def sets(self) -> int:
        return int(self.rows.shape[0])

    @property
    def set_size(self) -> int:
        return int(self.rows.shape[1])

    @property
    def id_bits(self) -> int:
        return bits_up_to(self.set_size - 1)

    @property
    def index_bits(self) -> int:
        """Of a column's number."""
        return bits_up_to(self.shape[1] - 1)

    @property
    def sum_bits(self) -> int:
        """What holds any sum of the fullest row, whatever its weights are: -128 times -128 included."""
        return 16 + (bits_up_to(self.fullest_row - 1) if self.fullest_row > 1 else 0)

    def by_member(self, lanes: int) -> tuple[IntArray, IntArray]:
        """Weights and places in their group of `lanes` columns, by group, set, member and turn."""
        columns, sets = np.nonzero(self.weights)
        groups, places = columns // lanes, columns % lanes
        owners = (groups * self.sets + sets) * self.set_size + self.ids[columns, sets]
        order = np.argsort(owners, kind="stable")
        owners = owners[order]
        turn = np.arange(len(owners)) - np.searchsorted(owners, owners)  # of those before it that have the same owner
        turns = int(turn.max(initial=0)) + 1
        found = np.zeros((2, -(-self.shape[1] // lanes) * self.sets * self.set_size, turns), dtype=np.int64)
        found[0, owners, turn] = self.weights[columns, sets][order]
        found[1, owners, turn] = places[order]
        weights, choices = found.reshape(2, -1, self.sets, self.set_size, turns)
        return weights, choices

    def padded(self, columns: int) -> tuple[IntArray, IntArray]:
        """Weights and ids with empty slots behind the last column."""
        more = ((0, columns - self.shape[1]), (0, 0))
        return np.pad(self.weights, more), np.pad(self.ids, more)


def tables_of(W: Any, activations: str) -> Tables:
    """The tables of an int8 matrix. A matrix in split sets is packed again: the sum of a row leaves one set."""
    if not isinstance(W, ComplementaryMatrix):
        raise TypeError(f"a circuit is made of a ComplementaryMatrix, not of {type(W).__name__}: from_scipy packs one")
    if W.dtype != np.int8:
        raise TypeError(
            f"a circuit multiplies int8 weights, and W has {W.dtype}: round W / scale to int8, or export "
            "a network that net.quantize(calibration) gave"
        )
    if activations not in ("int8", "uint8"):
        raise ValueError(f"activations={activations!r} is neither 'int8' nor 'uint8'")
    rows, columns = W.shape
    if rows == 0 or columns == 0:
        raise ValueError(f"a circuit needs at least one row and one column, and W has the shape {W.shape}")
    if W.strategy != "strict":
        W = ComplementaryMatrix(W, strategy="strict")
    if W.n_sets == 0:  # no entries
        one = np.zeros((columns, 1), dtype=np.int64)
        return Tables(W.shape, one, one, np.arange(rows).reshape(1, rows), 0, activations == "uint8")
    if W.n_sets * columns > MOST_SLOTS:
        raise ValueError(
            f"{W.n_sets} sets of {columns} columns are {W.n_sets * columns} slots, more than the {MOST_SLOTS} that a "
            "folder's tables hold: cut the matrix"
        )
    members = np.diff(W.set_ptr)
    of_set = np.full((W.n_sets, int(members.max())), -1, dtype=np.int64)
    of_set[np.arange(of_set.shape[1]) < members[:, None]] = W.row_order
    set_of, member_of = np.empty((2, rows), dtype=np.int64)
    sets, places = np.nonzero(of_set >= 0)
    set_of[of_set[sets, places]], member_of[of_set[sets, places]] = sets, places
    csr = W.tocsr()
    entries = np.diff(csr.indptr)
    row = np.repeat(np.arange(rows), entries)
    weights, ids = np.zeros((2, columns, W.n_sets), dtype=np.int64)
    weights[csr.indices, set_of[row]] = csr.data
    ids[csr.indices, set_of[row]] = member_of[row]
    return Tables(
        shape=W.shape,
        weights=weights,
        ids=ids,
        rows=of_set,
        fullest_row=int(entries.max()),
        unsigned=activations == "uint8",
    )
