# SPDX-License-Identifier: BSD-3-Clause
"""`prune`: a matrix projected onto the nearest pattern that packs perfectly, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse._arrays import read_array
from complsparse._matrix.csr import Csr, check_dtype, row_of_entry
from complsparse._matrix.filters import Shape, matrix_shape
from complsparse._matrix.formats import canonical
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns.contest import assigned, greedy
from complsparse._patterns.masks import csr_of_owners, packed
from complsparse._patterns.pattern import Contest, Pattern, checked_pattern
from complsparse._patterns.report import KeptShare, PruneReport
from complsparse._progress import progress
from complsparse._typing import Method

Columns = slice | NDArray[np.intp]  # of a matrix: neighbours, or any

METHODS = {"assignment": assigned, "greedy": greedy}

_CHUNK = 2**18  # weights at a time: they stay in the cache
_LONG = 2**22  # entries from which on a terminal is shown how far the work is


# --- matrices to prune ------------------------------------------------------------------------------------------------


class _Sums(NamedTuple):
    """Of magnitudes, scaled by the greatest of the matrix, so that squares stay in range."""

    of_rows: NDArray[np.float64]
    of_squares: float

    def share_of(self, whole: _Sums) -> KeptShare:
        rows = np.ones_like(whole.of_rows)
        np.divide(self.of_rows, whole.of_rows, out=rows, where=whole.of_rows > 0)
        np.minimum(rows, 1.0, out=rows)  # sums in another order are rounded otherwise
        rows.flags.writeable = False
        total = _share(float(self.of_rows.sum()), float(whole.of_rows.sum()))
        return KeptShare(total, _share(self.of_squares, whole.of_squares), rows)


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 1.0


class _Source:
    """A matrix to prune: values in some order, whose magnitudes are known."""

    def __init__(self, values: NDArray[Any], shape: tuple[int, int], filter_shape: Shape | None = None) -> None:
        self.values, self.shape, self.filter_shape = values, shape, filter_shape
        self.magnitudes = np.abs(values if values.dtype.kind == "f" else values.astype(np.float64))
        peak = self.magnitudes.max(initial=0)
        if not np.isfinite(peak):
            wrong = np.flatnonzero(~np.isfinite(self.magnitudes))
            row, col = (int(place[0]) for place in self.position(wrong[:1]))
            place = (row, col) if filter_shape is None else (row, *np.unravel_index(col, filter_shape[1:]))
            raise ValueError(
                f"A[{', '.join(map(str, place))}] is {values.reshape(-1)[wrong[0]]}; {len(wrong)} values are not "
                "finite and have no magnitude to be pruned by"
            )
        self.peak = peak or 1

    def scaled(self, magnitudes: NDArray[Any]) -> NDArray[np.float64]:
        wide = np.promote_types(magnitudes.dtype, np.float64)
        return np.asarray(np.divide(magnitudes, self.peak, dtype=wide), dtype=np.float64)

    def sums(self, places: NDArray[Any]) -> _Sums:
        """Of the values at these places of `values`, counted row by row."""
        scaled = self.scaled(self.magnitudes.reshape(-1)[places])
        of_rows = np.zeros(self.shape[0])
        np.add.at(of_rows, self.position(places)[0], scaled)
        return _Sums(of_rows, float(np.dot(scaled, scaled)))

    def largest(self, count: int) -> _Sums:
        """Of the `count` values of the greatest magnitude; among equal ones the first."""
        magnitudes = self.magnitudes.reshape(-1)
        if count >= magnitudes.size:
            return self.whole()
        if count == 0:
            return self.sums(np.empty(0, dtype=np.intp))
        least = np.partition(magnitudes, magnitudes.size - count)[magnitudes.size - count]
        above = np.flatnonzero(magnitudes > least)
        equal = np.flatnonzero(magnitudes == least)[: count - len(above)]
        return self.sums(np.concatenate([above, equal]))

    def position(self, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(row, column) of places of `values`."""
        raise NotImplementedError

    def whole(self) -> _Sums:
        raise NotImplementedError

    def window(self, rows: slice, cols: Columns) -> NDArray[np.float64]:
        """The scaled magnitudes of a part of the matrix, dense; reaches no further than the matrix."""
        raise NotImplementedError

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], _Sums]:
        """The values at these positions, and their sums."""
        raise NotImplementedError


class _Dense(_Source):
    def position(self, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.divmod(places, self.shape[1])

    def whole(self) -> _Sums:
        n_rows, n_cols = self.shape
        of_rows, of_squares = np.zeros(n_rows), 0.0
        step = max(1, _CHUNK // max(n_cols, 1))
        for first in range(0, n_rows, step):
            part = self.window(slice(first, first + step), slice(None))
            of_rows[first : first + step] = part.sum(axis=1)
            of_squares += float(np.vdot(part, part))
        return _Sums(of_rows, of_squares)

    def window(self, rows: slice, cols: Columns) -> NDArray[np.float64]:
        return self.scaled(self.magnitudes[rows][:, cols])

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], _Sums]:
        places = rows * self.shape[1] + cols
        return self.values.reshape(-1)[places], self.sums(places)


class _Sparse(_Source):
    def __init__(self, csr: Csr, filter_shape: Shape | None = None) -> None:
        self.indptr, self.indices = csr.indptr, csr.indices
        super().__init__(csr.data, csr.shape, filter_shape)

    def position(self, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.searchsorted(self.indptr, places, side="right") - 1, self.indices[places]

    def whole(self) -> _Sums:
        return self.sums(np.arange(len(self.values)))

    def window(self, rows: slice, cols: Columns) -> NDArray[np.float64]:
        first_row, end_row, _ = rows.indices(self.shape[0])
        start, end = self.indptr[first_row], self.indptr[end_row]
        stored_rows = row_of_entry(self.indptr[first_row : end_row + 1] - start)
        width, stored_cols = self._placed(self.indices[start:end], cols)
        inside = (stored_cols >= 0) & (stored_cols < width)
        part = np.zeros((end_row - first_row, width))
        part[stored_rows[inside], stored_cols[inside]] = self.scaled(self.magnitudes[start:end][inside])
        return part

    def _placed(self, stored: NDArray[Any], cols: Columns) -> tuple[int, NDArray[Any]]:
        """How many of the matrix's columns `cols` are, and where stored ones stand among them, if they do."""
        if isinstance(cols, slice):
            first, end, _ = cols.indices(self.shape[1])
            return end - first, stored - first
        place = np.full(self.shape[1], -1)
        place[cols] = np.arange(len(cols))
        return len(cols), place[stored]

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], _Sums]:
        keys = row_of_entry(self.indptr) * self.shape[1] + self.indices
        wanted = rows * self.shape[1] + cols
        place = np.searchsorted(keys, wanted)
        stored = place < len(keys)
        stored[stored] = keys[place[stored]] == wanted[stored]
        values = np.zeros(len(rows), dtype=self.values.dtype)
        values[stored] = self.values[place[stored]]
        return values, self.sums(place[stored])


def _source(A: Any) -> _Source:
    if isinstance(A, ComplementaryMatrix):
        return _Sparse(A._csr(), A.filter_shape)
    if scipy.sparse.issparse(A) or isinstance(A, tuple) or (not isinstance(A, np.ndarray) and hasattr(A, "tocsr")):
        return _Sparse(canonical(A))
    array = read_array(A, "A")
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"an array of shape {array.shape} has {array.ndim} axes; a matrix has 2, filters have 3 or 4")
    dtype = check_dtype(array.dtype)
    shape, filter_shape = matrix_shape(array.shape)
    return _Dense(np.ascontiguousarray(array, dtype=dtype).reshape(shape), shape, filter_shape)


# --- the projection ---------------------------------------------------------------------------------------------------


def _parts(contest: Contest, pattern: Pattern) -> Iterator[Contest]:
    """The same contest in parts of about `_CHUNK` entries: some sets, and where a set is wider, some groups of one."""
    br, bc = pattern.block
    group = contest.members * contest.width * br * bc
    n_groups = min(contest.n_groups, max(1, _CHUNK // group))
    n_sets = max(1, _CHUNK // (group * n_groups))
    for s in range(0, contest.n_sets, n_sets):
        for g in range(0, contest.n_groups, n_groups):
            yield contest._replace(
                first_set=contest.first_set + s,
                n_sets=min(n_sets, contest.n_sets - s),
                first_column=contest.first_column + g * contest.width,
                n_groups=min(n_groups, contest.n_groups - g),
            )


def _window(
    source: _Source, rows: slice, first: int, end: int, columns: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """The magnitudes of some rows; 0 beyond the channels of a tap. `columns`: in the order of groups, if not theirs."""
    if columns is None:
        return source.window(rows, slice(first, end))
    wanted = columns[first:end]
    inside = wanted >= 0
    found = source.window(rows, wanted[inside])
    window = np.zeros((len(found), len(wanted)))
    window[:, inside] = found
    return window


def _weights(
    source: _Source, pattern: Pattern, contest: Contest, columns: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """The magnitudes of whole blocks, shape (sets, members, groups, width)."""
    br, bc = pattern.block
    rows, cols = contest.n_sets * contest.members * br, contest.n_groups * contest.width * bc
    first_row, first_col = contest.first_set * pattern.members * br, contest.first_column * bc
    window = _window(source, slice(first_row, first_row + rows), first_col, first_col + cols, columns)
    if window.shape != (rows, cols):  # the last member or block is not complete
        window = np.pad(window, ((0, rows - window.shape[0]), (0, cols - window.shape[1])))
    blocks = window.reshape(-1, contest.members, br, contest.n_groups, contest.width, bc)
    return np.asarray(blocks[:, :, 0, :, :, 0] if pattern.block == (1, 1) else blocks.sum(axis=(2, 5)))


def _owners(source: _Source, pattern: Pattern, method: str) -> NDArray[np.int32]:
    """Who keeps which block column, every contest decided."""
    owners = pattern.no_owners()
    columns = pattern.columns_of_taps().ravel() if pattern.taps > 1 else None
    work = [part for contest in pattern.contests() for part in _parts(contest, pattern)]
    shown = len(work) if source.shape[0] * source.shape[1] >= _LONG else 0
    with progress("pruning", shown) as advance:
        for contest in work:
            advance(f"set {contest.first_set + 1} of {pattern.n_sets}")
            found = METHODS[method](_weights(source, pattern, contest, columns), contest.quota, contest.extras)
            owners[contest.place] = found.reshape(contest.n_sets, -1)
    return owners


def prune(
    A: Any,
    *,
    density: float = 0.05,
    set_size: int | None = None,
    per_group: int = 1,
    block: tuple[int, int] = (1, 1),
    balanced: bool = True,
    order: str = "OIHW",
    method: Method = "assignment",
) -> tuple[ComplementaryMatrix, PruneReport]:
    """Keeps what fits a pattern that packs perfectly, drops the rest, and says how much that was.

    Parameters
    ----------
    A : array_like, scipy.sparse array or matrix, or ComplementaryMatrix, shape (M, K)
        Any real dtype; finite. Never changed. Filters may have their shape: an array (M, C, kh, kw) or (M, C, k), a
        ComplementaryMatrix with `filter_shape`.
    density, set_size, per_group, block, balanced, order
        The pattern, as in `complementary_mask`: sets are consecutive members, and each member owns `per_group` blocks
        of each group of `set_size` block columns.
    method : {"assignment", "greedy"}
        "assignment" keeps the greatest sum of ``|A|`` that any such pattern can; "greedy" goes through the blocks from
        the greatest sum to the least and keeps what still fits.

    Returns
    -------
    W : ComplementaryMatrix, shape (M, K)
        Strictly packed, of A's dtype. Its stored values are A's; where A is 0 and the pattern has a slot, W stores an
        explicit zero, so that the packing has no gaps. Of filters it has their `filter_shape`. ``W.mask`` is the
        pattern as a dense bool array.
    report : PruneReport
        The kept share of ``|A|``, of ``A**2`` and of each row, beside those of unconstrained magnitude pruning at the
        same number of entries, and the density that came of the one asked for; ``print(report)`` shows them.
        ``report.mask`` is the pattern in A's own shape.

    Raises
    ------
    TypeError
        As `complementary_mask`; complex and other dtypes that are not real numbers.
    ValueError
        As `complementary_mask`; NaN or infinity in A, an unknown method.

    Notes
    -----
    Every set and group is a problem of its own, whose optimum "assignment" finds: an assignment problem of its members
    and block columns (Crouse, 2016, through `scipy.optimize.linear_sum_assignment`), or, where members get many
    columns, as with ``balanced=False``, a transportation problem, solved by successive shortest paths in integers
    (weights are rounded to 1 part in 10**10 of the greatest). The optimum is that of the sum of ``|A|`` for sets of
    consecutive members; which members share a set is not searched for. "greedy" keeps a little less on most matrices,
    and takes O(M K) for each of a few rounds. Memory is O(M K) for dense A; for sparse A it is O(nnz) of A and W, and
    with ``balanced=False`` the rows of one set.

    On long work a terminal shows a progress bar, if rich is installed.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> A = np.array([[4, 1, 2, 9], [5, 3, 8, 7]])
    >>> W, report = cs.prune(A, set_size=2)
    >>> W.toarray()
    array([[4, 0, 0, 9],
           [0, 3, 8, 0]])
    >>> round(report.kept.magnitude, 2), round(report.unconstrained.magnitude, 2)
    (0.62, 0.74)
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method={method!r} is not known; use 'assignment' or 'greedy'")
    source = _source(A)
    shape = source.shape if source.filter_shape is None else source.filter_shape
    pattern = checked_pattern(shape, density, set_size, per_group, block, balanced, order)
    indptr, indices = csr_of_owners(pattern, _owners(source, pattern, method))
    data, kept = source.at(row_of_entry(indptr), indices)
    whole, nnz = source.whole(), len(indices)
    report = PruneReport(
        **pattern._asdict(),
        nnz=nnz,
        method=method,
        kept=kept.share_of(whole),
        unconstrained=source.largest(nnz).share_of(whole),
        asked=float(density) if set_size is None else None,
        _stored=(indptr, indices),
    )
    return packed(pattern, indptr, indices, data), report
