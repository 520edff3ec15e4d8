# SPDX-License-Identifier: BSD-3-Clause
"""Winners: sparse activations, compressed along the axes on which they compete."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from complsparse import _core
from complsparse._dtypes import as_dtype
from complsparse._ops.vectors import (
    as_axis,
    check_length,
    checked_integers,
    checked_values,
    normal_axes,
    split_shape,
    taken_vectors,
    vectors_first,
)


class Winners(_core.Compressed):
    """Sparse activations: of each vector along `axis` the entries that are alive, with their indices.

    Parameters
    ----------
    values : array_like, shape (nnz,)
        The winners, vector after vector: float32, float64, int8, uint8, int32 or int64. 16-bit floats become float32.
    indices : array_like of integers, shape (nnz,)
        Where each stands in its vector: at least 0, below the vector's length, strictly ascending within a vector.
    indptr : array_like of integers, shape (vectors + 1,)
        The winners of vector v are entries ``indptr[v]`` to ``indptr[v + 1]``; begins with 0 and does not descend.
    shape : tuple of int
        Of the dense array. The vectors follow each other in C order over the axes that are not compressed.
    axis : int or tuple of int
        Compressed along this axis. A tuple makes one vector of several axes: indices count in C order over
        them, in the order in which they stand in `shape`.

    Attributes
    ----------
    values, indices, indptr : ndarray
        As above, read-only; int32 indices, int64 indptr.
    shape, axis, dtype, nnz, nbytes, density, counts
        `axis` is never negative, a tuple ascends; of one axis it is an int. `density` is the share of entries that are
        alive.

    Raises
    ------
    ValueError
        Arrays that do not fit together or break a rule above, a vector of 2**31 entries or more.
    TypeError
        Values of another dtype, indices that are no integers.

    Notes
    -----
    Immutable: the arrays are copies, and cannot be made writeable. The constructor checks everything,
    O(nnz + vectors); `complsparse.kwta` and the class methods make winners. ``w[i]`` takes vectors. Compare two by
    their arrays, or as SciPy arrays: ``==`` asks whether they are one object.

    Examples
    --------
    >>> import complsparse as cs
    >>> w = cs.Winners([5.0, -1.0, 2.0], [0, 3, 1], [0, 2, 3], shape=(2, 4))
    >>> w
    <Winners: 3 of 8 float64 alive in 2 vectors of 4, shape (2, 4), axis 1>
    >>> w.toarray()
    array([[ 5.,  0.,  0., -1.],
           [ 0.,  2.,  0.,  0.]])
    """

    __slots__ = ("__weakref__",)
    __module__ = "complsparse"  # where users find it, and pickles
    __array_ufunc__ = None  # an ndarray leaves operators to this class, instead of taking it for a scalar

    def __new__(
        cls,
        values: ArrayLike,
        indices: ArrayLike,
        indptr: ArrayLike,
        shape: tuple[int, ...],
        axis: int | tuple[int, ...] = -1,
    ) -> Winners:
        try:
            sizes = tuple(operator.index(n) for n in shape)
        except TypeError:
            raise TypeError(f"shape must be a tuple of integers, not {shape!r}") from None
        if not sizes:
            raise ValueError("winners need at least one axis; shape is ()")
        if min(sizes) < 0:
            raise ValueError(f"shape {sizes} has a negative size")
        axes = normal_axes(axis, len(sizes))
        left, contest = (math.prod(part) for part in split_shape(sizes, axes))
        check_length(contest)
        entries = checked_values(values)
        if entries.ndim != 1:
            raise ValueError(f"values has {entries.ndim} axes; it must have one")
        places = checked_integers(indices, "indices", np.int32)
        starts = checked_integers(indptr, "indptr", np.int64)
        if len(starts) != left + 1:
            raise ValueError(
                f"indptr has {len(starts)} entries; shape {sizes} compressed along axis {as_axis(axes)} has {left} "
                f"vectors, which need {left + 1}"
            )
        entries = np.require(entries, requirements=["C", "A"])
        return _core.compressed(cls, entries, places, starts, left, contest, sizes, as_axis(axes))

    @classmethod
    def from_dense(cls, x: ArrayLike, threshold: float = 0.0, axis: int | tuple[int, ...] = -1) -> Winners:
        """The entries whose magnitude exceeds a threshold; NaN stays.

        Parameters
        ----------
        x : array_like
            At least one axis; a dtype that winners have.
        threshold : float
            Entries with ``abs(x) <= threshold`` are dropped. 0 drops zeros alone.
        axis : int or tuple of int
            As in the constructor.

        Returns
        -------
        Winners

        Notes
        -----
        O(size of x).

        Examples
        --------
        >>> import complsparse as cs
        >>> cs.Winners.from_dense([0.5, 0.0, -2.0], threshold=1).indices
        array([2], dtype=int32)
        """
        array = checked_values(x, "x")
        if array.ndim == 0:
            raise ValueError("winners need at least one axis; x is a scalar")
        limit = float(threshold)
        if not limit >= 0:
            raise ValueError(f"threshold is {threshold}; it must be at least 0")
        axes = normal_axes(axis, array.ndim)
        check_length(math.prod(split_shape(array.shape, axes)[1]))
        vectors = np.require(vectors_first(array, axes), requirements=["C", "A"])
        found = _core.collect(vectors, limit, 1, array.shape, as_axis(axes))
        return found if cls is Winners else cls(found.values, found.indices, found.indptr, array.shape, axes)

    @classmethod
    def from_scipy(cls, S: Any, axis: int = -1) -> Winners:
        """The stored entries of a scipy.sparse array or matrix, explicit zeros included.

        Parameters
        ----------
        S : scipy.sparse array or matrix
            Of any format, one or two axes. Every array in it is checked before use; duplicates are summed; S itself is
            not changed.
        axis : int
            Compressed along this axis: 1 takes the rows of S as vectors, 0 its columns.

        Returns
        -------
        Winners

        Raises
        ------
        ValueError
            Malformed arrays; a vector of 2**31 entries or more.
        TypeError
            No scipy.sparse matrix; a dtype that winners do not have.

        Examples
        --------
        >>> import complsparse as cs
        >>> import scipy.sparse
        >>> cs.Winners.from_scipy(scipy.sparse.csr_array([[0.0, 3.0], [0.0, 4.0]]), axis=0).indptr
        array([0, 0, 2])
        """
        if not scipy.sparse.issparse(S):
            raise TypeError(f"from_scipy takes a scipy.sparse array or matrix, not {type(S).__name__}")
        axes = normal_axes(axis, len(S.shape))
        if len(axes) != 1:
            raise ValueError(f"from_scipy compresses along one axis, not {axis!r}")
        indptr, indices, data, shape = _core.canonical(S, len(S.shape) == 2 and axes == (0,))
        check_length(shape[1])
        return cls(data, indices, indptr, S.shape, axes)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of the three arrays."""
        return self.nnz * (self.dtype.itemsize + 4) + 8 * (self._sizes[0] + 1)

    @property
    def density(self) -> float:
        """The share of entries that are alive; 0.0 where there are no entries."""
        return self.nnz / (math.prod(self.shape) or 1)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many winners each vector has: int64, of the shape of the axes that are left."""
        return np.diff(self.indptr).reshape(split_shape(self.shape, self._axes)[0])

    @property
    def _axes(self) -> tuple[int, ...]:
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    @property
    def _sizes(self) -> tuple[int, int]:
        """How many vectors there are, and how long they are."""
        left, contest = split_shape(self.shape, self._axes)
        return math.prod(left), math.prod(contest)

    def toarray(self) -> NDArray[Any]:
        """The dense array, as `numpy.asarray` gives it: winners at their places, zero elsewhere. O(its size)."""
        dense = _core.expand(self)
        axes = self._axes
        if len(axes) == 1:
            return dense
        left, contest = split_shape(self.shape, axes)
        rest = tuple(a for a in range(self.ndim) if a not in axes)
        return np.ascontiguousarray(dense.reshape(left + contest).transpose(np.argsort(rest + axes)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("winners are no dense array: one is always made (copy=False cannot be)")
        return self.toarray() if dtype is None else self.toarray().astype(dtype, copy=False)

    def astype(self, dtype: DTypeLike) -> Winners:
        """The same winners with values of another dtype, cast as `numpy.ndarray.astype` does; itself where it has it.

        Values that become 0 stay winners.
        """
        wanted = as_dtype(dtype)
        if wanted == self.dtype:
            return self
        return type(self)(self.values.astype(wanted), self.indices, self.indptr, self.shape, self.axis)

    def __getitem__(self, index: Any) -> Winners:
        """Some of the vectors: ``np.asarray(w[index])`` is ``np.asarray(w)[index]``.

        Indexed are the axes that are left, by integers and slices, or by slices and one list of integers or mask; axes
        on which entries compete by ``:`` alone. O(winners and vectors that are taken).
        """
        taken = taken_vectors(index, self.shape, self._axes)
        starts = self.indptr[taken.numbers]
        counts = self.indptr[taken.numbers + 1] - starts
        indptr = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(starts - indptr[:-1], counts) + np.arange(indptr[-1])
        return type(self)(self.values[places], self.indices[places], indptr, taken.shape, taken.axes)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Winners]:
        return (self[i] for i in range(len(self)))

    def _compressed(self) -> scipy.sparse.csr_array:
        """(vectors, length): one row per vector."""
        # Both index arrays of one dtype, as scipy makes them: with one of int64 scikit-learn refuses the matrix.
        starts = self.indptr.astype(np.int32 if self.nnz < 2**31 else np.int64)
        entries = (self.values.copy(), self.indices.copy(), starts)
        return scipy.sparse.csr_array(entries, shape=self._sizes)

    def tocsr(self) -> scipy.sparse.csr_array:
        """As a SciPy array: of the same shape where there are two axes, otherwise one row per vector."""
        rows = self._compressed()
        return rows.T.tocsr() if self.ndim == 2 and self.axis == 0 else rows

    def tocsc(self) -> scipy.sparse.csc_array:
        """As `tocsr`, compressed by columns."""
        rows = self._compressed()
        return rows.T if self.ndim == 2 and self.axis == 0 else rows.tocsc()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.values, self.indices, self.indptr, self.shape, self.axis)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes

    def __repr__(self) -> str:
        vectors, length = self._sizes
        return (
            f"<Winners: {self.nnz} of {vectors * length} {self.dtype} alive in {vectors} vectors of {length}, "
            f"shape {self.shape}, axis {self.axis}>"
        )

    def _repr_html_(self) -> str:
        vectors, length = self._sizes
        counts = np.diff(self.indptr)
        each = f"{counts.min()} to {counts.max()} of {length}" if vectors else "no vectors"
        facts = {
            "shape": f"{self.shape}, {self.dtype}",
            "vectors": f"{vectors} along axis {self.axis}",
            "alive": f"{self.nnz}, {100 * self.density:.2f}%; in a vector {each}",
            "memory": f"{self.nbytes} bytes",
        }
        rows = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in facts.items())
        return f"<table><caption>Winners</caption>{rows}</table>"
