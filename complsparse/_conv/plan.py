# SPDX-License-Identifier: BSD-3-Clause
"""A convolution bound to filters and to the shape of its input."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.layouts import writable_in_place
from complsparse._operands import check_out, is_direct

_CACHE_LINE = 64


class ConvPlan:
    """``f(x, out=y)``: made by `ComplementaryMatrix.plan_conv2d`.

    Holds the workspace that its calls use, so that none of them allocates anything but its result. Two threads need a
    plan each: a call while another one runs raises RuntimeError.
    """

    __slots__ = ("_activation", "_bias", "_busy", "_convolution", "_workspace", "out_shape", "x_shape")

    def __init__(
        self, convolution: _core.Convolution, images: int, bias: NDArray[Any] | None, activation: str | None
    ) -> None:
        self._convolution, self._bias, self._activation = convolution, bias, activation
        self._busy = threading.Lock()
        self.x_shape: tuple[int, ...] = (images, *convolution.image_shape)
        self.out_shape: tuple[int, ...] = (images, *convolution.out_shape)
        size = convolution.workspace_bytes(images)
        memory = np.empty(size + _CACHE_LINE, dtype=np.uint8)
        first = -memory.ctypes.data % _CACHE_LINE
        self._workspace = memory[first : first + size]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of x and of the result."""
        return self._convolution.dtype

    @property
    def microkernel(self) -> str:
        """The name of the widest micro-kernel."""
        return self._convolution.microkernel

    @property
    def workspace_bytes(self) -> int:
        """Bytes that the plan holds beside the filters: padded strips and sums, for each thread."""
        return self._workspace.nbytes

    def describe(self) -> str:
        """Which way the convolution takes, and why."""
        return (
            f"{self.microkernel}: {self._convolution.reason}; {self._convolution.layout_bytes:,} bytes of layout, "
            f"{self.workspace_bytes:,} of workspace"
        )

    def __repr__(self) -> str:
        return f"<ConvPlan of {self.x_shape} to {self.out_shape} in {self.dtype}: {self.microkernel}>"

    def __call__(self, x: NDArray[Any], /, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"a plan takes a numpy array, not {type(x).__name__}")
        x = as_array(x, "x")  # refuses masks
        if x.dtype != self.dtype:
            raise TypeError(f"x has dtype {x.dtype}; the plan computes in {self.dtype}")
        if x.shape != self.x_shape:
            raise ValueError(f"x has shape {x.shape}; the plan expects {self.x_shape}")
        if not is_direct(x):
            raise ValueError("x must be aligned, in native byte order, with strides in whole elements")
        if out is None:
            y = np.empty(self.out_shape, dtype=self.dtype)
        else:
            check_out(out, self.out_shape, self.dtype, [x])
            in_place = writable_in_place(out, self.dtype, self._convolution.channels_last)
            if in_place is None:
                raise ValueError(
                    "out must be aligned, in native byte order, with strides in whole elements, and its rows of pixels "
                    "must follow one another"
                )
            y = in_place
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("this plan is running in another thread; each thread needs a plan of its own")
        try:
            self._convolution(x, y, self._bias, self._activation, self._workspace)
        finally:
            self._busy.release()
        return y if out is None else out
