# SPDX-License-Identifier: BSD-3-Clause
"""conv2d, conv1d, and convolutions bound to the shape of their input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.bound import Bound, bind
from complsparse._conv.layouts import four_axes, writable_in_place
from complsparse._conv.plan import ConvPlan, Expected
from complsparse._dtypes import ProductTypes, product_types
from complsparse._operands import (
    as_compute,
    check_out,
    checked_activation,
    checked_bias,
    checked_winners,
    compute_dtype,
)
from complsparse._ops.products import converted, has_late_relu, written
from complsparse._ops.vectors import as_axis, normal_axes
from complsparse._ops.winners import Winners
from complsparse._typing import Activation, ImageLayout, SignalLayout

_MOST_KEPT = 32  # convolutions of one matrix of filters


def _filters(W: Any, groups: int) -> _core.Operand:
    """Filters as they are convolved: stored by output; of groups, the entries of a group meet its channels."""
    if groups == 1 and not W._transposed:
        return W  # type: ignore[no-any-return]
    csr = W._csr()
    rows, cols = csr.shape
    of_entry = np.repeat(np.arange(rows) // (rows // groups), np.diff(csr.indptr))
    filters = _core.Operand()
    indices = (csr.indices + of_entry * cols).astype(np.int32 if cols * groups < 2**31 else np.int64)
    filters._bind(csr.indptr, indices, csr.data, (rows, cols * groups))
    return filters


def _kept(W: Any, key: Any, make: Callable[[], Any]) -> Any:
    """What was made for a geometry, once, and is kept with the filters; the oldest goes where there is too much."""
    kept: dict[Any, Any] = W.__dict__.setdefault("_convolutions", {})
    found = kept.get(key)
    if found is None:
        found = make()
        while len(kept) >= _MOST_KEPT:
            kept.pop(next(iter(kept), None), None)
        kept[key] = found
    return found


def convolution(W: Any, bound: Bound, dtype: np.dtype[Any], deterministic: bool = False) -> _core.Convolution:
    """Of dense images."""
    deterministic = deterministic or _core.get_deterministic()

    def make() -> _core.Convolution:
        return _core.make_convolution(_filters(W, bound.groups), dtype, *bound.problem, deterministic)

    return _kept(W, (bound, dtype, deterministic), make)  # type: ignore[no-any-return]


def expected_cost(W: Any, bound: Bound, dtype: np.dtype[Any]) -> float:
    """Of the convolution of an image in this dtype, in cycles."""

    def find() -> float:
        return float(_core.conv_candidates(_filters(W, bound.groups), dtype, *bound.problem)[0]["cost"])

    return _kept(W, (bound, dtype, "cost"), find)  # type: ignore[no-any-return]


def cost_of_writing(bound: Bound) -> float:
    """Of the winners of an image with their zeros, in cycles."""
    return 0.5 * bound.channels * math.prod(bound.geometry.image)


class OfWinners(NamedTuple):
    """The convolution of winners, and what it costs (in cycles) against that of images written out."""

    convolution: _core.Convolution | None  # None: winners have to be written out
    each: float = 0.0
    fixed: float = 0.0
    dense: float = 0.0

    def pays(self, winners: int, images: int, written_out: float = math.inf) -> bool:
        """Whether this costs less than images written out do: in this dtype, or one image as the caller knows."""
        cost = self.each * winners + self.fixed * images
        return self.convolution is not None and cost < min(self.dense, written_out) * images


def of_winners(W: Any, bound: Bound, dtype: np.dtype[Any], of_image: bool) -> OfWinners:
    def make() -> OfWinners:
        filters = _filters(W, bound.groups)
        cost = _core.winners_cost(filters, dtype, *bound.problem, of_image)
        if cost is None:
            return OfWinners(None)
        dense: float = _core.conv_candidates(filters, dtype, *bound.problem)[0]["cost"]
        convolution = _core.make_winners_convolution(filters, dtype, *bound.problem, of_image)
        return OfWinners(convolution, *cost, dense + cost_of_writing(bound))

    return _kept(W, (bound, dtype, "image" if of_image else "pixels"), make)  # type: ignore[no-any-return]


def _contest_of(x: _core.Compressed, channel: int) -> bool | None:
    """Whether winners are over the whole image; None where they are over neither this nor the channels of pixels."""
    if x.axis == channel:
        return False
    return True if x.axis == tuple(range(1, len(x.shape))) else None


def convolve(
    x: Any,
    W: Any,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    bias: Any,
    activation: Any,
    layout: Any,
    out: Any,
    dtype: Any,
) -> NDArray[Any]:
    if _core.is_tensor(x) or _core.is_tensor(out):
        y: Any
        window = (W, axes, kernel_size, stride, padding, dilation, groups)
        if _core.records(x) or _core.records(bias):
            y = _core.recorded("convolve", x, *window, bias, activation, layout, out, dtype)
        else:
            array = as_array(_core.array_of(x), "x") if _core.is_tensor(x) else x
            y = convolve(array, *window, _core.array_of(bias), activation, layout, _core.memory_of(out), dtype)
            y = _core.given_back(y, out)
        return y  # type: ignore[no-any-return]
    winners = x if isinstance(x, Winners) else None
    if winners is None:
        x = as_array(x, "x")
    name = f"conv{axes}d"
    if x.dtype.kind == "c":
        raise TypeError(f"x has dtype {x.dtype}; {name} takes real values: convolve x.real and x.imag")
    bound, image = bind(x.shape, W, axes, kernel_size, stride, padding, dilation, groups, layout, name)
    types: ProductTypes = product_types(W.dtype, x.dtype, dtype)
    activation = checked_activation(activation, types.compute)
    offset = checked_bias(bias, W.shape[0], types)
    shape = (x.shape[0], *image)
    if out is not None:
        inputs = [] if winners is not None else [x]
        check_out(out, shape, types.result, inputs if bias is None else [*inputs, as_array(bias, "bias")])
    run, images = _prepared(x, W, bound, types.compute)
    late_relu = has_late_relu(activation, types)
    in_place = writable_in_place(out, types.compute, bound.channels_last) if types.result == types.compute else None
    y = np.empty(shape, dtype=types.compute) if in_place is None else out
    to = four_axes(y, bound.channels_last) if in_place is None else in_place
    run(images, to, offset, None if late_relu else activation)
    return y if in_place is not None else written(converted(y, types, late_relu), out)


def _prepared(x: Any, W: Any, bound: Bound, compute: np.dtype[Any]) -> tuple[_core.Convolution, Any]:
    """The convolution, and x as it takes it: winners where that pays, else an array."""
    if isinstance(x, Winners):
        of_image = _contest_of(x, x.ndim - 1 if bound.channels_last else 1)
        if of_image is not None and x.dtype == compute and not _core.get_deterministic():
            found = of_winners(W, bound, compute, of_image)
            if found.convolution is not None and found.pays(x.nnz, x.shape[0]):
                return found.convolution, x
        x = x.toarray()
    # Integers of 8 bits as they are: their sums are of the compute dtype.
    of_8_bits = W.dtype == np.int8 and x.dtype in (np.int8, np.uint8) and compute == np.int32
    dtype = x.dtype.newbyteorder("=") if of_8_bits else compute
    return convolution(W, bound, dtype), four_axes(as_compute(x, dtype), bound.channels_last)


def plan(
    W: Any,
    x_shape: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    bias: Any,
    activation: Any,
    layout: Any,
    dtype: Any,
    deterministic: bool,
    winners: Any,
    axis: Any,
) -> ConvPlan:
    """A convolution bound to the shape of x, with a workspace of its own."""
    shape = tuple(int(n) for n in x_shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"x_shape={x_shape!r} has a negative size")
    compute = compute_dtype(W, dtype)
    bound, _ = bind(shape, W, 2, kernel_size, stride, padding, dilation, groups, layout, "plan_conv2d")
    activation = checked_activation(activation, compute)
    offset = checked_bias(bias, W.shape[0], ProductTypes(compute, compute))
    if offset is not None:
        offset = offset.copy()  # later writes to the caller's array must not change the plan
    expected = _expected(winners, axis, 3 if bound.channels_last else 1)
    found = None
    if expected is not None and not (deterministic or _core.get_deterministic()):
        found = _where_it_pays(W, bound, compute, expected)
    if found is None:
        found = convolution(W, bound, compute, deterministic)
    return ConvPlan(found, shape[0], offset, activation, expected)


def _expected(winners: Any, axis: Any, channel: int) -> Expected | None:
    """What a plan is to expect of its winners; None: it takes arrays."""
    if winners is None:
        if axis is not None:
            raise ValueError(f"axis={axis!r} is that of winners: say with winners= how many a vector has, about")
        return None
    found = channel if axis is None else as_axis(normal_axes(axis, 4))
    if found not in (channel, (1, 2, 3)):
        raise ValueError(
            f"axis={axis!r}: winners are over the channels of each pixel (axis {channel} of this layout) or over whole "
            "images (axis (1, 2, 3))"
        )
    return Expected(checked_winners(winners), found)


def _where_it_pays(W: Any, bound: Bound, compute: np.dtype[Any], expected: Expected) -> _core.Convolution | None:
    """The convolution of so many winners, unless they had better be written out."""
    of_image = isinstance(expected.axis, tuple)
    pixels = math.prod(bound.geometry.image)
    vectors, length = (1, bound.channels * pixels) if of_image else (pixels, bound.channels)
    found = of_winners(W, bound, compute, of_image)
    return found.convolution if found.pays(vectors * min(expected.winners, length), 1) else None


def conv2d(
    x: Any,
    W: Any,
    kernel_size: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: Any = None,
    activation: Activation | None = None,
    layout: ImageLayout = "NCHW",
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Convolution of images with sparse filters, as `torch.nn.functional.conv2d`.

    Parameters
    ----------
    x : array_like, Tensor or Winners, shape (N, C, H, W), or (N, H, W, C) with ``layout="NHWC"``
        Images. Dense arrays may have any strides and byte order and may be read-only. The result for a tensor is one,
        and records gradients where x or the bias require them.
    W : ComplementaryMatrix, shape (M, C / groups * kh * kw)
        Filters; columns in (channel, kernel row, kernel column) order, as `from_filters` makes them: exactly
        ``weight.reshape(M, -1)`` of a PyTorch or ONNX filter.
    kernel_size : int or (int, int), optional
        May be left out where ``W.filter_shape`` says it.
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the images. "same": as many outputs as ``ceil(size / stride)``, the odd zero behind, as ONNX's
        SAME_UPPER.
    groups : int
        Filters in equal groups, each of which sees its share of the channels.
    bias : array_like, shape (M,), optional
    activation : None or str
        As for `complsparse.matmul`.
    layout : {"NCHW", "NHWC"}
        Of x and of the result.
    out : ndarray, optional
        Where the result is written: exactly its shape and dtype, writeable, sharing no memory with an input.
    dtype : dtype, optional
        Of the result, as in `numpy.matmul`.

    Returns
    -------
    ndarray, or Tensor where x is one, shape (N, M, H', W') or (N, H', W', M)

    Raises
    ------
    ValueError
        Sizes that do not match, or an output of negative size, with the numbers.
    TypeError
        dtypes without a product; W that is no ComplementaryMatrix.

    Notes
    -----
    Time is O(nnz * N * H' * W'). Columns ("im2col") are never built: images are copied into padded strips that stay in
    the cache, in which each stored entry is an offset. Which way is taken, ``W.plan_conv2d(...).describe()`` tells. The
    result has the same bits for every number of threads. Convolutions of ``W.T`` convolve with the transposed matrix;
    they are no transposed convolutions.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_filters(np.array([[[[0.0, 1.0], [2.0, 0.0]]]]))
    >>> cs.conv2d(np.arange(9.0).reshape(1, 1, 3, 3), W)
    array([[[[ 7., 10.],
             [16., 19.]]]])
    """
    return convolve(x, W, 2, kernel_size, stride, padding, dilation, groups, bias, activation, layout, out, dtype)


def conv1d(
    x: Any,
    W: Any,
    kernel_size: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    bias: Any = None,
    activation: Activation | None = None,
    layout: SignalLayout = "NCL",
    out: NDArray[Any] | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Convolution of signals with sparse filters, as `torch.nn.functional.conv1d`.

    Parameters
    ----------
    x : array_like or Winners, shape (N, C, L), or (N, L, C) with ``layout="NLC"``
    W : ComplementaryMatrix, shape (M, C / groups * kernel size)
    padding : int, (before, after), "same" or "valid"
    kernel_size, stride, dilation, groups, bias, activation, layout, out, dtype
        As `complsparse.conv2d`, with one axis.

    Returns
    -------
    ndarray, or Tensor where x is one, shape (N, M, L') or (N, L', M)

    Raises
    ------
    ValueError, TypeError
        As `complsparse.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.from_filters(np.array([[[1.0, 0.0, -1.0]]]))
    >>> cs.conv1d(np.array([[[1.0, 2.0, 4.0, 8.0]]]), W)
    array([[[-3., -6.]]])
    """
    return convolve(x, W, 1, kernel_size, stride, padding, dilation, groups, bias, activation, layout, out, dtype)
