# SPDX-License-Identifier: BSD-3-Clause
"""Patterns that pack perfectly, made before there are any values: `complementary_mask` and `random`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse._matrix.csr import Csr, check_dtype, column_dtype
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._matrix.packing import Packing
from complsparse._patterns.pattern import NOBODY, Pattern, checked_pattern, written_out

_LARGEST_INTEGER = 8  # of random values
_AT_ONCE = 2**21  # entries that are shuffled in a hundredth of a second: handlers of signals run in between


# --- from owners to a matrix ------------------------------------------------------------------------------------------


def csr_of_owners(pattern: Pattern, owners: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(indptr, indices) of the pattern whose block columns have these owners, shape (n_sets, n_columns); O(nnz)."""
    (n_rows, n_cols), (br, bc) = pattern.shape, pattern.stored_block
    if pattern.taps > 1:
        owners = _owners_of_columns(pattern, owners)
    # Sorting small integers is a counting sort, and a stable one leaves the columns of a member in order.
    keys = owners.astype(np.int16) if pattern.members <= np.iinfo(np.int16).max else owners
    columns = np.argsort(keys, axis=1, kind="stable")
    owner = np.take_along_axis(owners, columns, axis=1)
    owned = owner != NOBODY
    members = (owner + pattern.members * np.arange(pattern.n_sets)[:, None])[owned]
    columns = columns[owned]
    if bc > 1:
        columns = (columns[:, None] * bc + np.arange(bc)).ravel()
        inside = columns < n_cols
        members, columns = np.repeat(members, bc)[inside], columns[inside]
    columns = columns.astype(column_dtype(n_cols))
    counts = np.bincount(members, minlength=pattern.n_members)
    member_ptr = np.concatenate([[0], np.cumsum(counts)])
    if br == 1:
        return member_ptr.astype(np.int64, copy=False), columns
    member_of_row = np.arange(n_rows) // br
    indptr = np.concatenate([[0], np.cumsum(counts[member_of_row])]).astype(np.int64, copy=False)
    shift = member_ptr[member_of_row] - indptr[:-1]
    return indptr, columns[np.arange(indptr[-1]) + np.repeat(shift, np.diff(indptr))]


def _owners_of_columns(pattern: Pattern, owners: NDArray[np.int32]) -> NDArray[np.int32]:
    """In the order of the matrix, a column each, shape (n_sets, columns of the matrix)."""
    columns = pattern.columns_of_taps()
    inside = columns >= 0
    found = np.empty((len(owners), pattern.shape[1]), dtype=owners.dtype)
    found[:, columns[inside]] = owners[:, np.nonzero(inside)[0]]
    return found


def sets_of(pattern: Pattern) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(set_ptr, row_order): a set of members is listed as so many sets of rows as a block is high."""
    br = pattern.block[0]
    rows = np.arange(pattern.shape[0], dtype=np.int64)
    set_of_row = rows // br // pattern.members * br + rows % br
    row_order = np.argsort(set_of_row, kind="stable")
    counts = np.bincount(set_of_row)
    set_ptr = np.concatenate([[0], np.cumsum(counts[counts > 0])])
    return set_ptr.astype(np.int64, copy=False), row_order.astype(np.int64, copy=False)


def packed(
    pattern: Pattern, indptr: NDArray[np.int64], indices: NDArray[Any], data: NDArray[Any]
) -> ComplementaryMatrix:
    """The matrix with these entries, packed as the pattern says: nothing is searched, but everything is checked."""
    for array in (indptr, indices, data):
        array.flags.writeable = False
    if len(indices):
        packing = Packing(indptr, indices, pattern.shape, "strict", pattern.stored_block, sets_of(pattern))
    else:
        packing = Packing(indptr, indices, pattern.shape)
    packing.filter_shape = pattern.filter_shape
    return ComplementaryMatrix._from_parts(Csr(indptr, indices, data, pattern.shape), packing)


# --- chance -----------------------------------------------------------------------------------------------------------


def _draw_owners(pattern: Pattern, rng: np.random.Generator) -> NDArray[np.int32]:
    owners = pattern.no_owners()
    for contest in pattern.contests():
        members, quota, extras = contest.members, contest.quota, contest.extras
        drawn = np.full((contest.n_sets * contest.n_groups, contest.width), NOBODY, dtype=np.int32)
        drawn[:, : members * quota] = np.repeat(np.arange(members), quota)
        if extras:
            everybody = np.broadcast_to(np.arange(members), (len(drawn), members))
            drawn[:, members * quota : members * quota + extras] = rng.permuted(everybody, axis=1)[:, :extras]
        rows = max(1, _AT_ONCE // contest.width)
        for first in range(0, len(drawn), rows):
            rng.permuted(drawn[first : first + rows], axis=1, out=drawn[first : first + rows])
        owners[contest.place] = drawn.reshape(contest.n_sets, -1)
    return owners


def _draw_values(rng: np.random.Generator, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Standard normal, or small integers; never 0."""
    if dtype == np.bool_:
        return np.ones(count, dtype=dtype)
    if dtype.kind in "iu":
        values = rng.integers(1, _LARGEST_INTEGER, count, dtype=np.int8, endpoint=True)
        if dtype.kind == "i":
            np.negative(values, out=values, where=rng.random(count, dtype=np.float32) < 0.5)
        return values.astype(dtype)
    single = dtype.itemsize <= 4
    drawn = rng.standard_normal(count, dtype=np.float32 if single else np.float64).astype(dtype, copy=False)
    drawn[drawn == 0] = 1
    return drawn


# --- makers -----------------------------------------------------------------------------------------------------------


def complementary_mask(
    shape: tuple[int, ...],
    *,
    density: float = 0.05,
    set_size: int | None = None,
    per_group: int = 1,
    block: tuple[int, int] = (1, 1),
    balanced: bool = True,
    order: str = "OIHW",
    rng: Any = None,
) -> NDArray[np.bool_]:
    """A random mask whose rows pack without an empty slot.

    Consecutive members (a member is as many neighbouring rows as a block is high) form sets that share no column.
    Columns come in groups of ``set_size`` block columns; each member owns `per_group` blocks in every group, so the
    density is ``per_group / set_size`` and a set holds ``set_size // per_group`` members. All slots of a set are full
    where `per_group` divides `set_size`.

    Parameters
    ----------
    shape : (int, int), (int, int, int) or (int, int, int, int)
        (M, K), or that of filters: (M, C, kh, kw) or (M, C, k), C channels each, whose columns are in (channel, kernel
        row, kernel column) order, so that K is C * kh * kw. Neither needs to be a multiple of anything: the last set
        may have fewer members, the last member fewer rows, the last block fewer columns, and an incomplete last group
        gives its blocks to members in turn, so that rows differ by at most one block.
    density : float
        In (0, 1]; chooses `set_size`, and is ignored where that is given. What comes out is ``per_group / set_size``:
        0.3 with one block per group gives 1/3; ``per_group=3, set_size=10`` gives 0.3.
    set_size : int, optional
        Block columns of a group. The default is the integer nearest to ``per_group / density``.
    per_group : int
        Blocks of a member in a group; more than 1 makes densities between ``1 / n`` and ``1 / (n + 1)``.
    block : (int, int)
        Rows (1, 2, 4, 8, 16 or 32) and columns (1, 2 or 4) of a block, the atom of the pattern.
    balanced : bool
        Without, each member owns as many blocks as with, but anywhere in its row.
    order : {"OIHW", "OHWI"}
        How groups run through the columns of filters: along the row, or through the channels of one kernel position
        (a tap) after the other, so that in each of them every `set_size` neighbouring blocks of channels are a group;
        the columns of a block are then neighbouring channels. Channels that do not fill a group join those of the next
        taps. The columns stay where they are. For signals also "OIW", "OWI".
    rng : int, numpy.random.Generator, SeedSequence, ..., optional
        Whatever `numpy.random.default_rng` takes. The same generator state gives the pattern of `random`.

    Returns
    -------
    ndarray of bool, of that shape

    Raises
    ------
    TypeError
        Sizes that are not integers, a density that is not a number.
    ValueError
        A density outside (0, 1], a block outside the list, ``per_group > set_size``; an unknown order, or that of
        filters for a matrix.

    Notes
    -----
    O(M K) for the dense result; `random` needs O(nnz). Disjoint patterns made before training are the idea of
    Complementary Sparsity (Hunter, Spracklen and Ahmad, 2022, arXiv:2112.13896); equal counts per group of columns are
    that of balanced N:M sparsity.

    Examples
    --------
    >>> import complsparse as cs
    >>> mask = cs.complementary_mask((8, 12), set_size=4, rng=0)
    >>> mask.sum(axis=1)
    array([3, 3, 3, 3, 3, 3, 3, 3])
    >>> mask[:4].sum(axis=0)
    array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])

    Filters with one of four channels at each tap:

    >>> filters = cs.complementary_mask((8, 4, 3, 3), set_size=4, order="OHWI", rng=0)
    >>> bool((filters.sum(axis=1) == 1).all())
    True
    """
    pattern = checked_pattern(shape, density, set_size, per_group, block, balanced, order)
    indptr, indices = csr_of_owners(pattern, _draw_owners(pattern, np.random.default_rng(rng)))
    return written_out(indptr, indices, pattern.shape, pattern.filter_shape)


def random(
    shape: tuple[int, ...],
    *,
    density: float = 0.05,
    set_size: int | None = None,
    per_group: int = 1,
    block: tuple[int, int] = (1, 1),
    balanced: bool = True,
    order: str = "OIHW",
    dtype: DTypeLike = np.float32,
    rng: Any = None,
) -> ComplementaryMatrix:
    """A random matrix whose packing has no empty slot.

    Parameters
    ----------
    shape, density, set_size, per_group, block, balanced, order
        As `complementary_mask`.
    dtype : dtype
        Floats are drawn from the standard normal distribution, integers from the non-zero ones of at most 8 in
        magnitude; bool is True. No stored value is 0.
    rng : int, numpy.random.Generator, SeedSequence, ..., optional
        Whatever `numpy.random.default_rng` takes.

    Returns
    -------
    ComplementaryMatrix, shape (M, K)
        Strictly packed, with the block that was asked for (channels of a tap are no neighbouring columns: with
        ``order="OHWI"`` and a larger kernel ``W.block`` is one column wide). ``W.filter_shape`` is the shape of
        filters.

    Raises
    ------
    TypeError
        As `complementary_mask`; complex and other dtypes that are not real numbers.
    ValueError
        As `complementary_mask`.

    Notes
    -----
    O(nnz + M + K): nothing dense is made, and no packing is searched for.

    Examples
    --------
    >>> import complsparse as cs
    >>> W = cs.random((128, 256), set_size=16, rng=0)
    >>> W.n_sets, W.set_size, W.packing_efficiency, W.balanced
    (8, 16, 1.0, True)
    >>> cs.random((64, 100), density=0.15, per_group=3, rng=0).set_size
    6
    """
    pattern = checked_pattern(shape, density, set_size, per_group, block, balanced, order)
    wanted = check_dtype(dtype)
    generator = np.random.default_rng(rng)
    indptr, indices = csr_of_owners(pattern, _draw_owners(pattern, generator))
    return packed(pattern, indptr, indices, _draw_values(generator, len(indices), wanted))
