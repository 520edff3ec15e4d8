# SPDX-License-Identifier: BSD-3-Clause
"""What a pattern must be, as callers ask for it, and the contests that decide it.

A pattern is known by its owners: which member of a set owns each block column, the kernel ids of blocks. Members of a
set therefore never share a column, whatever the owners are.
"""

from __future__ import annotations

import itertools
import math
import numbers
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.csr import MAX_SIZE, row_of_entry
from complsparse._matrix.filters import Shape, matrix_shape, order_of

BLOCK_ROWS = (1, 2, 4, 8, 16, 32)
BLOCK_COLS = (1, 2, 4)
ORDERS = ("OIHW", "OHWI")  # in which groups run through the columns of filters
NOBODY = -1  # owns a block column that no member of the set got


class Contest(NamedTuple):
    """Equally many members contest equally wide groups of block columns, in some neighbouring sets.

    In each set and group every member gets `quota` blocks, and `extras` of the members get one more.
    """

    first_set: int
    n_sets: int
    members: int  # in each of these sets
    first_column: int  # of block columns
    n_groups: int
    width: int  # of a group, in block columns
    quota: int
    extras: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Among the owners of the pattern."""
        end_column = self.first_column + self.n_groups * self.width
        return slice(self.first_set, self.first_set + self.n_sets), slice(self.first_column, end_column)


class Pattern(NamedTuple):
    """What a pattern must be; made by `checked_pattern`."""

    shape: tuple[int, int]
    set_size: int
    per_group: int
    block: tuple[int, int]
    balanced: bool
    order: str = "OIHW"
    filter_shape: Shape | None = None

    @property
    def taps(self) -> int:
        """Parts of a row that groups run through one after the other; column ``channel * taps + tap`` is of a tap."""
        if self.order == "OIHW" or self.filter_shape is None or self.shape[1] == 0:
            return 1
        return math.prod(self.filter_shape[2:])

    @property
    def stored_block(self) -> tuple[int, int]:
        """The block of the matrix: neighbouring channels of a tap are no neighbouring columns."""
        return self.block if self.taps == 1 else (self.block[0], 1)

    @property
    def members(self) -> int:
        """Members of a set: as many as find per_group blocks each in a group of set_size block columns."""
        return self.set_size // self.per_group

    @property
    def n_members(self) -> int:
        return -(-self.shape[0] // self.block[0])

    @property
    def n_columns(self) -> int:
        """Number of block columns."""
        return self.taps * -(-self.shape[1] // self.taps // self.block[1])

    @property
    def n_sets(self) -> int:
        """Number of sets of members."""
        return -(-self.n_members // self.members)

    def _groups(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(first column, groups, width, quota, members with one more) for a set with all its members."""
        n_groups, rest = divmod(self.n_columns, self.set_size)
        whole = n_groups * self.set_size
        if rest < self.members * self.per_group:
            quota, extras = divmod(rest, self.members)
        else:
            quota, extras = self.per_group, 0
        if self.balanced:
            yield 0, n_groups, self.set_size, self.per_group, 0
            yield whole, 1, rest, quota, extras
        else:
            yield 0, 1, self.n_columns, n_groups * self.per_group + quota, extras

    def contests(self) -> Iterator[Contest]:
        """Every owner of the pattern is decided in one of these."""
        n_whole, rest = divmod(self.n_members, self.members)
        for (first_set, n_sets, members), group in itertools.product(
            ((0, n_whole, self.members), (n_whole, 1, rest)), self._groups()
        ):
            first_column, n_groups, width, quota, extras = group
            if extras >= members:  # a set that lacks members
                quota, extras = quota + (extras > 0), 0
            if members and n_sets and n_groups and quota + extras:
                yield Contest(first_set, n_sets, members, first_column, n_groups, width, quota, extras)

    def columns_of_taps(self) -> NDArray[np.intp]:
        """The columns of the matrix in each block column, shape (n_columns, block columns); -1 beyond the last channel.

        Groups run through the channels of one tap after the other. What is left of the taps when no whole group remains
        in any follows together, so that rows differ by no more than they do without taps.
        """
        width, channels = self.block[1], self.shape[1] // self.taps
        channel = np.arange(-(-channels // width) * width).reshape(-1, width)
        columns = channel * self.taps + np.arange(self.taps)[:, None, None]
        columns[:, channel >= channels] = -1
        whole = len(channel) // self.set_size * self.set_size
        return np.concatenate([columns[:, :whole].reshape(-1, width), columns[:, whole:].reshape(-1, width)])

    def no_owners(self) -> NDArray[np.int32]:
        """Owners to fill in, shape (n_sets, n_columns)."""
        return np.full((self.n_sets, self.n_columns), NOBODY, dtype=np.int32)


# --- what callers ask for ---------------------------------------------------------------------------------------------


def _positive(size: Any, name: str) -> int:
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(f"{name}={size!r} is not an integer") from None
    if number < 1:
        raise ValueError(f"{name}={number} is not positive")
    if number > MAX_SIZE:
        raise ValueError(f"{name}={number} is above 2**47")
    return number


def _set_size_for(density: Any, per_group: int) -> int:
    if not isinstance(density, numbers.Real):
        raise TypeError(f"density={density!r} is not a number")
    share = float(density)
    if not 0 < share <= 1:  # NaN neither
        raise ValueError(f"density={density} is outside (0, 1]")
    ratio = per_group / share
    if not ratio <= MAX_SIZE:
        raise ValueError(f"density={density} is too small: a set_size is at most 2**47")
    return int(ratio + 0.5)


def _checked_order(order: Any, filter_shape: Shape | None, shape: tuple[int, int]) -> str:
    """ "OIHW" or "OHWI"."""
    n_axes = 4 if filter_shape is None else len(filter_shape)
    known = [order_of(name, n_axes) for name in ORDERS]
    name = order_of(order, n_axes) if isinstance(order, str) else None
    if name not in known:
        raise ValueError(f"order={order!r} is not known; groups of columns run in {' or '.join(map(repr, known))}")
    found = ORDERS[known.index(name)]
    if filter_shape is None and found != "OIHW":
        raise ValueError(
            f"order={order!r} is one of filters; a matrix of shape {shape} has none: give the shape of filters, "
            "(filters, channels, kernel rows, kernel columns), or an array that has it"
        )
    return found


def checked_pattern(
    shape: Any,
    density: Any,
    set_size: Any,
    per_group: Any,
    block: Any,
    balanced: bool = True,
    order: Any = "OIHW",
) -> Pattern:
    """The pattern of these arguments; TypeError or ValueError naming what is wrong with them."""
    sizes, filter_shape = matrix_shape(shape)
    if not isinstance(block, tuple) or len(block) != 2 or block[0] not in BLOCK_ROWS or block[1] not in BLOCK_COLS:
        raise ValueError(
            f"block={block!r} is not a pair (block rows, block columns) with block rows in {BLOCK_ROWS} and block "
            f"columns in {BLOCK_COLS}"
        )
    blocks = _positive(per_group, "per_group")
    size = _set_size_for(density, blocks) if set_size is None else _positive(set_size, "set_size")
    if size < blocks:
        raise ValueError(f"per_group={blocks} blocks of one member do not fit the set_size={size} columns of a group")
    order = _checked_order(order, filter_shape, sizes)
    return Pattern(sizes, size, blocks, (int(block[0]), int(block[1])), bool(balanced), order, filter_shape)


def written_out(
    indptr: NDArray[np.int64], indices: NDArray[Any], shape: Shape, filter_shape: Shape | None
) -> NDArray[np.bool_]:
    """The positions that are stored as a bool array, of the shape of filters where there are some."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[row_of_entry(indptr), indices] = True
    return mask if filter_shape is None else mask.reshape(filter_shape)
