# SPDX-License-Identifier: BSD-3-Clause
"""sparse_linear: a product with values on a fixed pattern, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from complsparse import _core
from complsparse._operands import as_compute
from complsparse.torch._bilinear import Bilinear, Geometry, check_devices, check_values, define
from complsparse.torch._patterns import packed, pattern


def _shape(geometry: Geometry) -> tuple[int, int]:
    rows, cols = geometry
    return int(rows), int(cols)


def _forward(
    x: NDArray[Any], values: NDArray[Any], positions: Tensor, geometry: Geometry, bias: NDArray[Any] | None
) -> NDArray[Any]:
    return _core.linear(x, packed(positions, values, _shape(geometry)), bias)


def _to_input(
    dy: NDArray[Any], values: NDArray[Any], positions: Tensor, geometry: Geometry, size: Sequence[int]
) -> NDArray[Any]:
    return _core.linear(dy, packed(positions, values, _shape(geometry)).T)


def _to_values(dy: NDArray[Any], x: NDArray[Any], positions: Tensor, geometry: Geometry) -> NDArray[Any]:
    rows, cols = _shape(geometry)
    W = pattern(positions, (rows, cols))
    of_rows = np.ascontiguousarray(dy.reshape(-1, rows).T)  # a loop over strided rows takes longer than the copy
    return _core.sampled_values(W, of_rows, as_compute(x.reshape(-1, cols), dy.dtype))


_operator = define(
    "sparse_linear",
    Bilinear(_forward, _to_input, _to_values, lambda size, geometry: (*size[:-1], geometry[0]), features=-1),
)


def sparse_linear(
    x: Tensor, values: Tensor, positions: Tensor, shape: tuple[int, int], bias: Tensor | None = None
) -> Tensor:
    """A linear layer whose weights are values on a fixed pattern: ``x @ W.T + bias``, with gradients.

    Parameters
    ----------
    x : Tensor, shape (..., K)
    values : Tensor, shape (nnz,)
        The stored entries of W, row by row: the parameter.
    positions : Tensor of int64, shape (nnz,)
        Where they stand, as `positions_of` gives it: a constant. Packed on the first call, and kept as long as the
        tensor lives; a write to it is noticed.
    shape : (int, int)
        (M, K) of W.
    bias : Tensor, shape (M,), optional

    Returns
    -------
    Tensor, shape (..., M)
        In the wider of the dtypes of x and values. Computed in float64 where one of them is, else in float32.

    Raises
    ------
    TypeError
        Tensors of other devices than the CPU, or of integers.
    ValueError
        Shapes that do not match; positions that do not ascend or lie outside the matrix.

    Notes
    -----
    Time is O(nnz * N) for N vectors, forward and for each gradient; new values cost O(nnz). Works in
    `torch.compile(fullgraph=True)` and `torch.export`; autocast runs it in bfloat16 as it does a linear layer. There
    is no rule for `torch.vmap`.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> positions = cs.torch.positions_of([[0, 2, 0], [3, 0, 0]])
    >>> values = torch.tensor([2.0, 3.0], requires_grad=True)
    >>> y = cs.torch.sparse_linear(torch.tensor([[1.0, 10.0, 100.0]]), values, positions, (2, 3))
    >>> y.tolist()
    [[20.0, 3.0]]
    >>> y.sum().backward()
    >>> values.grad
    tensor([10.,  1.])
    """
    check_devices("sparse_linear", x=x, values=values, positions=positions, bias=bias)
    rows, cols = shape
    if x.ndim == 0 or x.shape[-1] != cols:
        raise ValueError(f"x of shape {tuple(x.shape)} does not end with the {cols} columns of W, {(rows, cols)}")
    check_values(values, positions)
    if bias is not None and bias.shape != (rows,):
        raise ValueError(f"bias has shape {tuple(bias.shape)}; it needs one entry per output feature: ({rows},)")
    y: Tensor = _operator(x, values, positions, [rows, cols], bias)
    return y
