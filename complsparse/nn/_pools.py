# SPDX-License-Identifier: BSD-3-Clause
"""Pools of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from complsparse._conv.geometry import Geometry, pool_geometry
from complsparse._conv.layouts import channel_axis, spatial, with_channels
from complsparse._conv.pools import avg_pool2d, max_pool2d
from complsparse.nn._elementwise import dense
from complsparse.nn._layer import Layer
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class _Pool2d(Layer):
    layout: Any

    def _channel(self, shape: tuple[int, ...]) -> int:
        return channel_axis(self.layout, (1, *shape), 2, type(self).__name__)

    def _geometry(self, shape: tuple[int, ...]) -> Geometry:
        raise NotImplementedError

    def _kind(self) -> str:
        raise NotImplementedError

    def infer(self, *inputs: Spec) -> Spec:
        shape = inputs[0].shape
        channel = self._channel(shape)
        return Spec(with_channels(self._geometry(shape).out, shape[channel - 1], channel), dtype=inputs[0].dtype)

    def work(self, inputs: tuple[Spec, ...], output: Spec) -> int:
        rows, cols = self._geometry(inputs[0].shape).kernel
        return output.size * rows * cols

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(self.infer(x.spec))
        geometry, channel = self._geometry(x.spec.shape), self._channel(x.spec.shape)
        channels = x.spec.shape[channel - 1]
        (top, left), (bottom, right), (rows, cols) = geometry.before, geometry.after, geometry.image
        step = builder.program.pool(
            self._kind(), builder.dtype_of(x.spec), (channels, rows, cols), (channels, *geometry.out), geometry.sliding,
            (top + rows + bottom, left + cols + right), channel == 3, x.number, y.number,
        )  # fmt: skip
        builder.step("pool", step, [x], y)
        return y


class MaxPool2d(_Pool2d):
    """`complsparse.max_pool2d`."""

    takes_integers = True

    def __init__(
        self,
        kernel_size: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        layout: str = "NCHW",
    ) -> None:
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.ceil_mode, self.layout = ceil_mode, layout

    def arguments(self) -> dict[str, Any]:
        return {
            "kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding, "dilation": self.dilation,
            "ceil_mode": self.ceil_mode, "layout": self.layout,
        }  # fmt: skip

    def _geometry(self, shape: tuple[int, ...]) -> Geometry:
        image = spatial((1, *shape), self._channel(shape))
        return pool_geometry(image, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def window(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """(rows, columns), where windows lie side by side and all inside of an image of this shape; else None."""
        geometry = self._geometry(shape)
        rows, cols = geometry.kernel
        within = (geometry.image[0] // rows, geometry.image[1] // cols)
        beside = geometry.stride == geometry.kernel and geometry.before == (0, 0) and geometry.out == within
        return geometry.kernel if beside and geometry.dilation == (1, 1) else None

    def _kind(self) -> str:
        return "largest"

    def apply(self, *inputs: Any) -> Any:
        return max_pool2d(inputs[0], **self.arguments())


class AvgPool2d(_Pool2d):
    """`complsparse.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        layout: str = "NCHW",
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad, self.layout = ceil_mode, count_include_pad, layout

    def arguments(self) -> dict[str, Any]:
        return {
            "kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding,
            "ceil_mode": self.ceil_mode, "count_include_pad": self.count_include_pad, "layout": self.layout,
        }  # fmt: skip

    def _geometry(self, shape: tuple[int, ...]) -> Geometry:
        image = spatial((1, *shape), self._channel(shape))
        return pool_geometry(image, self.kernel_size, self.stride, self.padding, 1, self.ceil_mode)

    def _kind(self) -> str:
        return "mean" if self.count_include_pad else "mean_inside"

    def apply(self, *inputs: Any) -> Any:
        return avg_pool2d(inputs[0], **self.arguments())


class GlobalAvgPool2d(_Pool2d):
    """The mean of each channel: images of one pixel."""

    def __init__(self, layout: str = "NCHW") -> None:
        self.layout: Any = layout

    def arguments(self) -> dict[str, Any]:
        return {"layout": self.layout}

    def _geometry(self, shape: tuple[int, ...]) -> Geometry:
        image = spatial((1, *shape), self._channel(shape))
        if 0 in image:
            raise ValueError(f"a sample of shape {shape} has no pixels")
        return pool_geometry(image, image, None, 0, 1, False)

    def _kind(self) -> str:
        return "mean"

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        channel = self._channel(x.shape[1:])
        return avg_pool2d(x, spatial(x.shape, channel), layout=self.layout)
