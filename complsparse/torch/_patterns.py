# SPDX-License-Identifier: BSD-3-Clause
"""Patterns as operators take them: flat positions in a tensor, packed once and kept while their memory lives."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from complsparse._matrix.csr import Csr, column_dtype, frozen, row_of_entry, row_pointers
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._matrix.packing import Packing


def positions_of(pattern: Any) -> Tensor:
    """The flat positions of a pattern's entries, ascending.

    Parameters
    ----------
    pattern : ComplementaryMatrix, or array_like or Tensor of any shape
        The stored entries of a matrix; where a mask, or weights, are not zero.

    Returns
    -------
    Tensor of int64, shape (nnz,)
        ``row * K + column`` in a matrix, the index into ``weight.flatten()`` for filters.

    Notes
    -----
    O(nnz) for a matrix, O(M K) for a mask.

    Examples
    --------
    >>> import complsparse as cs
    >>> cs.torch.positions_of([[False, True], [True, False]])
    tensor([1, 2])
    """
    if isinstance(pattern, ComplementaryMatrix):
        csr = pattern._csr()
        return torch.from_numpy(row_of_entry(csr.indptr) * csr.shape[1] + csr.indices)
    mask = torch.as_tensor(pattern).detach()
    return mask.flatten().nonzero().flatten()


def as_matrix(positions: NDArray[np.int64], shape: tuple[int, int], groups: int = 1) -> ComplementaryMatrix:
    """The pattern with values 0.0, packed; of groups, the columns of a group follow those of the one before it."""
    rows, cols = shape
    if positions.ndim != 1 or positions.dtype != np.int64:
        raise ValueError(f"positions have shape {positions.shape} and dtype {positions.dtype}; use a vector of int64")
    if len(positions) and (positions[0] < 0 or positions[-1] >= rows * cols or (np.diff(positions) <= 0).any()):
        raise ValueError(f"positions must ascend, from 0 to below {rows} * {cols} = {rows * cols}")
    row, column = np.divmod(positions, cols) if cols else (positions, positions)
    if groups > 1:
        column += row // (rows // groups) * cols
    full = (rows, cols * groups)
    indices = frozen(column.astype(column_dtype(full[1])))
    csr = Csr(frozen(row_pointers(row, rows)), indices, frozen(np.zeros(len(positions), np.float32)), full)
    return ComplementaryMatrix._from_parts(csr, Packing(csr.indptr, csr.indices, full, "auto", "auto"))


def matrix_of(values: Tensor, positions: Tensor, shape: tuple[int, ...]) -> ComplementaryMatrix:
    """A matrix of its own, explicit zeros included; of a shape with more than two axes, filters."""
    W = as_matrix(positions.cpu().numpy(), (shape[0], math.prod(shape[1:])))
    W._packing.filter_shape = tuple(shape) if len(shape) > 2 else None
    values = values.detach().cpu()
    return W.with_values(values.float() if values.dtype == torch.bfloat16 else values)


class _Kept(NamedTuple):
    """The matrix of the last call; `version` counts writes to the positions."""

    version: int
    matrix: ComplementaryMatrix


# By the memory of positions: compiled code has other tensors at each call, on the same storage.
_kept: weakref.WeakKeyDictionary[Any, dict[Any, _Kept]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def pattern(positions: Tensor, shape: tuple[int, int], groups: int = 1) -> ComplementaryMatrix:
    """The matrix of the last call, or, on the first one and after a write to the positions, a new one of zeros."""
    found = _kept.get(positions.untyped_storage(), {}).get(_place(positions, shape, groups))
    if found is not None and found.version == positions._version:
        return found.matrix
    return _keep(positions, shape, groups, as_matrix(positions.detach().numpy(), shape, groups))


def _place(positions: Tensor, shape: tuple[int, int], groups: int) -> tuple[Any, ...]:
    return positions.storage_offset(), positions.shape, positions.stride(), shape, groups


def _keep(positions: Tensor, shape: tuple[int, int], groups: int, matrix: ComplementaryMatrix) -> ComplementaryMatrix:
    with _lock:
        of_storage = _kept.setdefault(positions.untyped_storage(), {})
        of_storage[_place(positions, shape, groups)] = _Kept(positions._version, matrix)
    return matrix


def packed(positions: Tensor, values: NDArray[Any], shape: tuple[int, int], groups: int = 1) -> ComplementaryMatrix:
    """The matrix of these values, on a packing that is made once; its layouts are built again where values changed.

    Values are compared bit by bit, because writes to ``tensor.data`` leave no trace: that takes a small part of the
    time of a product, and a layout several times as long as one.
    """
    matrix = pattern(positions, shape, groups)
    if matrix.dtype == values.dtype and _same_bits(matrix._data, values):
        return matrix
    return _keep(positions, shape, groups, matrix.with_values(values))


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    bits = np.int64 if a.dtype.itemsize == 8 else np.int32
    return bool(b.flags.c_contiguous and np.array_equal(a.view(bits), b.view(bits)))
