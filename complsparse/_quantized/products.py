# SPDX-License-Identifier: BSD-3-Clause
"""qlinear and qconv2d: layers whose weights and activations have 8 bits."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.bound import bind
from complsparse._conv.conv import convolution as convolution_of
from complsparse._conv.layouts import four_axes, written_out
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._operands import as_compute, check_out, is_direct
from complsparse._ops.products import STRIP_ENTRIES, result_shape
from complsparse._ops.winners import Winners
from complsparse._quantized.requantize import ending_of
from complsparse._typing import ImageLayout

Cut = Literal["relu", "relu6"]

_STRIP_ENTRIES = 2**17  # of x and of the sums, together: they stay in L2


def _output(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: list[Any]) -> NDArray[Any]:
    """Contiguous memory for the outputs: `out` itself where it is."""
    if out is None:
        return np.empty(shape, dtype)
    check_out(out, shape, dtype, [array for array in inputs if isinstance(array, np.ndarray)])
    y: NDArray[Any] = out.view(np.ndarray)
    return y if y.flags.c_contiguous and is_direct(y) else np.empty(shape, dtype)


def _returned(y: NDArray[Any], out: Any) -> NDArray[Any]:
    if out is None:
        return y
    if not np.may_share_memory(y, out):
        out[...] = y
    return out  # type: ignore[no-any-return]


def qlinear(
    xq: Any,
    Wq: ComplementaryMatrix,
    *,
    x_scale: float,
    x_zero_point: int = 0,
    bias: Any = None,
    activation: Cut | None = None,
    out_scale: float | None = None,
    out_zero_point: int = 0,
    out_dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """A linear layer on 8-bit numbers, in integers throughout: ``activation(x @ W.T + bias)``.

    Parameters
    ----------
    xq : array_like of uint8 or int8, or Winners, shape (..., K)
        Activations: ``x = x_scale * (xq - x_zero_point)``. What winners leave out is the number 0.
    Wq : ComplementaryMatrix, shape (M, K)
        Weights of `quantize`.
    x_scale : float
    x_zero_point : int
        Every number of xq's dtype is exact: its share of the sums is known beforehand.
    bias : array_like, shape (M,), optional
        In real units; rounded once to an integer, in units of ``x_scale * Wq.scale``.
    activation : None, "relu" or "relu6"
        They cut off outputs. The others need real numbers.
    out_scale : float, optional
        Of 8-bit results: ``y = out_scale * (yq - out_zero_point)``.
    out_zero_point : int
    out_dtype : {uint8, int8, float32}, optional
        With `out_scale` that of xq unless given; without it float32.
    out : ndarray, shape (..., M), optional
        Where the result is written: exactly its dtype, writeable, sharing no memory with an input.

    Returns
    -------
    ndarray, shape (..., M)

    Raises
    ------
    ValueError
        A scale or zero point that is wrong, by name: NaN, zero, negative, not a single number, out of range. A row
        whose sums could leave int32, whatever the activations are. Shapes that do not match.
    TypeError
        W without a scale, other dtypes, an activation that needs real numbers.

    Notes
    -----
    With ``f = x_scale * Wq.scale / out_scale`` as ``multiplier / 2**shift``, an int32 and a shift for each row, an
    8-bit result is ``int64(sum + bias) * multiplier``, shifted right with rounding half to even, plus
    `out_zero_point`, saturated: the same bits for every ISA level and number of threads, and those of
    ``complsparse/arith.hpp``. A float32 result is ``(sum + bias) * x_scale * Wq.scale``, computed in float64 and
    rounded once. Time is that of the product; sums exist a strip of the batch at a time.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> Wq = cs.quantize(cs.from_dense(np.array([[0.5, 0, -1.27], [0, 2.54, 0]])))
    >>> xq, scale, zero_point = cs.quantize_activations(np.array([-0.5, 0.0, 2.05]))
    >>> cs.qlinear(xq, Wq, x_scale=scale, x_zero_point=zero_point).round(3)
    array([-2.854,  0.   ], dtype=float32)
    >>> cs.qlinear(xq, Wq, x_scale=scale, x_zero_point=zero_point, out_scale=0.02, out_zero_point=128, bias=[1.0, 1.0])
    array([ 35, 178], dtype=uint8)
    """
    numbers = (x_scale, x_zero_point, activation, out_scale, out_zero_point, out_dtype)
    known = _core.known_qlinear(Wq, xq, bias, out, numbers)
    if known is not None:
        return known
    x = xq if isinstance(xq, Winners) else as_array(xq, "xq")
    ending = ending_of(Wq, x.dtype, "qlinear", bias, numbers)
    shape = result_shape(x, Wq, "linear")
    y = _output(out, shape, ending.dtype, [x, bias])
    flat = y.reshape(-1, Wq.shape[0]) if y.size else y.reshape(0, Wq.shape[0])
    if isinstance(x, Winners):
        ending.write(_core.linear(x, Wq).reshape(flat.shape), flat, by_column=True)
        return _returned(y, out)
    vectors = x.reshape(len(flat), Wq.shape[1])
    if ending.dtype != np.float32 and _core.requantized_linear(Wq, vectors, flat, ending.folded):
        _core.keep_call(Wq, vectors, bias, numbers, ending.dtype, ending.folded)
        return _returned(y, out)
    step = min(max(_STRIP_ENTRIES // max(sum(Wq.shape), 1) // 64 * 64, 64), len(flat))
    # Memory that all strips share: fresh memory would cost more than the product.
    sums = np.empty((step, Wq.shape[0]), dtype=np.int32)
    for first in range(0, len(flat), max(step, 1)):
        part = vectors[first : first + step]
        _core.linear(part, Wq, out=sums[: len(part)])
        ending.write(sums[: len(part)], flat[first : first + step], by_column=True)
    return _returned(y, out)


def qconv2d(
    xq: Any,
    Wq: ComplementaryMatrix,
    kernel_size: Any = None,
    *,
    x_scale: float,
    x_zero_point: int = 0,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: Any = None,
    activation: Cut | None = None,
    layout: ImageLayout = "NCHW",
    out_scale: float | None = None,
    out_zero_point: int = 0,
    out_dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Convolution of 8-bit images, in integers throughout.

    Parameters
    ----------
    xq : array_like of uint8 or int8, shape (N, C, H, W), or (N, H, W, C) with ``layout="NHWC"``
        Images: ``x = x_scale * (xq - x_zero_point)``. Padding is real zeros: the number `x_zero_point`.
    Wq : ComplementaryMatrix, shape (M, C / groups * kh * kw)
        Filters of `quantize`.
    kernel_size, stride, padding, dilation, groups, layout
        As `complsparse.conv2d`.
    x_scale, x_zero_point, bias, activation, out_scale, out_zero_point, out_dtype, out
        As `complsparse.qlinear`.

    Returns
    -------
    ndarray, shape (N, M, H', W') or (N, H', W', M)

    Raises
    ------
    ValueError, TypeError
        As `complsparse.conv2d` and `complsparse.qlinear`.

    Notes
    -----
    Four channels of a pixel are multiplied as one: images whose channels lie together, in fours, are read as they are.
    Sums exist a tile at a time, or some images at a time for float32 results.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> Wq = cs.quantize(cs.from_filters(np.array([[[[0.0, 1.27], [2.54, 0.0]]]])))
    >>> x = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    >>> cs.qconv2d(x, Wq, x_scale=1.0, out_scale=0.5)
    array([[[[18, 25],
             [41, 48]]]], dtype=uint8)
    """
    numbers = (x_scale, x_zero_point, activation, out_scale, out_zero_point, out_dtype)
    window = (kernel_size, stride, padding, dilation, groups, layout)
    known = _core.known_qconv2d(Wq, xq, bias, out, (*numbers, *window))
    if known is not None:
        return known
    x = as_array(written_out(xq), "xq")
    ending = ending_of(Wq, x.dtype, "qconv2d", bias, numbers)
    bound, image = bind(x.shape, Wq, 2, *window, "qconv2d")
    y = _output(out, (x.shape[0], *image), ending.dtype, [x, bias])
    geometry, last = bound.geometry, bound.channels_last
    convolution = convolution_of(Wq, bound, x.dtype)
    images, to = four_axes(as_compute(x, x.dtype), last), four_axes(y, last)
    if ending.dtype != np.float32 and convolution.requantizes:
        convolution(images, to, None, None, pad=ending.x_zero_point, ending=ending.folded)
        known_as = (*numbers, *window), ending.dtype, ending.folded
        _core.keep_call(Wq, images, bias, *known_as, convolution, y.shape, ending.x_zero_point)
        return _returned(y, out)
    step = max(STRIP_ENTRIES // max(math.prod(image) + math.prod(x.shape[1:]), 1), 1)
    sums = np.empty((min(step, len(x)), *image), dtype=np.int32)
    features, pixels = Wq.shape[0], math.prod(geometry.out)
    for first in range(0, len(x), step):
        part = images[first : first + step]
        done = sums[: len(part)]
        convolution(part, four_axes(done, last), None, None, pad=ending.x_zero_point)
        rows_and_cols = (len(part) * pixels, features) if last else (len(part) * features, pixels)
        ending.write(done.reshape(rows_and_cols), y[first : first + step].reshape(rows_and_cols), by_column=last)
    return _returned(y, out)
