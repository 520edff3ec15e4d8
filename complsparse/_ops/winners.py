# SPDX-License-Identifier: BSD-3-Clause
"""Winners: sparse activations, compressed along the axes on which they compete."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array, read_array
from complsparse._dtypes import is_bfloat16

DTYPES = tuple(sorted(_core.dtypes(), key=lambda dtype: (dtype.kind, dtype.itemsize)))


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a contest, ascending and not negative."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not axes:
        raise ValueError("axis is empty; a contest needs at least one axis")
    found = []
    for one in axes:
        try:
            at = operator.index(one)
        except TypeError:
            raise TypeError(f"axis must be an int or a tuple of ints, not {axis!r}") from None
        if not -ndim <= at < ndim:
            raise ValueError(f"axis {at} is outside an array of {ndim} axes")
        found.append(at % ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"axis {axis!r} names an axis twice")
    return tuple(sorted(found))


def split_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sizes of the axes that are left, and of those on which the entries compete."""
    return tuple(n for a, n in enumerate(shape) if a not in axes), tuple(shape[a] for a in axes)


def as_axis(axes: tuple[int, ...]) -> int | tuple[int, ...]:
    return axes[0] if len(axes) == 1 else axes


def vectors_first(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """The array as (vectors, length of a contest); a view where that is possible."""
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    left, contest = split_shape(x.shape, axes)
    return x.transpose(rest + axes).reshape(math.prod(left), math.prod(contest))


def checked_values(values: Any, name: str = "values") -> NDArray[Any]:
    """As an array of a dtype that winners have; 16-bit floats lose nothing as float32."""
    array = as_array(values, name)
    if array.dtype == np.float16 or is_bfloat16(array.dtype):
        array = array.astype(np.float32)
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        names = ", ".join(dtype.name for dtype in DTYPES)
        raise TypeError(f"winners of dtype {array.dtype} do not exist; convert them to one of: {names}")
    return array.astype(next(dtype for dtype in DTYPES if dtype == native), copy=False)


def _checked_integers(array: Any, name: str, dtype: type) -> NDArray[Any]:
    given = read_array(array, name)
    if given.ndim != 1:
        raise ValueError(f"{name} has {given.ndim} axes; it must have one")
    if given.size == 0:
        return np.zeros(0, dtype=dtype)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {given.dtype}; it must be of integers")
    low, high, limits = given.min(), given.max(), np.iinfo(dtype)
    if int(low) < limits.min or int(high) > limits.max:
        raise ValueError(f"{name} runs from {low} to {high}, which does not fit {np.dtype(dtype)}")
    return np.require(given, dtype, ["C", "A"])


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
    shape, axis, dtype, nnz, counts
        `axis` is never negative, a tuple ascends; of one axis it is an int.

    Raises
    ------
    ValueError
        Arrays that do not fit together or break a rule above, a vector of 2**31 entries or more.
    TypeError
        Values of another dtype, indices that are no integers.

    Notes
    -----
    Immutable: the arrays are copies, and cannot be made writeable. The constructor checks everything, O(nnz + vectors);
    `complsparse.kwta` and the class methods make winners. Compare two by their arrays, or as SciPy arrays: ``==`` asks
    whether they are one object.

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

    __slots__ = ()
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
        if contest >= 2**31:
            raise ValueError(f"vectors of {contest} entries are too long: indices need fewer than 2**31")
        entries = checked_values(values)
        if entries.ndim != 1:
            raise ValueError(f"values has {entries.ndim} axes; it must have one")
        places = _checked_integers(indices, "indices", np.int32)
        starts = _checked_integers(indptr, "indptr", np.int64)
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
        contest = math.prod(split_shape(array.shape, axes)[1])
        if contest >= 2**31:
            raise ValueError(f"vectors of {contest} entries are too long: indices need fewer than 2**31")
        vectors = np.require(vectors_first(array, axes), requirements=["C", "A"])
        found = _core.collect(vectors, limit, 1, array.shape, as_axis(axes))
        return found if cls is Winners else cls(found.values, found.indices, found.indptr, array.shape, axes)

    @classmethod
    def from_scipy(cls, S: Any, axis: int = -1) -> Winners:
        """The stored entries of a scipy.sparse array or matrix, explicit zeros included.

        Parameters
        ----------
        S : scipy.sparse array or matrix
            Of any format, one or two axes. Duplicates are summed; S itself is not changed.
        axis : int
            Compressed along this axis: 1 takes the rows of S as vectors, 0 its columns.

        Returns
        -------
        Winners

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
        if S.dtype.newbyteorder("=") not in DTYPES:
            checked_values(np.zeros(0, dtype=S.dtype))  # names the dtypes
        matrix = S if len(S.shape) == 2 else S.reshape((1, S.shape[0]))
        sparse = matrix.tocsc() if len(S.shape) == 2 and axes == (0,) else matrix.tocsr()
        if not sparse.has_canonical_format:
            sparse = sparse.copy()
            sparse.sum_duplicates()
        return cls(sparse.data, sparse.indices, sparse.indptr, S.shape, axes)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many winners each vector has: int64, of the shape of the axes that are left."""
        return np.diff(self.indptr).reshape(split_shape(self.shape, self._axes)[0])

    @property
    def _axes(self) -> tuple[int, ...]:
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def toarray(self) -> NDArray[Any]:
        """The dense array: winners at their places, zero elsewhere. O(size of the array)."""
        axes = self._axes
        left, contest = split_shape(self.shape, axes)
        if len(axes) == 1:
            inner = max(math.prod(self.shape[axes[0] + 1 :]), 1)
            return _core.expand(self, inner if math.prod(left) else 1).reshape(self.shape)
        rest = tuple(a for a in range(self.ndim) if a not in axes)
        vectors = _core.expand(self, 1).reshape(left + contest)
        return np.ascontiguousarray(vectors.transpose(np.argsort(rest + axes)))

    def _compressed(self) -> scipy.sparse.csr_array:
        """(vectors, length): one row per vector."""
        left, contest = (math.prod(part) for part in split_shape(self.shape, self._axes))
        # Both index arrays of one dtype, as scipy makes them: with one of int64 scikit-learn refuses the matrix.
        starts = self.indptr.astype(np.int32 if self.nnz < 2**31 else np.int64)
        entries = (self.values.copy(), self.indices.copy(), starts)
        return scipy.sparse.csr_array(entries, shape=(left, contest))

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

    def __repr__(self) -> str:
        left, contest = (math.prod(part) for part in split_shape(self.shape, self._axes))
        return (
            f"<Winners: {self.nnz} of {left * contest} {self.dtype} alive in {left} vectors of {contest}, "
            f"shape {self.shape}, axis {self.axis}>"
        )
