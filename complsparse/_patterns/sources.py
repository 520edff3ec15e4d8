# SPDX-License-Identifier: BSD-3-Clause
"""Matrices to prune, dense and sparse: magnitudes of a part at a time, and sums of what is kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse._arrays import read_array
from complsparse._matrix.csr import Csr, check_dtype, row_of_entry
from complsparse._matrix.filters import Shape, matrix_shape
from complsparse._matrix.formats import canonical
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._patterns.report import KeptShare

Columns = slice | NDArray[np.intp]  # of a matrix: neighbours, or any

CHUNK = 2**18  # magnitudes at a time: they stay in the cache


class Sums(NamedTuple):
    """Of magnitudes, scaled by the greatest of the matrix, so that squares stay in range."""

    of_rows: NDArray[np.float64]
    of_squares: float

    def share_of(self, whole: Sums) -> KeptShare:
        rows = np.ones_like(whole.of_rows)
        np.divide(self.of_rows, whole.of_rows, out=rows, where=whole.of_rows > 0)
        np.minimum(rows, 1.0, out=rows)  # sums in another order are rounded otherwise
        rows.flags.writeable = False
        total = _share(float(self.of_rows.sum()), float(whole.of_rows.sum()))
        return KeptShare(total, _share(self.of_squares, whole.of_squares), rows)


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 1.0


class Source:
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

    def sums(self, places: NDArray[Any]) -> Sums:
        """Of the values at these places of `values`, counted row by row."""
        scaled = self.scaled(self.magnitudes.reshape(-1)[places])
        of_rows = np.zeros(self.shape[0])
        np.add.at(of_rows, self.position(places)[0], scaled)
        return Sums(of_rows, float(np.dot(scaled, scaled)))

    def largest(self, count: int) -> Sums:
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

    def whole(self) -> Sums:
        raise NotImplementedError

    def window(self, rows: slice, cols: Columns) -> NDArray[np.float64]:
        """The scaled magnitudes of a part of the matrix, dense; reaches no further than the matrix."""
        raise NotImplementedError

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], Sums]:
        """The values at these positions, and their sums."""
        raise NotImplementedError


class Dense(Source):
    def position(self, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.divmod(places, self.shape[1])

    def whole(self) -> Sums:
        n_rows, n_cols = self.shape
        of_rows, of_squares = np.zeros(n_rows), 0.0
        step = max(1, CHUNK // max(n_cols, 1))
        for first in range(0, n_rows, step):
            part = self.window(slice(first, first + step), slice(None))
            of_rows[first : first + step] = part.sum(axis=1)
            of_squares += float(np.vdot(part, part))
        return Sums(of_rows, of_squares)

    def window(self, rows: slice, cols: Columns) -> NDArray[np.float64]:
        return self.scaled(self.magnitudes[rows][:, cols])

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], Sums]:
        places = rows * self.shape[1] + cols
        return self.values.reshape(-1)[places], self.sums(places)


class Sparse(Source):
    def __init__(self, csr: Csr, filter_shape: Shape | None = None) -> None:
        self.indptr, self.indices = csr.indptr, csr.indices
        super().__init__(csr.data, csr.shape, filter_shape)

    def position(self, places: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.searchsorted(self.indptr, places, side="right") - 1, self.indices[places]

    def whole(self) -> Sums:
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

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[NDArray[Any], Sums]:
        keys = row_of_entry(self.indptr) * self.shape[1] + self.indices
        wanted = rows * self.shape[1] + cols
        place = np.searchsorted(keys, wanted)
        stored = place < len(keys)
        stored[stored] = keys[place[stored]] == wanted[stored]
        values = np.zeros(len(rows), dtype=self.values.dtype)
        values[stored] = self.values[place[stored]]
        return values, self.sums(place[stored])


def source_of(A: Any) -> Source:
    if isinstance(A, ComplementaryMatrix):
        return Sparse(A._csr(), A.filter_shape)
    if scipy.sparse.issparse(A) or isinstance(A, tuple) or (not isinstance(A, np.ndarray) and hasattr(A, "tocsr")):
        return Sparse(canonical(A))
    array = read_array(A, "A")
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"an array of shape {array.shape} has {array.ndim} axes; a matrix has 2, filters have 3 or 4")
    dtype = check_dtype(array.dtype)
    shape, filter_shape = matrix_shape(array.shape)
    return Dense(np.ascontiguousarray(array, dtype=dtype).reshape(shape), shape, filter_shape)
