# SPDX-License-Identifier: BSD-3-Clause
"""The packing of a pattern: which rows share a set. Shared by every matrix that has the pattern, whatever its values.

A strict packing stores the rows of each set. A split packing needs no memory at all: the j-th entry of a column is in
set j, so its sets are listed when somebody asks for them.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._matrix.csr import row_of_entry

Balance: TypeAlias = Literal["columns", "taps"]

STRATEGIES = ("auto", "strict", "split")
MAX_DENSE_SLOTS = 16  # per non-zero, in the dense views of the paper's form
MAX_PER_WHOLE_ROW = 8  # blocks of a member, where the whole row is one group and the pattern counts as balanced


class Slots(NamedTuple):
    """Where each stored entry stands, in CSR order."""

    set: NDArray[np.integer[Any]]
    kernel_id: NDArray[np.integer[Any]]


def _read_only(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False


def check_block(block: Any) -> tuple[int, int]:
    """A forced block as two positive integers."""
    valid = (
        isinstance(block, tuple)
        and len(block) == 2
        and all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0 for size in block)
    )
    if not valid:
        raise ValueError(f"block={block!r} is not 'auto' or two positive integers (block rows, block columns)")
    if max(block) >= 2**31:
        raise ValueError(f"block={block!r} is larger than any matrix")
    return int(block[0]), int(block[1])


class Packing:
    """The packing of one canonical pattern.

    Attributes
    ----------
    indptr, indices, shape
        The pattern, as `Csr`.
    strategy : "strict" or "split"
    block : (int, int)
    lower_bound : int
        Entries of the fullest column.
    filter_shape : tuple of int, or None
        Of the filters that the rows are.
    seconds : float
        Time spent packing; the constructor of a matrix adds the conversion.
    """

    __slots__ = (
        "_balance",
        "_sets",
        "_slots",
        "block",
        "filter_shape",
        "indices",
        "indptr",
        "lower_bound",
        "seconds",
        "shape",
        "strategy",
    )

    def __init__(
        self,
        indptr: NDArray[np.int64],
        indices: NDArray[Any],
        shape: tuple[int, int],
        strategy: str = "auto",
        block: Any = "auto",
        sets: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        """`sets`: (set_ptr, row_order) of a strict packing made earlier; checked."""
        if not isinstance(strategy, str) or strategy not in STRATEGIES:
            raise ValueError(f"strategy={strategy!r} is not known; use 'auto', 'strict' or 'split'")
        start = time.perf_counter()
        self.indptr, self.indices, self.shape = indptr, indices, shape
        pattern = (indptr, indices, *shape)
        if isinstance(block, str) and block == "auto":
            self.block = _core.detect_block(*pattern)
        else:
            self.block = check_block(block)
            if not _core.has_block(*pattern, *self.block):
                raise ValueError(
                    f"the pattern does not consist of blocks {self.block}: some block is stored in part; "
                    "block='auto' finds the largest that fits"
                )
        self.lower_bound = _core.max_column_count(indices, shape[1])
        self.filter_shape: tuple[int, ...] | None = None
        self._slots: Slots | None = None
        self._balance: Balance | Literal["unknown"] | None = "unknown"
        self._sets = sets
        if sets is not None:
            _core.check_packing(*pattern, *sets)
            _read_only(*sets)
        elif strategy == "strict":
            self._sets = _core.pack_strict(*pattern, self.block[0], 0)
        elif strategy == "auto" and self.lower_bound > 0:
            self._sets = _core.pack_strict(*pattern, self.block[0], self.lower_bound)
        self.strategy = "split" if self._sets is None else "strict"
        if self._sets is not None:
            _read_only(*self._sets)
        self.seconds = time.perf_counter() - start

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packing):
            return NotImplemented
        return (
            (self.shape, self.strategy, self.block) == (other.shape, other.strategy, other.block)
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
            and (self._sets is None or (other._sets is not None and all(map(np.array_equal, self._sets, other._sets))))
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def stored_sets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """(set_ptr, row_order) of a strict packing, None of a split one."""
        return self._sets if self.strategy == "strict" else None

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.stored_sets or ())

    def _list_split(self) -> None:
        # Without a lock, which a forked child would find held for ever: several threads at once list the same.
        set_ptr, row_order, *slots = _core.pack_split(self.indptr, self.indices, *self.shape)
        _read_only(set_ptr, row_order, *slots)
        self._slots = Slots(*slots)
        self._sets = set_ptr, row_order

    @property
    def sets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(set_ptr, row_order); of a split packing listed on first need."""
        if self._sets is None:
            self._list_split()
        assert self._sets is not None
        return self._sets

    @property
    def slots(self) -> Slots:
        if self.strategy == "split":
            self.sets  # noqa: B018  (lists them)
            assert self._slots is not None
            return self._slots
        set_ptr, row_order = self.sets
        set_of_row, id_of_row = np.empty_like(row_order), np.empty_like(row_order)
        set_of_row[row_order] = row_of_entry(set_ptr)
        id_of_row[row_order] = np.arange(len(row_order)) - np.repeat(set_ptr[:-1], np.diff(set_ptr))
        rows = row_of_entry(self.indptr)
        return Slots(set_of_row[rows], id_of_row[rows])

    @property
    def n_sets(self) -> int:
        return self.lower_bound if self.strategy == "split" else len(self.sets[0]) - 1

    @property
    def set_size(self) -> int:
        return int(np.diff(self.sets[0]).max(initial=0))

    def dense(self, of_entry: NDArray[Any], empty: Any, name: str) -> NDArray[Any]:
        """The (n_sets, cols) array that holds `of_entry` in the slot of each stored entry and `empty` in the others."""
        shape = self.n_sets, self.shape[1]
        size = shape[0] * shape[1]
        if size > MAX_DENSE_SLOTS * len(self.indices) and shape[0] > 1:
            raise ValueError(
                f"{name} would have {shape[0]} x {shape[1]} = {size} slots for {len(self.indices)} non-zeros "
                f"({size * of_entry.dtype.itemsize} bytes), more than {MAX_DENSE_SLOTS} slots each; "
                "set_ptr, row_order and tocsr() hold the same in O(nnz)"
            )
        view = np.full(shape, empty, dtype=of_entry.dtype)
        view[self.slots.set, self.indices] = of_entry
        _read_only(view)
        return view

    @property
    def balanced(self) -> bool:
        """Whether it has a `balance`."""
        return self.balance is not None

    @property
    def balance(self) -> Balance | None:
        """Along what each member owns equally many blocks of every aligned group; O(nnz).

        "columns": groups of as many neighbouring block columns. "taps": of filters, of as many channels of each tap.
        """
        if self._balance == "unknown":
            self._balance = self._find_balance()
        return self._balance

    def _find_balance(self) -> Balance | None:
        (br, bc), (n_rows, n_cols) = self.block, self.shape
        rows = row_of_entry(self.indptr)
        first = rows % br == 0
        members, columns, n_members = rows[first] // br, self.indices[first], -(-n_rows // br)
        # Taps first: equal shares of the channels of each are equal shares of so many channels with all their taps.
        taps = 1 if self.filter_shape is None else math.prod(self.filter_shape[2:])
        if taps > 1 and _is_balanced_over_channels(members, columns, n_members, n_cols // taps, taps):
            return "taps"
        corner = columns % bc == 0
        members, columns = members[corner], columns[corner] // bc
        equal = _equally_full(members, n_members) and _has_equal_groups(members, columns, n_members, -(-n_cols // bc))
        return "columns" if equal else None


def _is_balanced_over_channels(
    members: NDArray[Any], columns: NDArray[Any], n_members: int, channels: int, taps: int
) -> bool:
    """Whether groups of channels are equally shared when each tap of a member counts as a member."""
    of_taps = members * taps + columns % taps
    order = np.argsort(of_taps, kind="stable")
    of_taps, channel = of_taps[order], columns[order] // taps
    indptr = np.append(0, np.cumsum(np.bincount(of_taps, minlength=n_members * taps)))
    width = next(w for w in (4, 2, 1) if _core.has_block(indptr, channel, n_members * taps, channels, 1, w))
    corner = channel % width == 0
    of_taps, blocks = of_taps[corner], channel[corner] // width
    return _equally_full(of_taps // taps, n_members) and _has_equal_groups(
        of_taps, blocks, n_members * taps, -(-channels // width)
    )


def _equally_full(members: NDArray[Any], n_members: int) -> bool:
    """Up to one entry; and none is empty."""
    counts = np.bincount(members, minlength=n_members)
    return n_members > 0 and 0 < int(counts.min()) >= int(counts.max()) - 1


def _has_equal_groups(members: NDArray[Any], columns: NDArray[Any], n_members: int, n_columns: int) -> bool:
    """Whether members own equally many of each group of so many columns, for any width of a group; entries in order.

    The first k groups of w columns hold p entries each in every member exactly if the (k p)-th entry of every member
    begins left of column k w and the next one does not: the extremes over all members are all that matters; each number
    of entries per group is tried, and each width of a group that it leaves possible. What remains right of the last
    whole group may differ. Many entries in one group that spans all columns say only that members are equally full, and
    do not count.
    """
    counts = np.bincount(members, minlength=n_members)
    least = int(counts.min())
    if least == 0:
        return False
    starts = np.cumsum(counts) - counts
    ordered = columns[starts[:, None] + np.arange(least)]
    last = ordered.max(axis=0)  # the rightmost of the j-th entries of all members
    first = np.append(ordered.min(axis=0), n_columns)  # and the leftmost
    if counts.max() > least:
        first[least] = columns[starts[counts > least] + least].min()
    for per_group in range(1, least + 1):
        widths = np.arange(int(last[per_group - 1]) + 1, int(first[per_group]) + 1)
        if per_group > MAX_PER_WHOLE_ROW:
            widths = widths[widths < n_columns]
        widths = widths[n_columns // widths * per_group <= least]
        for k in range(2, 9):  # leaves few
            inside = widths * k <= n_columns
            entry = np.where(inside, k * per_group, 1)
            widths = widths[~inside | ((last[entry - 1] < widths * k) & (first[entry] >= widths * k))]
        for width in widths.tolist():
            edges = np.arange(1, n_columns // width + 1)
            entry = edges * per_group
            if (last[entry - 1] < edges * width).all() and (first[entry] >= edges * width).all():
                return True
    return False
