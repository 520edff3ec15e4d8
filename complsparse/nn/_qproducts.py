# SPDX-License-Identifier: BSD-3-Clause
"""QLinear, QConv1d and QConv2d: products of 8-bit weights and 8-bit activations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from complsparse import _core
from complsparse._conv.conv import convolution, cost_of_writing, expected_cost
from complsparse._ops.winners import Winners
from complsparse._quantized.products import qconv2d, qlinear
from complsparse._quantized.requantize import Ending, ending_of
from complsparse.nn._convolution import _Filters, convolution_of_winners, emit_convolution
from complsparse.nn._elementwise import dense
from complsparse.nn._integers import FLOAT32, INT32, Numbers, QuantizedLayer, check_dtype, checked_8_bits
from complsparse.nn._layer import checked_vector
from complsparse.nn._values import Spec
from complsparse.nn._weights import check_features

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value
    from complsparse.nn._pools import MaxPool2d


class _Product(QuantizedLayer):
    """What becomes of sums is said by the arguments of `complsparse.qlinear`."""

    W: Any
    x_dtype: np.dtype[Any]
    ending: Ending

    def _set_ending(
        self,
        W: Any,
        name: str,
        x_dtype: Any,
        bias: Any,
        x_scale: float,
        x_zero_point: int,
        activation: str | None,
        out_scale: float | None,
        out_zero_point: int,
        out_dtype: Any,
    ) -> None:
        self.W, self.bias = W, checked_vector(bias, "bias")
        self.x_dtype = checked_8_bits(x_dtype, "x_dtype")
        self._ending: dict[str, Any] = {
            "x_scale": x_scale, "x_zero_point": x_zero_point, "activation": activation, "out_scale": out_scale,
            "out_zero_point": out_zero_point, "out_dtype": None if out_dtype is None else np.dtype(out_dtype).name,
        }  # fmt: skip
        self.ending = self._found_ending(name)

    def _found_ending(self, name: str) -> Ending:
        """Of the arguments; `name` is that of the function which words speak of."""
        return ending_of(self.W, self.x_dtype, name, self.bias, tuple(self._ending.values()))

    @property
    def _out(self) -> np.dtype[Any] | None:
        """Of the result, as a `Spec` says it."""
        return None if self.ending.dtype == np.float32 else self.ending.dtype

    def numbers_behind(self, given: Numbers | None) -> Numbers | None:
        if self._out is None:
            return None
        return Numbers(self._out, float(self._ending["out_scale"]), self.ending.zero_point)

    def _checked(self, x: Any) -> Any:
        if x.dtype != self.x_dtype:
            raise TypeError(f"x has dtype {x.dtype}; the layer was made for {self.x_dtype}")
        return x

    @property
    def multiplications(self) -> int:
        return int(self.W.nnz)

    @property
    def _sums(self) -> np.dtype[Any]:
        """That sums are computed in: float32 where it holds all of them exactly, because it has more micro-kernels."""
        return FLOAT32 if self.ending.exact_in_float32 else INT32

    def _widened(self, builder: Builder, x: Value) -> Value:
        """In the dtype of sums."""
        program = builder.program
        if x.spec.is_dense:
            y = builder.new(x.spec._replace(dtype=self._sums))
            flat = (1, 1, x.spec.size)
            step = program.widen(self.x_dtype, self._sums, flat, False, (0, 0), (0, 0), 0, x.number, y.number)
        else:
            y = builder.with_values(x, self._sums)
            step = program.widen_winners(self.x_dtype, self._sums, x.winners, y.parts[0])
        builder.step("widen", step, [x], y)
        return y

    def emit_outputs(self, builder: Builder, sums: Value, features_last: bool) -> Value:
        y = builder.new(sums.spec._replace(dtype=self._out))
        features = len(self.ending.bias)
        others = sums.spec.size // max(features, 1)
        rows_and_cols = (others, features) if features_last else (features, others)
        ending = self.ending
        step = builder.program.outputs(
            rows_and_cols,
            features_last,
            ending.bias,
            ending.dtype,
            ending.factors,
            sums.spec.dtype,
            sums.number,
            y.number,
        )
        builder.step("requantize" if self._out is not None else "outputs", step, [sums], y)
        return y


class QLinear(_Product):
    """`complsparse.qlinear`: a linear layer on 8-bit numbers, in integers throughout.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, K)
        Weights of `complsparse.quantize`.
    x_scale, x_zero_point, bias, activation, out_scale, out_zero_point, out_dtype
        As for `complsparse.qlinear`; without `out_scale` the result is real.
    x_dtype : {"uint8", "int8"}
        Of the input.

    Attributes
    ----------
    ending
        What becomes of sums: ``bias``, ``multipliers`` and ``shifts`` of each row as int32, the share of the input's
        zero point in the bias; ``zero_point``, ``least`` and ``most`` of the results, and their ``dtype``. Without
        `out_scale`: ``bias``, and ``units`` of each row.

    Raises
    ------
    ValueError, TypeError
        As `complsparse.qlinear`.
    """

    def __init__(
        self,
        W: Any,
        *,
        x_scale: float,
        x_zero_point: int = 0,
        x_dtype: Any = "uint8",
        bias: Any = None,
        activation: str | None = None,
        out_scale: float | None = None,
        out_zero_point: int = 0,
        out_dtype: Any = None,
    ) -> None:
        self._set_ending(
            W, "QLinear", x_dtype, bias, x_scale, x_zero_point, activation, out_scale, out_zero_point, out_dtype
        )

    def arguments(self) -> dict[str, Any]:
        return {"W": self.W, "bias": self.bias, "x_dtype": self.x_dtype.name, **self._ending}

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        return self.multiplications * math.prod(output.shape[:-1])

    def infer(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        check_dtype(x, self.x_dtype)
        check_features(x.shape, self.W)
        return Spec((*x.shape[:-1], self.W.shape[0]), dtype=self._out)

    def apply(self, *inputs: Any) -> Any:
        x = self._checked(inputs[0])
        if isinstance(x, Winners) and x.axis != x.ndim - 1:
            x = x.toarray()
        return qlinear(x, self.W, bias=self.bias, **self._ending)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = inputs[0]
        vectors = math.prod(x.spec.shape[:-1])
        of_winners = x.spec.axis == len(x.spec.shape)
        x = x if of_winners else builder.dense(x)
        taken = self._taken_as(builder.samples * vectors, of_winners)
        if taken != self.x_dtype:
            x = self._widened(builder, x)
        sums = builder.new(self.infer(inputs[0].spec)._replace(dtype=INT32 if taken == self.x_dtype else taken))
        plan = _core.make_plan(
            self.W, builder.samples * vectors, taken, True, None, None, False,
            winners=x.spec.most if of_winners else None,
        )  # fmt: skip
        step = builder.program.product(
            plan, builder.samples, vectors, x.winners if of_winners else x.number, sums.number
        )
        builder.step(plan.microkernel, step, [x], sums, whole_batch=True)
        return self.emit_outputs(builder, sums, True)

    def _taken_as(self, n: int, of_winners: bool) -> np.dtype[Any]:
        """The dtype in which n vectors are multiplied: their own, or that of sums, where this is expected to cost
        less."""
        if of_winners:
            return self._sums

        def cost(dtype: np.dtype[Any]) -> float:
            return float(_core.candidates(self.W, n, dtype, True)[0]["cost"])

        return min(self.x_dtype, self._sums, key=cost)


class _QConvolution(_Filters, _Product):
    default_layout: ClassVar[str]

    def __init__(
        self,
        W: Any,
        kernel_size: Any = None,
        *,
        x_scale: float,
        x_zero_point: int = 0,
        x_dtype: Any = "uint8",
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: Any = None,
        activation: str | None = None,
        layout: str | None = None,
        out_scale: float | None = None,
        out_zero_point: int = 0,
        out_dtype: Any = None,
    ) -> None:
        self._set_ending(
            W, type(self).__name__, x_dtype, bias, x_scale, x_zero_point, activation, out_scale, out_zero_point,
            out_dtype,
        )  # fmt: skip
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.groups, self.layout = groups, self.default_layout if layout is None else layout

    def _geometry(self) -> dict[str, Any]:
        return {
            "kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding, "dilation": self.dilation,
            "groups": self.groups, "layout": self.layout,
        }  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        own = {"W": self.W, "bias": self.bias, "x_dtype": self.x_dtype.name}
        return {**own, **self._geometry(), **self._ending}

    def infer(self, *inputs: Spec) -> Spec:
        check_dtype(inputs[0], self.x_dtype)
        return super().infer(*inputs)._replace(dtype=self._out)

    def apply(self, *inputs: Any) -> Any:
        x = dense(self._checked(inputs[0]))
        return qconv2d(x, self.W, bias=self.bias, **self._geometry(), **self._ending)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        return self.emit_pooled(builder, inputs[0], None)

    def emit_pooled(self, builder: Builder, x: Value, pool: MaxPool2d | None) -> Value:
        """A pool behind it takes sums: rounding keeps their order, and fewer are left for it."""
        y = self._emit_sums(builder, x, pool)
        done = self._out is not None and y.spec.dtype == self._out
        return y if done else self.emit_outputs(builder, y, self.layout[-1] == "C")

    def _emit_sums(self, builder: Builder, x: Value, pool: MaxPool2d | None) -> Value:
        """Or outputs, where the convolution makes them of its sums."""
        bound, out = self._bound(x.spec.shape)
        geometry = bound.geometry
        around = self.ending.x_zero_point if any((*geometry.before, *geometry.after)) else 0
        found = None
        if not around:
            as_bytes = expected_cost(self.W, bound, self.x_dtype) + cost_of_writing(bound)
            found = convolution_of_winners(self.W, bound, self._sums, x, builder, as_bytes)
        taken = self._sums
        if found is None:
            x = builder.dense(x)
            taken = min(self.x_dtype, taken, key=lambda dtype: expected_cost(self.W, bound, dtype))
        if taken != self.x_dtype:
            if around:
                x, bound = self._padded(builder, x, around)
                around = 0
            else:
                x = self._widened(builder, x)
        if found is None:
            found = convolution(self.W, bound, taken)
        sums = Spec(out, dtype=INT32 if taken == self.x_dtype else taken)
        joins = self._out is not None and sums.dtype == INT32 and self.ending.by_multipliers
        ending = self.ending if joins else None
        return emit_convolution(builder, found, x, sums, pool, pad=around, ending=ending)

    def _padded(self, builder: Builder, x: Value, value: int) -> tuple[Value, Any]:
        """Images in the dtype of sums, their padding written out, and the convolution that then has none."""
        bound, _ = self._bound(x.spec.shape)
        (top, left), (bottom, right), (rows, cols) = bound.geometry.before, bound.geometry.after, bound.geometry.image
        pixels = (top + rows + bottom, left + cols + right)[2 - self.axes :]
        shape = (*pixels, bound.channels) if bound.channels_last else (bound.channels, *pixels)
        y = builder.new(Spec(shape, dtype=self._sums))
        step = builder.program.widen(
            self.x_dtype, self._sums, (bound.channels, rows, cols), bound.channels_last, (top, left), (bottom, right),
            value, x.number, y.number,
        )  # fmt: skip
        builder.step("widen", step, [x], y)
        return y, self._bound(shape, padding=0)[0]


class QConv2d(_QConvolution):
    """`complsparse.qconv2d`: convolution of 8-bit images, in integers throughout.

    Parameters
    ----------
    W : ComplementaryMatrix, shape (M, C / groups * kh * kw)
        Filters of `complsparse.quantize`.
    kernel_size, stride, padding, dilation, groups, layout
        As for `complsparse.qconv2d`.
    x_scale, x_zero_point, x_dtype, bias, activation, out_scale, out_zero_point, out_dtype
        As for `QLinear`, which has the attributes of this layer too.

    Raises
    ------
    ValueError, TypeError
        As `complsparse.qconv2d`.
    """

    axes, default_layout = 2, "NCHW"


class QConv1d(_QConvolution):
    """`QConv2d` with one spatial axis; `layout` is "NCL" or "NLC"."""

    axes, default_layout = 1, "NCL"

    def apply(self, *inputs: Any) -> Any:
        x = dense(self._checked(inputs[0]))
        bound, _ = self._bound(x.shape[1:])
        windows, row = bound.geometry, 1 if bound.channels_last else 2
        y = qconv2d(
            np.expand_dims(x, row), self.W, windows.kernel, stride=windows.stride, dilation=windows.dilation,
            padding=tuple(zip(windows.before, windows.after, strict=True)), groups=self.groups, bias=self.bias,
            layout="NHWC" if bound.channels_last else "NCHW", **self._ending,
        )  # fmt: skip
        return np.squeeze(y, row)
