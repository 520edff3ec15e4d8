# SPDX-License-Identifier: BSD-3-Clause
"""max_pool2d and avg_pool2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.geometry import pool_geometry
from complsparse._conv.layouts import channel_axis, four_axes, spatial, with_channels, writable_in_place, written_out
from complsparse._dtypes import counted
from complsparse._operands import as_compute, check_out
from complsparse._ops.products import written
from complsparse._typing import ImageLayout


def _computed_in(dtype: np.dtype[Any], mean: bool) -> np.dtype[Any]:
    """The narrowest dtype that C++ has for the values; of means of integers, float64."""
    if mean and dtype.kind in "biu":
        return np.dtype(np.float64)
    wanted = np.dtype(np.uint8) if dtype.kind == "b" else counted(dtype)
    for known in sorted(_core.dtypes(), key=lambda known: known.itemsize):
        if known.kind in ("f" if wanted.kind == "f" else "iu") and np.can_cast(wanted, known):
            return known
    way = "pool x.real and x.imag" if dtype.kind == "c" else "convert it with astype(np.float32)"
    raise TypeError(f"x has dtype {dtype}, for which there are no pools; {way}")


def _pool(
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    kind: str,
    layout: Any,
    out: Any,
) -> NDArray[Any]:
    if _core.is_tensor(x) or _core.is_tensor(out):
        array = as_array(_core.array_of(x), "x") if _core.is_tensor(x) else x
        to = _core.memory_of(out)
        made = _pool(array, kernel_size, stride, padding, dilation, ceil_mode, kind, layout, to)
        return _core.given_back(made, out)  # type: ignore[no-any-return]
    name = "max_pool2d" if kind == "largest" else "avg_pool2d"
    x = as_array(written_out(x), "x")
    channel = channel_axis(layout, x.shape, 2, name)
    compute = _computed_in(x.dtype, kind != "largest")
    geometry = pool_geometry(spatial(x.shape, channel), kernel_size, stride, padding, dilation, ceil_mode)
    result = x.dtype if kind == "largest" or x.dtype.kind not in "biu" else compute
    shape = (x.shape[0], *with_channels(geometry.out, x.shape[channel], channel))
    if out is not None:
        check_out(out, shape, result, [x])
    (top, left), (bottom, right), (rows, cols) = geometry.before, geometry.after, geometry.image
    padded = (top + rows + bottom, left + cols + right)
    y = writable_in_place(out, compute, channel == 3)
    direct = y is not None
    if y is None:
        y = np.empty(shape, dtype=compute)
    _core.pool(kind, four_axes(as_compute(x, compute), channel == 3), y, geometry.sliding, padded, channel == 3)
    return out if direct else written(y.astype(result, copy=False), out)


def max_pool2d(
    x: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    layout: ImageLayout = "NCHW",
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The largest value under each window.

    Parameters
    ----------
    x : array_like or Winners, shape (N, C, H, W), or (N, H, W, C) with ``layout="NHWC"``
        Any real dtype.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The kernel's size unless given.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Never the largest; at most half of the kernel.
    dilation : int or (int, int)
    ceil_mode : bool
        Windows that reach beyond the padding behind count too, unless they meet no pixel.
    layout : {"NCHW", "NHWC"}
        Of x and of the result.
    out : ndarray, optional
        Where the result is written: exactly its shape and dtype, sharing no memory with x.

    Returns
    -------
    ndarray
        In the layout and dtype of x. A window that holds a NaN gives NaN.

    Raises
    ------
    ValueError
        Impossible geometry, naming the numbers; padding of more than half of the kernel.

    Notes
    -----
    O(N C H W kh / stride): rows are pooled first, and the columns of what they leave.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> cs.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    return _pool(x, kernel_size, stride, padding, dilation, ceil_mode, "largest", layout, out)


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    layout: ImageLayout = "NCHW",
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The mean under each window.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, layout, out
        As `complsparse.max_pool2d`.
    count_include_pad : bool
        Whether zeros of the padding count; what a window reaches beyond the padding never does.

    Returns
    -------
    ndarray
        In the layout and dtype of x; of integers float64.

    Raises
    ------
    ValueError
        As `complsparse.max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> cs.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    kind = "mean" if count_include_pad else "mean_inside"
    return _pool(x, kernel_size, stride, padding, 1, ceil_mode, kind, layout, out)
