# SPDX-License-Identifier: BSD-3-Clause
"""A convolution bound to filters and to the shape of its input."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._conv.layouts import writable_in_place
from complsparse._operands import check_out, is_direct
from complsparse._ops.winners import Winners

_CACHE_LINE = 64


class Expected(NamedTuple):
    """What a plan for winners was made for."""

    winners: int  # of a vector, about
    axis: int | tuple[int, ...]  # of the channels, or all axes of an image


class ConvPlan:
    """``f(x, out=y)``: made by `ComplementaryMatrix.plan_conv2d`.

    Holds the workspace that its calls use, so that none of them allocates anything but its result (and winners that are
    written out). Two threads need a plan each: a call while another one runs raises RuntimeError.
    """

    __slots__ = ("_activation", "_bias", "_busy", "_convolution", "_expected", "_workspace", "out_shape", "x_shape")

    def __init__(
        self,
        convolution: _core.Convolution,
        images: int,
        bias: NDArray[Any] | None,
        activation: str | None,
        expected: Expected | None,
    ) -> None:
        """`expected`: x is winners, which are written out where the convolution takes arrays."""
        self._convolution, self._bias, self._activation = convolution, bias, activation
        self._expected = expected
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
    def winners(self) -> int | None:
        """How many winners of a vector the plan was made for; None: it takes arrays."""
        return None if self._expected is None else self._expected.winners

    @property
    def axis(self) -> int | tuple[int, ...] | None:
        """Of the winners: that of the channels, or (1, 2, 3); None: it takes arrays."""
        return None if self._expected is None else self._expected.axis

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
        before = "" if self._expected is None or self._convolution.of_winners else "winners are written out; "
        return (
            f"{before}{self.microkernel}: {self._convolution.reason}; {self._convolution.layout_bytes:,} bytes of "
            f"layout, {self.workspace_bytes:,} of workspace"
        )

    def __repr__(self) -> str:
        return f"<ConvPlan of {self.x_shape} to {self.out_shape} in {self.dtype}: {self.microkernel}>"

    def __call__(self, x: NDArray[Any] | Winners, /, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if _core.is_tensor(x) or _core.is_tensor(out):
            if _core.records(x):
                raise TypeError("x requires grad, and a plan records none: pass x.detach(), or use complsparse.conv2d")
            y = self(as_array(_core.array_of(x), "x") if _core.is_tensor(x) else x, out=_core.memory_of(out))
            return _core.given_back(y, out)  # type: ignore[no-any-return]
        images = x
        if self._expected is not None:
            images = self._winners(x, self._expected)
        elif not self._convolution.reads_as_it_is(x, self.x_shape):
            images = self._array(x)
        if out is None:
            y = np.empty(self.out_shape, dtype=self.dtype)
        else:
            y = out if self._convolution.writes_as_it_is(out, self.out_shape, images) else self._output(out, images)
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("this plan is running in another thread; each thread needs a plan of its own")
        try:
            self._convolution(images, y, self._bias, self._activation, self._workspace)
        finally:
            self._busy.release()
        return y if out is None else out

    def _output(self, out: Any, images: NDArray[Any] | Winners) -> NDArray[Any]:
        """Any out that C++ can write, checked."""
        check_out(out, self.out_shape, self.dtype, [images] if isinstance(images, np.ndarray) else [])
        y = writable_in_place(out, self.dtype, self._convolution.channels_last)
        if y is None:
            raise ValueError(
                "out must be aligned, in native byte order, with strides in whole elements, and its rows of pixels "
                "must follow one another"
            )
        return y

    def _array(self, x: Any) -> NDArray[Any]:
        """x of a plan for arrays, checked."""
        if isinstance(x, Winners):
            raise TypeError(
                "x is Winners; the plan was made for arrays: plan_conv2d(winners=...) makes one for winners"
            )
        if not isinstance(x, np.ndarray):
            raise TypeError(f"a plan takes a numpy array or a tensor, not {type(x).__name__}")
        images: NDArray[Any] = as_array(x, "x")  # refuses masks
        self._check(images)
        if not is_direct(images):
            raise ValueError("x must be aligned, in native byte order, with strides in whole elements")
        return images

    def _winners(self, x: Any, expected: Expected) -> NDArray[Any] | Winners:
        """x of a plan for winners, checked; an array where the convolution wants one."""
        if not isinstance(x, Winners):
            raise TypeError(
                f"x is of type {type(x).__name__}; the plan was made for Winners (winners={expected.winners})"
            )
        self._check(x)
        if x.axis != expected.axis:
            raise ValueError(f"x has winners along axis {x.axis}; the plan expects them along axis {expected.axis}")
        return x if self._convolution.of_winners else x.toarray()

    def _check(self, x: Any) -> None:
        if x.dtype != self.dtype:
            raise TypeError(f"x has dtype {x.dtype}; the plan computes in {self.dtype}")
        if x.shape != self.x_shape:
            raise ValueError(f"x has shape {x.shape}; the plan expects {self.x_shape}")
