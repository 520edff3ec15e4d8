# SPDX-License-Identifier: BSD-3-Clause
"""CSR arrays: what shapes and dtypes they may have, their order, their transpose, and the way to scipy.

*Canonical* are arrays whose columns ascend within each row without duplicates.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._dtypes import as_dtype, counted, is_bfloat16

FIRST_USER_TYPE = 256  # number of a dtype that another package brings, such as the 8-bit floats of ml_dtypes
INT32_LIMIT = 2**31
MAX_SIZE = 2**47  # of an axis: sizes, pointers and byte counts then stay far inside int64


class Csr(NamedTuple):
    """Canonical CSR arrays: fresh, C-contiguous, in native byte order, read-only."""

    indptr: NDArray[np.int64]  # (rows + 1,)
    indices: NDArray[Any]  # (nnz,), int32 where the columns fit, else int64
    data: NDArray[Any]  # (nnz,)
    shape: tuple[int, int]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself, read-only from now on."""
    array.flags.writeable = False
    return array


# --- what is stored ---------------------------------------------------------------------------------------------------


def check_shape(shape: Any) -> tuple[int, int]:
    """Two sizes as Python integers. A scipy vector of shape (n,) is one row."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise TypeError(f"shape must be two integers, not {shape!r}") from None
    if len(sizes) == 1:
        sizes = (1, *sizes)
    if len(sizes) != 2:
        raise ValueError(f"shape {sizes} has {len(sizes)} axes; a matrix has 2")
    for size in sizes:
        if size < 0:
            raise ValueError(f"shape {sizes} has a negative size")
        if size > MAX_SIZE:
            raise ValueError(f"shape {sizes} has a size above 2**47")
    return sizes


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype in native byte order; TypeError unless it is a real one."""
    dtype = as_dtype(dtype)
    if dtype.kind == "c":
        raise TypeError(
            f"{dtype} is not supported: complsparse stores real matrices (bool, integer and float dtypes); "
            "pass A.real and A.imag separately"
        )
    of_numpy = dtype.kind in "biuf" and dtype.num < FIRST_USER_TYPE
    if not of_numpy and not is_bfloat16(dtype):
        raise TypeError(
            f"{dtype} is not supported: complsparse stores real matrices (bool, integer and float dtypes); "
            "convert with astype first"
        )
    return dtype.newbyteorder("=")


# --- ordering and summing ---------------------------------------------------------------------------------------------


def column_dtype(cols: int) -> type[np.int32 | np.int64]:
    return np.int32 if cols < 2**31 else np.int64


def index_dtype(largest: int) -> type[np.int32 | np.int64]:
    """Of scipy's index arrays, for the largest of a matrix's sizes and its number of entries."""
    return np.int32 if largest < INT32_LIMIT else np.int64


def stable_order(keys: NDArray[Any], n_keys: int) -> NDArray[Any]:
    """The stable permutation that sorts `keys`, all of them in [0, n_keys)."""
    if n_keys > 8 * len(keys) + 65536:
        return np.argsort(keys, kind="stable")
    # A counting sort at C speed: transposing a matrix whose row i has its one entry in column keys[i] lists,
    # for each key in turn, the positions that hold it.
    pointers = np.arange(len(keys) + 1, dtype=keys.dtype if len(keys) < 2**31 else np.int64)
    marks = np.zeros(len(keys), dtype=np.int8)
    order = scipy.sparse.csr_array((marks, keys, pointers), shape=(len(keys), n_keys)).tocsc().indices
    return np.asarray(order)


def row_pointers(rows: NDArray[Any], n_rows: int) -> NDArray[np.int64]:
    """Where each row starts, for row indices that have been checked."""
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    if len(rows):
        np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    return indptr


def row_of_entry(indptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of each stored entry."""
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))


def canonical_arrays(
    indptr: NDArray[np.int64], indices: NDArray[Any], data: NDArray[Any], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Sorts the columns of each row and sums duplicates in stored order. Validates all three arrays first."""
    is_sorted, is_unique = _core.check_csr(indptr, indices, shape[0], shape[1], len(data))
    indices = indices.astype(column_dtype(shape[1]), copy=False)
    if is_sorted and is_unique:
        return indptr, indices, data
    rows = row_of_entry(indptr)
    if not is_sorted:
        order = stable_order(indices, shape[1])
        order = order[stable_order(rows[order], shape[0])]
        indices, data = indices[order], data[order]  # `rows` ascends before and after
    first = np.empty(len(indices), dtype=np.bool_)
    first[:1] = True
    first[1:] = (indices[1:] != indices[:-1]) | (rows[1:] != rows[:-1])
    if not first.all():
        # The first occurrence starts the sum, not 0: a lone -0.0 stays what it is.
        group = np.cumsum(first) - 1
        total = data[first]
        with np.errstate(all="ignore"):
            np.add.at(total, group[~first], data[~first])
        indptr, indices, data = row_pointers(rows[first], shape[0]), indices[first], total
    return indptr, indices, data


def sorted_by_row(
    rows: NDArray[Any], cols: NDArray[Any], data: NDArray[Any], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """CSR arrays of triplets whose indices are in range; within a row the stored order is kept."""
    if len(rows) and not (rows[1:] >= rows[:-1]).all():
        order = stable_order(rows, shape[0])
        rows, cols, data = rows[order], cols[order], data[order]
    return row_pointers(rows, shape[0]), np.ascontiguousarray(cols), np.ascontiguousarray(data)


# --- other forms ------------------------------------------------------------------------------------------------------


def transposed(csr: Csr) -> tuple[Csr, NDArray[Any]]:
    """The canonical arrays of the transpose, and the position in `csr` of each of its entries."""
    rows, cols = csr.shape
    order = stable_order(csr.indices, cols)
    indices = row_of_entry(csr.indptr)[order].astype(column_dtype(rows), copy=False)
    indptr = row_pointers(csr.indices, cols)
    return Csr(frozen(indptr), frozen(indices), frozen(csr.data[order]), (cols, rows)), order


def to_scipy(csr: Csr, *, copy: bool = False, index_dtype: DTypeLike | None = None, transpose: bool = False) -> Any:
    """A csr_array (`transpose`: the csc_array of the transpose). Without `copy` it may share read-only arrays.

    float16 and bfloat16, which scipy.sparse does not know, become float32: every value stays what it is.
    """
    largest = max(*csr.shape, len(csr.data))
    if index_dtype is None:
        index_dtype = np.int32 if largest < 2**31 else np.int64
    elif np.dtype(index_dtype) not in (np.dtype(np.int32), np.dtype(np.int64)):
        raise ValueError(f"index_dtype={np.dtype(index_dtype)} must be int32 or int64")
    elif largest > np.iinfo(index_dtype).max:
        raise ValueError(f"index_dtype=int32 cannot hold {largest}; leave it out or pass int64")
    dtype = counted(csr.data.dtype)
    data = csr.data.astype(np.float32 if dtype == np.float16 else dtype, copy=False)
    arrays = [data, csr.indices.astype(index_dtype, copy=False), csr.indptr.astype(index_dtype, copy=False)]
    if copy:
        arrays = [array if array.flags.writeable else array.copy() for array in arrays]
    if transpose:
        matrix = scipy.sparse.csc_array(tuple(arrays), shape=csr.shape[::-1])
    else:
        matrix = scipy.sparse.csr_array(tuple(arrays), shape=csr.shape)
    matrix.has_canonical_format = True  # spares scipy a pass; it holds by construction
    return matrix
