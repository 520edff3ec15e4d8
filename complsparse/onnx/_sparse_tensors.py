# SPDX-License-Identifier: BSD-3-Clause
"""Sparse tensors of a file, which never have their zeros written out where weights are asked for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import onnx
import scipy.sparse
from numpy.typing import NDArray

from complsparse._files.trust import check_sizes, printable
from complsparse.onnx._tensors import MOST_DENSE, check_tensor


class SparseTensor(NamedTuple):
    """Entries of an array, in C order."""

    shape: tuple[int, ...]
    places: NDArray[np.int64]  # in the array as one row, ascending
    values: NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def toarray(self) -> NDArray[Any]:
        if self.size > MOST_DENSE:
            raise ValueError(f"a sparse tensor of shape {self.shape} has {self.size} entries with its zeros; "
                             f"{MOST_DENSE} at most are written out")  # fmt: skip
        dense = np.zeros(self.size, dtype=self.values.dtype)
        dense[self.places] = self.values
        return dense.reshape(self.shape)


def rows_of(weights: NDArray[Any] | SparseTensor, axes: int = 1) -> Any:
    """A matrix, dense or in CSR as the weights are: a row for each entry of the first axes."""
    rows, cols = math.prod(weights.shape[:axes]), math.prod(weights.shape[axes:])
    if not isinstance(weights, SparseTensor):
        return weights.reshape(rows, cols)
    indptr = np.searchsorted(weights.places, np.arange(rows + 1, dtype=np.int64) * cols)
    return scipy.sparse.csr_array((weights.values, weights.places % max(1, cols), indptr), shape=(rows, cols))


def part_of(weights: NDArray[Any] | SparseTensor, i: int) -> Any:
    """One entry of the first axis."""
    if not isinstance(weights, SparseTensor):
        return weights[i]
    size = math.prod(weights.shape[1:])
    within = slice(*np.searchsorted(weights.places, [i * size, (i + 1) * size]))
    return SparseTensor(weights.shape[1:], weights.places[within] - i * size, weights.values[within])


def is_sparse(weights: Any, sparsity: float) -> bool:
    """Whether so large a share of an array, a SparseTensor or one of scipy's sparse arrays is zero."""
    if isinstance(weights, np.ndarray):
        stored, size = int(np.count_nonzero(weights)), weights.size
    else:
        values = weights.values if isinstance(weights, SparseTensor) else weights.data
        stored, size = len(values), math.prod(weights.shape)
    # Whoever prunes to 70% rounds the number of zeros.
    return size > 0 and size - stored >= math.floor(sparsity * size) > 0


def sparse_tensor(proto: Any) -> SparseTensor:
    """Of a SparseTensorProto whose parts are in it. ValueError where its indices are not ascending places in its shape.

    Stored zeros are left out.
    """
    name = printable(proto.values.name)
    for part in (proto.values, proto.indices):
        check_tensor(part)
    shape = tuple(proto.dims)
    if not shape or any(n < 0 for n in shape) or math.prod(shape) >= 2**62:
        raise ValueError(f"sparse tensor {name!r} has the shape {shape}")
    if proto.indices.data_type != onnx.TensorProto.INT64 or proto.values.data_type == onnx.TensorProto.STRING:
        raise ValueError(f"sparse tensor {name!r} has indices of type {proto.indices.data_type}, not INT64")
    values = onnx.numpy_helper.to_array(proto.values)
    indices = onnx.numpy_helper.to_array(proto.indices)
    if values.ndim != 1 or indices.shape not in ((len(values),), (len(values), len(shape))):
        raise ValueError(f"sparse tensor {name!r} of shape {shape} has values of shape {values.shape} and indices "
                         f"of shape {indices.shape}")  # fmt: skip
    check_sizes((shape[0], math.prod(shape[1:])), values.nbytes + indices.nbytes)
    if indices.ndim == 2:
        if len(indices) and not (np.all(indices >= 0) and np.all(indices < np.array(shape))):
            raise ValueError(f"sparse tensor {name!r} has indices outside its shape {shape}")
        indices = np.ravel_multi_index(tuple(indices.T), shape) if len(indices) else np.empty(0, dtype=np.int64)
    size = math.prod(shape)
    if len(indices) and not (indices[0] >= 0 and indices[-1] < size and np.all(np.diff(indices) > 0)):
        raise ValueError(f"sparse tensor {name!r} has indices that do not ascend from 0 to {size - 1}")
    kept = values != 0
    return SparseTensor(shape, np.asarray(indices, dtype=np.int64)[kept], values[kept])
