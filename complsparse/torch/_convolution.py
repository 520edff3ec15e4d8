# SPDX-License-Identifier: BSD-3-Clause
"""sparse_conv2d: a convolution with values on a fixed pattern, with gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from complsparse import _core
from complsparse._conv.conv import conv2d
from complsparse._operands import as_compute
from complsparse.torch._bilinear import Bilinear, Geometry, check_devices, check_values, define
from complsparse.torch._patterns import packed, pattern

Pair = tuple[int, int]


class _Windows(NamedTuple):
    """What the list of integers of the operator means."""

    filters: tuple[int, int, int, int]
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, geometry: Geometry) -> _Windows:
        n = [int(size) for size in geometry]
        return cls((n[0], n[1], n[2], n[3]), (n[4], n[5]), (n[6], n[7]), (n[8], n[9]), n[10])

    @property
    def kernel(self) -> Pair:
        return self.filters[2:]

    @property
    def pattern(self) -> tuple[tuple[int, int], int]:
        """The shape of the matrix of filters, and its groups."""
        return (self.filters[0], math.prod(self.filters[1:])), self.groups

    def unfolded(self, x: NDArray[Any]) -> Tensor:
        """Patches of images, shape (N, C * kh * kw, pixels of the output)."""
        columns: Tensor = functional.unfold(torch.from_numpy(x), self.kernel, self.dilation, self.padding, self.stride)
        return columns


def _out_size(size: Sequence[int], geometry: Geometry) -> Sequence[int]:
    n = geometry
    spatial = [
        (size[2 + axis] + 2 * n[6 + axis] - n[8 + axis] * (n[2 + axis] - 1) - 1) // n[4 + axis] + 1 for axis in (0, 1)
    ]
    return (size[0], n[0], *spatial)


def _forward(
    x: NDArray[Any], values: NDArray[Any], positions: Tensor, geometry: Geometry, bias: NDArray[Any] | None
) -> NDArray[Any]:
    windows = _Windows.of(geometry)
    W = packed(positions, values, *windows.pattern)
    return conv2d(
        x, W, windows.kernel, stride=windows.stride, padding=windows.padding, dilation=windows.dilation, bias=bias
    )


def _to_input(
    dy: NDArray[Any], values: NDArray[Any], positions: Tensor, geometry: Geometry, size: Sequence[int]
) -> NDArray[Any]:
    windows = _Windows.of(geometry)
    W = packed(positions, values, *windows.pattern)
    columns = _core.matmul(W.T, dy.reshape(*dy.shape[:2], -1))
    image = (int(size[2]), int(size[3]))
    dx = functional.fold(
        torch.from_numpy(columns), image, windows.kernel, windows.dilation, windows.padding, windows.stride
    )
    return np.asarray(dx.numpy())


def _to_values(dy: NDArray[Any], x: NDArray[Any], positions: Tensor, geometry: Geometry) -> NDArray[Any]:
    windows = _Windows.of(geometry)
    W = pattern(positions, *windows.pattern)
    columns = windows.unfolded(x).transpose(1, 2).flatten(0, 1).numpy()
    of_filters = np.moveaxis(dy, 1, 0).reshape(dy.shape[1], -1)
    return _core.sampled_values(W, as_compute(of_filters, dy.dtype), as_compute(columns, dy.dtype))


_operator = define("sparse_conv2d", Bilinear(_forward, _to_input, _to_values, _out_size, features=1))


def _pair(value: Any, name: str, least: int) -> Pair:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(n, int) and n >= least for n in pair):
        raise ValueError(f"{name}={value!r}: use an integer of at least {least}, or two of them")
    return pair


def sparse_conv2d(
    x: Tensor,
    values: Tensor,
    positions: Tensor,
    filter_shape: tuple[int, int, int, int],
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution whose filters are values on a fixed pattern, with gradients.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    values, positions
        As `sparse_linear`; positions are those in ``weight.flatten()``.
    filter_shape : (int, int, int, int)
        (M, C / groups, kh, kw) of the weight.
    bias : Tensor, shape (M,), optional
    stride, padding, dilation, groups
        As `torch.nn.functional.conv2d`; padding in numbers.

    Returns
    -------
    Tensor, shape (N, M, H', W')

    Raises
    ------
    TypeError, ValueError
        As `sparse_linear`.

    Notes
    -----
    Time is O(nnz * N * H' * W'), forward and for each gradient. The gradients write patches of images out ("im2col"):
    C * kh * kw * H' * W' entries for each image.

    Examples
    --------
    >>> import torch
    >>> import complsparse as cs
    >>> positions = cs.torch.positions_of([[[[0, 1], [1, 0]]]])
    >>> x = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> cs.torch.sparse_conv2d(x, torch.tensor([1.0, 2.0]), positions, (1, 1, 2, 2))
    tensor([[[[ 7., 10.],
              [16., 19.]]]])
    """
    check_devices("sparse_conv2d", x=x, values=values, positions=positions, bias=bias)
    check_values(values, positions)
    filters = tuple(filter_shape)
    if len(filters) != 4 or x.ndim != 4:
        raise ValueError(f"x of shape {tuple(x.shape)} and filters of shape {filters}: both need 4 axes")
    if groups < 1 or filters[0] % groups or x.shape[1] != filters[1] * groups:
        raise ValueError(
            f"x has {x.shape[1]} channels; filters of shape {filters} in groups={groups} need {filters[1] * groups}, "
            "and as many filters in each group"
        )
    if bias is not None and bias.shape != (filters[0],):
        raise ValueError(f"bias has shape {tuple(bias.shape)}; it needs one entry per filter: ({filters[0]},)")
    strides, before, dilations = (
        _pair(stride, "stride", 1),
        _pair(padding, "padding", 0),
        _pair(dilation, "dilation", 1),
    )
    y: Tensor = _operator(x, values, positions, [*filters, *strides, *before, *dilations, groups], bias)
    return y
