# SPDX-License-Identifier: BSD-3-Clause
"""KWinners: activations of which only the largest stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import complsparse._core as _core
from complsparse._ops.contests import winners_wanted
from complsparse.nn._elementwise import dense
from complsparse.nn._layer import Layer
from complsparse.nn._values import Spec, checked_axis, normal_axis

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value


class KWinners(Layer):
    """The k largest entries along an axis, the others zero: `complsparse.kwta`.

    Layers behind it that can (convolutions, linear layers, Flatten) read the winners alone.

    Parameters
    ----------
    k : int or float
        How many, or their share of the entries.
    axis : int or tuple of int
        Counted with the batch axis. ``axis=1`` of images in NCHW is a contest in each pixel; all axes but the first
        are one contest in each sample.
    relu : bool
        Winners that are not above zero are dropped.
    """

    takes_integers = True

    def __init__(self, k: int | float, axis: int | tuple[int, ...] = -1, relu: bool = False) -> None:
        winners_wanted(k, 2**31 - 1)  # refuses what is no k
        if not isinstance(relu, bool):
            raise TypeError(f"relu must be a bool, not {relu!r}")
        self.k, self.relu = k, relu
        self.axis = tuple(map(checked_axis, axis)) if isinstance(axis, tuple) else checked_axis(axis)

    def arguments(self) -> dict[str, Any]:
        return {"k": self.k, "axis": self.axis, "relu": self.relu}

    def _axis(self, shape: tuple[int, ...]) -> int | tuple[int, ...]:
        if isinstance(self.axis, tuple):
            axes = tuple(sorted(normal_axis(axis, shape, "KWinners") for axis in self.axis))
            if axes != tuple(range(1, len(shape) + 1)):
                raise ValueError(
                    f"axis={self.axis} of a sample of shape {shape}: a contest is along one axis, or along all"
                )
            return axes if len(axes) > 1 else axes[0]
        return normal_axis(self.axis, shape, "KWinners")

    def infer(self, *inputs: Spec) -> Spec:
        spec = Spec(inputs[0].shape, self._axis(inputs[0].shape), dtype=inputs[0].dtype)
        return spec._replace(most=winners_wanted(self.k, spec.extents[1]))

    def apply(self, *inputs: Any) -> Any:
        x = dense(inputs[0])
        return _core.kwta(x, self.k, axis=self._axis(x.shape[1:]), relu=self.relu)

    def emit(self, builder: Builder, *inputs: Value) -> Value:
        x = builder.dense(inputs[0])
        y = builder.new(self.infer(x.spec))
        dtype = builder.dtype_of(x.spec)
        step = builder.program.contest(y.spec.extents, y.spec.most, self.relu, dtype, x.number, y.winners)
        builder.step("kwta", step, [x], y)
        return y
