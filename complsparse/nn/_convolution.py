# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions with sparse or dense filters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from complsparse._conv.bound import Bound, bind_filters
from complsparse._conv.conv import conv1d, conv2d, convolution, of_winners
from complsparse._conv.geometry import widened
from complsparse._matrix.makers import from_filters
from complsparse._operands import checked_activation
from complsparse.nn._layer import Layer, checked_vector
from complsparse.nn._values import Spec
from complsparse.nn._weights import checked_weights, dense_weights, scaled_rows

if TYPE_CHECKING:
    from complsparse._quantized.requantize import Ending
    from complsparse._typing import Activation
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value
    from complsparse.nn._pools import MaxPool2d


# Filters of one pattern share loads: from this share of non-zeros on that saves more than zeros cost (0.42 where
# 24 filters of 3 x 3 go over three channels of 224 x 224 on Granite Rapids).
_LEAST_STORED = 0.5
# Dense filters of up to so many weights, on images of at least so many pixels, are faster as filters that are packed.
_MOST_PACKED, _LEAST_PIXELS = 1 << 17, 128


class _Filters(Layer):
    """Filters that slide over images, of real numbers or of integers."""

    axes: ClassVar[int]
    W: Any
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: int
    layout: Any

    @property
    def multiplications(self) -> int:
        return self.W.size if isinstance(self.W, np.ndarray) else int(self.W.nnz)

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        return self.multiplications * (output.size // max(1, int(self.W.shape[0])))

    def _bound(self, shape: tuple[int, ...], padding: Any = None) -> tuple[Bound, tuple[int, ...]]:
        """For images of this shape; with the layer's padding, or another."""
        rows, *others = self.W.shape
        filters = self.W.shape if self.W.ndim > 2 else getattr(self.W, "filter_shape", None)
        return bind_filters(
            (1, *shape), (rows, math.prod(others)), filters, self.axes, self.kernel_size, self.stride,
            self.padding if padding is None else padding, self.dilation, self.groups, self.layout, type(self).__name__,
        )  # fmt: skip

    def infer(self, *inputs: Spec) -> Spec:
        return Spec(self._bound(inputs[0].shape)[1])


class _Convolution(_Filters):
    default_layout: ClassVar[str]

    def __init__(
        self,
        W: Any,
        kernel_size: Any = None,
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: Any = None,
        activation: Activation | None = None,
        layout: str | None = None,
    ) -> None:
        self.W = checked_weights(W, 2, self.axes + 2)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.groups = groups
        self.bias = checked_vector(bias, "bias", self.W.shape[0])
        self.activation = checked_activation(activation, np.dtype(np.float32))
        self.layout = self.default_layout if layout is None else layout

    def arguments(self) -> dict[str, Any]:
        return {
            "W": self.W, "kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding,
            "dilation": self.dilation, "groups": self.groups, "bias": self.bias, "activation": self.activation,
            "layout": self.layout,
        }  # fmt: skip

    def _sparse(self, bound: Bound) -> Any:
        """The filters as a ComplementaryMatrix, also of dense ones."""
        if not isinstance(self.W, np.ndarray):
            return self.W
        kernel = bound.geometry.kernel[2 - self.axes :]
        filters = self.W.reshape(self.W.shape[0], bound.channels // bound.groups, *kernel)
        if np.count_nonzero(filters) <= _LEAST_STORED * filters.size:
            return from_filters(filters)
        whole = from_filters(np.ones_like(filters))
        csr = whole.tocsr()
        csr.data = filters.ravel().copy()
        return whole.with_values(csr)

    def apply(self, *inputs: Any) -> Any:
        bound, _ = self._bound(inputs[0].shape[1:])
        given = {**self.arguments(), "kernel_size": bound.geometry.kernel[2 - self.axes :]}
        del given["W"]
        return (conv2d if self.axes == 2 else conv1d)(inputs[0], self._sparse(bound), **given)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        return self.emit_pooled(builder, inputs[0], None)

    def emit_pooled(self, builder: Builder, x: Value, pool: MaxPool2d | None) -> Value:
        """And the pool behind it: in the same step, where the convolution takes one."""
        bound, out = self._bound(x.spec.shape)
        pays = np.size(self.W) <= _MOST_PACKED and math.prod(bound.geometry.out) >= _LEAST_PIXELS
        if isinstance(self.W, np.ndarray) and self.groups == 1 and not pays:
            y = self._emit_gemm(builder, builder.dense(x), bound, out)
        elif (
            isinstance(self.W, np.ndarray)
            and self.groups == bound.channels
            and (not bound.channels_last or len(self.W) == bound.channels)
        ):
            y = self._emit_depthwise(builder, builder.dense(x), bound, out)
        else:
            W = self._sparse(bound)
            found = convolution_of_winners(W, bound, builder.dtype, x, builder)
            if found is None:
                x = builder.dense(x)
                found = convolution(W, bound, builder.dtype)
            return emit_convolution(builder, found, x, Spec(out), pool, self._bias(builder), self.activation)
        return y if pool is None else pool.emit(builder, y)

    def _emit_gemm(self, builder: Builder, x: Value, bound: Bound, out: tuple[int, ...]) -> Value:
        y = builder.new(Spec(out))
        filters = np.ascontiguousarray(self.W.reshape(self.W.shape[0], -1), dtype=builder.dtype)
        step = builder.program.dense_convolution(
            builder.blas, filters, bound.problem[0], bound.geometry.sliding, bound.channels_last, self._bias(builder),
            self.activation, x.number, y.number,
        )  # fmt: skip
        builder.step("gemm", step, [x], y)
        return y

    def _emit_depthwise(self, builder: Builder, x: Value, bound: Bound, out: tuple[int, ...]) -> Value:
        y = builder.new(Spec(out))
        filters = self.W.reshape(len(self.W), -1)
        filters = np.ascontiguousarray(filters.T if bound.channels_last else filters, dtype=builder.dtype)
        step = builder.program.depthwise(
            filters, bound.problem[0], len(self.W), bound.geometry.sliding, bound.channels_last, self._bias(builder),
            self.activation, x.number, y.number,
        )  # fmt: skip
        builder.step("depthwise", step, [x], y)
        return y

    def _bias(self, builder: Builder) -> Any:
        return None if self.bias is None else self.bias.astype(builder.dtype)

    def scaled(self, factor: Any, summand: Any) -> Any:
        """The layer followed by ``y * factor + summand`` of each output."""
        W, bias = scaled_rows(self.W, self.bias, factor, summand)
        return self.with_arguments(W=W, bias=bias)

    def padded(self, before: tuple[int, ...], after: tuple[int, ...]) -> Any:
        """The layer on images that have so many pixels less around them, which are zero; None where padding is a rule
        that depends on their size. Of each axis of the images, the batch and the channels among them."""
        at = [axis for axis in range(self.axes + 2) if axis not in (0, self.channel)]
        padding = widened(self.padding, tuple(before[i] for i in at), tuple(after[i] for i in at))
        return None if padding is None else self.with_arguments(padding=padding)

    @property
    def channel(self) -> int:
        """Of the result: the axis of the channels."""
        return 1 if self.layout in ("NCHW", "NCL") else self.axes + 1

    def to_dense(self) -> Any:
        return self.with_arguments(W=dense_weights(self.W))


def emit_convolution(
    builder: Builder,
    found: Any,
    x: Value,
    out: Spec,
    pool: MaxPool2d | None,
    bias: Any = None,
    activation: str | None = None,
    pad: int = 0,
    ending: Ending | None = None,
) -> Value:
    """A convolution with sparse filters, and the pool behind it: in the same step, where it takes one.

    `pad`: what lies around images of integers. `ending`: what is to become of their sums, which it does in the same
    step where that can be; the dtype of the value tells.
    """
    window = (pool and pool.window(out.shape)) or (1, 1)
    if window != (1, 1) and not found.pools(window):
        window = (1, 1)
    joined = pool is not None and window != (1, 1)
    spec = pool.infer(out) if pool is not None and joined else out
    of_8_bits: tuple[Any, Any] = (None, None)
    if ending is not None and found.requantizes and (pool is None or joined):
        spec = spec._replace(dtype=ending.dtype)
        of_8_bits = (ending.dtype, (ending.bias, *ending.factors))
    y = builder.new(spec)
    step = builder.program.convolution(
        found, bias, activation, x.winners if found.of_winners else x.number, y.number, window, pad, *of_8_bits
    )
    # Images of one pixel are the columns of one product, whose bits depend on how many there are.
    pixels = found.out_shape[:2] if found.channels_last else found.out_shape[1:]
    one_pixel = pixels == (1, 1) and not found.of_winners
    parts = [found.microkernel, *["pool"] * joined, *["requantize"] * (of_8_bits[0] is not None)]
    builder.step(" + ".join(parts), step, [x], y, whole_batch=one_pixel)
    return y if joined or pool is None else pool.emit(builder, y)


def convolution_of_winners(
    W: Any, bound: Bound, dtype: np.dtype[Any], x: Value, builder: Builder, written_out: float = math.inf
) -> Any:
    """The convolution of the winners alone, where they need not be written out and that pays; else None.

    `written_out`: what it costs otherwise, in cycles, where that could be less than in this dtype.
    """
    if x.spec.is_dense or builder.deterministic:
        return None
    of_image = x.spec.axis != (len(x.spec.shape) if bound.channels_last else 1)
    if of_image and not isinstance(x.spec.axis, tuple):
        return None
    found = of_winners(W, bound, dtype, of_image)
    return found.convolution if found.pays(x.spec.vectors * x.spec.most, 1, written_out) else None


class Conv2d(_Convolution):
    """`complsparse.conv2d` with the filters W.

    Parameters
    ----------
    W : ComplementaryMatrix or ndarray
        Filters as `complsparse.from_filters` makes them; or an array of shape (M, C / groups, kh, kw), or of two axes
        with `kernel_size`, for a dense layer: large filters, and images of few pixels, run on the BLAS that SciPy
        brings.
    kernel_size, stride, padding, dilation, groups, bias, activation, layout
        As for `complsparse.conv2d`.
    """

    axes, default_layout = 2, "NCHW"


class Conv1d(_Convolution):
    """`complsparse.conv1d` with the filters W; the rest as `Conv2d`."""

    axes, default_layout = 1, "NCL"
