# SPDX-License-Identifier: BSD-3-Clause
"""`prune`: a matrix projected onto the nearest pattern that packs perfectly, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._matrix.csr import row_of_entry
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns import sources
from complsparse._patterns.contest import assigned, greedy
from complsparse._patterns.masks import csr_of_owners, packed
from complsparse._patterns.pattern import Contest, Pattern, checked_pattern
from complsparse._patterns.report import PruneReport
from complsparse._patterns.sources import Source, source_of
from complsparse._progress import progress
from complsparse._typing import Method

METHODS = {"assignment": assigned, "greedy": greedy}

_LONG = 2**22  # entries from which on a terminal is shown how far the work is


def _parts(contest: Contest, pattern: Pattern) -> Iterator[Contest]:
    """The same contest in parts of about `CHUNK` entries: some sets, and where a set is wider, some groups of one."""
    br, bc = pattern.block
    group = contest.members * contest.width * br * bc
    n_groups = min(contest.n_groups, max(1, sources.CHUNK // group))
    n_sets = max(1, sources.CHUNK // (group * n_groups))
    for s in range(0, contest.n_sets, n_sets):
        for g in range(0, contest.n_groups, n_groups):
            yield contest._replace(
                first_set=contest.first_set + s,
                n_sets=min(n_sets, contest.n_sets - s),
                first_column=contest.first_column + g * contest.width,
                n_groups=min(n_groups, contest.n_groups - g),
            )


def _window(source: Source, rows: slice, first: int, end: int, columns: NDArray[np.intp] | None) -> NDArray[np.float64]:
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
    source: Source, pattern: Pattern, contest: Contest, columns: NDArray[np.intp] | None
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


def _owners(source: Source, pattern: Pattern, method: str) -> NDArray[np.int32]:
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
    source = source_of(A)
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
