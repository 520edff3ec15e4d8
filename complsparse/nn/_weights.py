# SPDX-License-Identifier: BSD-3-Clause
"""Weights of layers: sparse or dense."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array


def checked_weights(W: Any, *ndims: int) -> Any:
    """A ComplementaryMatrix as it is; of an array a read-only copy. TypeError and ValueError for what is neither."""
    if isinstance(W, _core.Operand):
        if W.dtype.kind != "f" or W.dtype.itemsize < 4:
            raise TypeError(f"W has dtype {W.dtype}; networks compute in float32 or float64: W.astype(np.float32)")
        return W
    if not isinstance(W, np.ndarray):
        raise TypeError(f"W must be a ComplementaryMatrix, or an ndarray for a dense layer, not {type(W).__name__}")
    W = as_array(W, "W")
    if W.ndim not in ndims:
        raise ValueError(f"W has shape {W.shape}; {' or '.join(map(str, ndims))} axes are expected")
    if W.dtype.kind != "f" or W.dtype.itemsize < 4:
        raise TypeError(f"W has dtype {W.dtype}; networks compute in float32 or float64: W.astype(np.float32)")
    W = np.array(W, dtype=W.dtype.newbyteorder("="), order="C")
    W.flags.writeable = False
    return W


def check_features(shape: tuple[int, ...], W: Any) -> None:
    """ValueError unless the last axis of a sample is what W multiplies."""
    if not shape or shape[-1] != W.shape[1]:
        raise ValueError(
            f"a sample of shape {shape} has {shape[-1] if shape else 'no'} features (last axis); "
            f"W of shape {W.shape} expects {W.shape[1]}"
        )


def dense_weights(W: Any) -> NDArray[Any]:
    """Every zero stored; of filters in their own shape."""
    if isinstance(W, np.ndarray):
        return W
    dense: NDArray[Any] = W.toarray()
    return dense if W.filter_shape is None else dense.reshape(W.filter_shape)


def scaled_rows(W: Any, bias: Any, factor: NDArray[Any], summand: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """Weights and bias of a layer followed by ``y * factor + summand`` of each output."""
    if isinstance(W, np.ndarray):
        scaled: Any = (W * factor.reshape(-1, *[1] * (W.ndim - 1))).astype(W.dtype)
    else:
        csr = W.tocsr()
        csr.data = (csr.data * np.repeat(factor, np.diff(csr.indptr))).astype(W.dtype)
        scaled = W.with_values(csr)
    moved = summand if bias is None else bias * factor + summand
    return scaled, moved.astype(W.dtype)
