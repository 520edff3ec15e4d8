# SPDX-License-Identifier: BSD-3-Clause
"""From scipy.sparse, NumPy and triplets: the only file that knows foreign formats.

`canonical` turns any of them into CSR arrays whose columns ascend within each row without duplicates. scipy objects are
mutable and their compiled routines trust them, so each one is taken apart and its arrays are copied and checked here;
no scipy routine ever sees an unchecked array, and the caller's object is never changed.
"""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import read_array, sparse_parts
from complsparse._matrix.csr import (
    MAX_SIZE,
    Csr,
    canonical_arrays,
    check_dtype,
    check_shape,
    column_dtype,
    frozen,
    row_of_entry,
    row_pointers,
    sorted_by_row,
)
from complsparse._matrix.csr import transposed as transpose_csr

# --- checks of what callers pass --------------------------------------------------------------------------------------


def _values(data: Any, dtype: Dtype = None, name: str = "data", ndim: int = 1) -> NDArray[Any]:
    """A copy of the values in native byte order, or in another dtype."""
    array = read_array(data, name)
    own = check_dtype(array.dtype)
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} axes; it must have {ndim}")
    return array.astype(own if dtype is None else dtype, order="C", subok=False)


def _integers(indices: Any, name: str) -> NDArray[Any]:
    """A copy of an index vector as int32 (if its dtype is no wider) or int64."""
    array = read_array(indices, name)
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} axes; it must have 1")
    if array.dtype.kind not in "iu":
        if array.size == 0 and array.dtype == np.float64:  # np.asarray([])
            return np.empty(0, dtype=np.int32)
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold integers")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} holds {array.max()}, which does not fit 64 signed bits")
    narrow = np.can_cast(array.dtype, np.int32)
    return np.array(array, dtype=np.int32 if narrow else np.int64, order="C", subok=False)


def _check_range(indices: NDArray[Any], size: int, name: str) -> None:
    if indices.size:
        least, greatest = int(indices.min()), int(indices.max())
        if least < 0 or greatest >= size:
            raise ValueError(f"{name} index {least if least < 0 else greatest} is outside [0, {size})")


def _same_length(**arrays: NDArray[Any]) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        counts = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
        raise ValueError(f"the arrays differ in length: {counts}")


# --- one function per format: unchecked arrays in, canonical arrays out -----------------------------------------------

Arrays = tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]
Dtype = np.dtype[Any] | None  # what values are cast to before any are summed; None: none are cast


def from_csr(indptr: Any, indices: Any, data: Any, shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    pointers = _integers(indptr, "indptr").astype(np.int64, copy=False)
    return canonical_arrays(pointers, _integers(indices, "indices"), _values(data, dtype), shape)


def from_csc(indptr: Any, indices: Any, data: Any, shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    pointers = _integers(indptr, "indptr").astype(np.int64, copy=False)
    rows, values = _integers(indices, "indices"), _values(data, dtype)
    _core.check_csr(pointers, rows, shape[1], shape[0], len(values))  # CSC is the CSR of the transpose
    cols = row_of_entry(pointers).astype(column_dtype(shape[1]), copy=False)
    return canonical_arrays(*sorted_by_row(rows, cols, values, shape), shape)


def from_coo(rows: Any, cols: Any, data: Any, shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    row_indices, col_indices, values = _integers(rows, "rows"), _integers(cols, "cols"), _values(data, dtype)
    _same_length(rows=row_indices, cols=col_indices, data=values)
    _check_range(row_indices, shape[0], "row")
    _check_range(col_indices, shape[1], "column")
    return canonical_arrays(*sorted_by_row(row_indices, col_indices, values, shape), shape)


def from_bsr(indptr: Any, indices: Any, data: Any, shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    pointers = _integers(indptr, "indptr").astype(np.int64, copy=False)
    block_cols, blocks = _integers(indices, "indices"), _values(data, dtype, ndim=3)
    br, bc = blocks.shape[1:]
    if br < 1 or bc < 1 or shape[0] % br or shape[1] % bc:
        raise ValueError(f"shape {shape} is not a multiple of the block shape {(br, bc)}")
    _core.check_csr(pointers, block_cols, shape[0] // br, shape[1] // bc, len(blocks))
    block_rows = row_of_entry(pointers)
    rows = np.broadcast_to((block_rows * br)[:, None, None] + np.arange(br)[None, :, None], blocks.shape)
    cols = np.broadcast_to((block_cols.astype(np.int64) * bc)[:, None, None] + np.arange(bc), blocks.shape)
    return canonical_arrays(*sorted_by_row(rows.ravel(), cols.ravel(), blocks.ravel(), shape), shape)


def from_dia(offsets: Any, data: Any, shape: tuple[int, int]) -> Arrays:
    diagonals, values = _integers(offsets, "offsets").astype(np.int64, copy=False), _values(data, ndim=2)
    _same_length(offsets=diagonals, data=values)
    if len(np.unique(diagonals)) != len(diagonals):
        raise ValueError("offsets holds a diagonal twice")
    width = min(values.shape[1], shape[1])
    cols = np.broadcast_to(np.arange(width), (len(diagonals), width))
    reachable = np.clip(diagonals, -MAX_SIZE, MAX_SIZE)  # the subtraction must not wrap
    rows = cols - reachable[:, None]
    # scipy's conversion drops zeros here: the format cannot tell a stored zero from padding.
    kept = (rows >= 0) & (rows < shape[0]) & (values[:, :width] != 0)
    return canonical_arrays(*sorted_by_row(rows[kept], cols[kept], values[:, :width][kept], shape), shape)


def from_lil(rows: Any, data: Any, own: np.dtype[Any], shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    row_lists, value_lists = np.asarray(rows, dtype=object), np.asarray(data, dtype=object)
    if row_lists.shape != (shape[0],) or value_lists.shape != (shape[0],):
        raise ValueError(f"a LIL matrix of {shape[0]} rows has {row_lists.shape} and {value_lists.shape} lists")
    for name, lists in (("rows", row_lists), ("data", value_lists)):
        for items in lists:
            if not isinstance(items, list):
                raise TypeError(f"{name} of a LIL matrix must hold lists, not {type(items).__name__}")
    counts = [len(items) for items in row_lists]
    if counts != [len(items) for items in value_lists]:
        raise ValueError("a LIL matrix has rows with unequal numbers of columns and values")
    indptr = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(counts, out=indptr[1:])
    indices = _as_array(list(itertools.chain.from_iterable(row_lists)), None, "rows")
    values = _as_array(list(itertools.chain.from_iterable(value_lists)), own, "data")
    return from_csr(indptr, indices, values, shape, dtype)


def from_dok(items: dict[Any, Any], own: np.dtype[Any], shape: tuple[int, int], dtype: Dtype = None) -> Arrays:
    keys = _as_array(list(items), None, "keys")
    if len(items) == 0:
        keys = np.empty((0, 2), dtype=np.int64)
    elif keys.ndim == 1:
        keys = np.column_stack([np.zeros(len(keys), dtype=keys.dtype), keys])
    if keys.ndim != 2 or keys.shape[1] != 2:
        raise ValueError(f"keys of a DOK matrix must be (row, column), found {next(iter(items))!r}")
    return from_coo(keys[:, 0], keys[:, 1], _as_array(list(items.values()), own, "values"), shape, dtype)


def from_array(dense: NDArray[Any]) -> tuple[Arrays, tuple[int, int]]:
    check_dtype(dense.dtype)
    matrix = np.atleast_2d(dense)
    if matrix.ndim != 2:
        raise ValueError(f"an array of shape {dense.shape} has {dense.ndim} axes; a matrix has 2")
    shape = check_shape(matrix.shape)
    # The positions of True in a contiguous bool array are found several times faster than those of non-zero floats.
    positions = np.flatnonzero(np.not_equal(matrix, 0, order="C"))
    row_starts = np.arange(shape[0] + 1) * shape[1]
    indptr = np.searchsorted(positions, row_starts).astype(np.int64, copy=False)
    indices = (positions - np.repeat(row_starts[:-1], np.diff(indptr))).astype(column_dtype(shape[1]), copy=False)
    return (indptr, indices, _values(matrix.reshape(-1)[positions])), shape


_OF_PARTS = {"coo": from_coo, "csr": from_csr, "csc": from_csc, "bsr": from_bsr}


def _as_array(items: Any, dtype: np.dtype[Any] | None, name: str) -> NDArray[Any]:
    try:
        return np.array(items, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} cannot be read as an array of {dtype or 'numbers'}: {error}") from None


def _from_scipy(A: Any, form: str, shape: tuple[int, int], dtype: Dtype) -> Arrays:
    """The arrays of A, read as those of this format."""
    try:
        check_dtype(np.dtype(A.dtype))
        return _from_format(A, form, shape, dtype)
    except AttributeError as error:
        raise TypeError(f"{type(A).__name__} lacks a part of the {form} format: {error}") from None


def _from_format(A: Any, form: str, shape: tuple[int, int], dtype: Dtype) -> Arrays:
    if form == "csr":
        return from_csr(A.indptr, A.indices, A.data, shape, dtype)
    if form == "csc":
        return from_csc(A.indptr, A.indices, A.data, shape, dtype)
    if form == "bsr":
        return from_bsr(A.indptr, A.indices, A.data, shape, dtype)
    if form == "dia":
        return from_dia(A.offsets, A.data, shape)  # holds no entry twice
    if form == "lil":
        return from_lil(A.rows, A.data, A.dtype, shape, dtype)
    if form == "dok":
        return from_dok(dict(A.items()), A.dtype, shape, dtype)
    if form == "coo":
        if len(A.coords) not in (1, 2):
            raise ValueError(f"a COO matrix has {len(A.coords)} index vectors; it must have 2")
        rows, cols = A.coords if len(A.coords) == 2 else (np.zeros_like(A.coords[0]), A.coords[0])
        return from_coo(rows, cols, A.data, shape, dtype)
    raise TypeError(f"scipy.sparse format {form!r} is not known; pass A.tocsr()")


def _from_tuple(parts: tuple[Any, ...], shape: tuple[int, int] | None, dtype: Dtype) -> tuple[Arrays, tuple[int, int]]:
    """``(data, (rows, cols))``, ``(data, indices, indptr)`` or a bare shape."""
    if len(parts) == 3:
        data, indices, indptr = parts
        pointers, columns = _integers(indptr, "indptr"), _integers(indices, "indices")
        if shape is None:
            cols = int(columns.max()) + 1 if len(columns) else 0
            shape = check_shape((max(len(pointers) - 1, 0), cols))
        return from_csr(pointers, columns, data, shape, dtype), shape
    if len(parts) == 2:
        try:
            bare = tuple(operator.index(size) for size in parts)
        except TypeError:
            pass
        else:
            bare = check_shape(bare)
            if shape is not None and shape != bare:
                raise ValueError(f"shape={shape} contradicts the shape {bare}")
            none = np.empty(0, dtype=np.float64 if dtype is None else dtype)
            return (row_pointers(none, bare[0]), np.empty(0, dtype=column_dtype(bare[1])), none), bare
        data, coords = parts
        try:
            rows, cols = coords
        except (TypeError, ValueError):
            raise TypeError("a pair must be (data, (rows, cols)) or a shape of two integers") from None
        row_indices, col_indices = _integers(rows, "rows"), _integers(cols, "cols")
        if shape is None:
            if not len(row_indices) or not len(col_indices):
                raise ValueError("the shape of no triplets is not known; pass shape=")
            shape = check_shape((int(row_indices.max()) + 1, int(col_indices.max()) + 1))
        return from_coo(row_indices, col_indices, data, shape, dtype), shape
    raise TypeError(
        f"a tuple of {len(parts)} is not a matrix; pass (data, (rows, cols)), (data, indices, indptr) or (rows, cols)"
    )


def compressed(A: Any) -> tuple[Csr, bool, bool]:
    """CSR arrays of any scipy.sparse matrix, checked but neither sorted nor summed; whether they describe its
    transpose; whether they are canonical all the same."""
    shape = check_shape(A.shape)
    if A.format not in ("csr", "csc"):
        return canonical(A), False, True
    check_dtype(np.dtype(A.dtype))
    stored = shape if A.format == "csr" else shape[::-1]
    pointers, indices, data = _integers(A.indptr, "indptr"), _integers(A.indices, "indices"), _values(A.data)
    pointers = pointers.astype(np.int64, copy=False)
    is_sorted, is_unique = _core.check_csr(pointers, indices, *stored, len(data))
    indices = indices.astype(column_dtype(stored[1]), copy=False)
    return Csr(pointers, indices, data, stored), A.format == "csc", is_sorted and is_unique


# --- any format -------------------------------------------------------------------------------------------------------


def canonical_csr(S: Any, transposed: bool) -> Csr:
    """`canonical` of a scipy.sparse array of any format, or of its transpose."""
    if not transposed:
        return canonical(S)
    if S.format == "csc":  # its arrays are those of the transpose
        rows, cols = check_shape(S.shape)
        return Csr(*_from_scipy(S, "csr", (cols, rows), None), (cols, rows))
    return transpose_csr(canonical(S))[0]


def canonical(A: Any, shape: Any = None, dtype: DTypeLike | None = None, eliminate_zeros: bool = False) -> Csr:
    """Canonical CSR arrays of anything that is a matrix, except a ComplementaryMatrix.

    Parameters
    ----------
    A : scipy.sparse array or matrix, array_like, tuple, sparse tensor, or an object with ``tocsr``
        Any scipy format; torch's COO, CSR, CSC and BSR; an array of at most two axes, whose exact zeros are dropped;
        ``(data, (rows, cols))``; ``(data, indices, indptr)``; a pair of sizes.
    shape : (int, int), optional
        Needed for triplets whose last rows or columns are empty; otherwise it must agree with A.
    dtype : dtype, optional
        Values are cast as `numpy.ndarray.astype` does, before duplicates are summed.
    eliminate_zeros : bool
        Drop stored zeros, after duplicates have been summed.

    Raises
    ------
    TypeError
        A dtype that is not bool, integer or float; an object that is not a matrix.
    ValueError
        Arrays that contradict each other or the shape. Nothing in `A` is trusted.

    Notes
    -----
    O(nnz + M + K), for sorted input a few passes over its arrays. Duplicates are summed in stored order.
    """
    wanted = None if dtype is None else check_dtype(dtype)
    size = None if shape is None else check_shape(shape)
    arrays: Arrays
    if not scipy.sparse.issparse(A) and not isinstance(A, np.ndarray) and hasattr(A, "tocsr"):
        converted = A.tocsr()
        if not scipy.sparse.issparse(converted):
            raise TypeError(f"{type(A).__name__}.tocsr() gave {type(converted).__name__}, not a scipy.sparse matrix")
        A = converted
    parts = sparse_parts(A, "the matrix")
    if parts is not None:
        own = check_shape(parts.shape)
        arrays = _OF_PARTS[parts.form](*parts.indices, parts.values, own, wanted)
    elif scipy.sparse.issparse(A):
        own = check_shape(A.shape)
        arrays = _from_scipy(A, A.format, own, wanted)
    elif isinstance(A, tuple):
        arrays, own = _from_tuple(A, size, wanted)
    else:
        dense = read_array(A, "the matrix")
        if dense.dtype == object:
            raise TypeError(f"{type(A).__name__} is not a matrix of numbers")
        arrays, own = from_array(dense)
    if size is not None and size != own:
        raise ValueError(f"shape={size} contradicts the matrix, whose shape is {own}")

    indptr, indices, data = arrays
    if wanted is not None:
        data = data.astype(wanted, copy=False)
    if eliminate_zeros:
        kept = data != 0
        if not kept.all():
            indptr = row_pointers(row_of_entry(indptr)[kept], own[0])
            indices, data = indices[kept], data[kept]
    return Csr(frozen(indptr), frozen(indices), frozen(data), own)
