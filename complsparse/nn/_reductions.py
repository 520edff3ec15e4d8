# SPDX-License-Identifier: BSD-3-Clause
"""Layers that make one number of many along axes; a row each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special

from complsparse._conv.geometry import pool_geometry
from complsparse.nn._array_layer import ArrayLayer, array_layer
from complsparse.nn._attributes import Ints, Known

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

_MOST_IN_A_MEAN = 4096  # entries that one sum takes one after the other


def _reducer(name: str, words: str, reduce: Callable[..., Any]) -> Callable[..., Any]:
    """``reduce(x, axis=, keepdims=)`` as the function of a layer; its result has the dtype of x."""

    def function(
        x: Any, at: Known = None, *, axes: Ints | None = None, keepdims: bool = True, noop: bool = False
    ) -> Any:
        chosen = axes if at is None else tuple(int(axis) for axis in np.atleast_1d(at))
        if not chosen and noop:
            return x
        return np.asarray(reduce(x, axis=chosen or None, keepdims=keepdims)).astype(x.dtype, copy=False)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{words} along axes.

    Parameters
    ----------
    axes : int or tuple of int, optional
        Counted with the batch axis; all unless given. They may be a second input, which is a constant.
    keepdims : bool
        They stay, with one entry each.
    noop : bool
        No axes are none, not all.
    """
    return function


def _reduction(name: str, words: str, reduce: Callable[..., Any]) -> type[ArrayLayer]:
    return array_layer(_reducer(name, words, reduce))


def _l1(x: Any, **along: Any) -> Any:
    return np.sum(np.abs(x), **along)


def _l2(x: Any, **along: Any) -> Any:
    return np.sqrt(np.sum(np.square(x), **along))


def _sum_square(x: Any, **along: Any) -> Any:
    return np.sum(np.square(x), **along)


def _log_sum(x: Any, **along: Any) -> Any:
    return np.log(np.sum(x, **along))


ReduceSum = _reduction("ReduceSum", "The sum", np.sum)
ReduceMax = _reduction("ReduceMax", "The largest entry", np.max)
ReduceMin = _reduction("ReduceMin", "The least entry", np.min)
ReduceProd = _reduction("ReduceProd", "The product", np.prod)
ReduceL1 = _reduction("ReduceL1", "The sum of magnitudes", _l1)
ReduceL2 = _reduction("ReduceL2", "The Euclidean norm", _l2)
ReduceSumSquare = _reduction("ReduceSumSquare", "The sum of squares", _sum_square)
ReduceLogSum = _reduction("ReduceLogSum", "The logarithm of the sum", _log_sum)
ReduceLogSumExp = _reduction("ReduceLogSumExp", "``log(sum(exp(x)))``", scipy.special.logsumexp)


class ReduceMean(ArrayLayer):
    axes: Ints | None
    function = staticmethod(_reducer("ReduceMean", "The mean", np.mean))
    __doc__ = function.__doc__

    def emit(self, builder: Builder, *inputs: Value) -> Any:
        """Of the last axes, as images of one row that a pool takes whole."""
        x = builder.dense(inputs[0])
        shape = x.spec.whole
        axes = sorted({axis % len(shape) for axis in self.axes or ()}) if shape else []
        n = math.prod(shape[axis] for axis in axes)
        are_last = bool(axes) and axes[0] > 0 and axes == list(range(axes[0], len(shape)))
        if len(inputs) > 1 or x.spec.dtype is not None or not are_last or not 0 < n <= _MOST_IN_A_MEAN:
            return super().emit(builder, *inputs)
        y = builder.new(self.result(x.spec)._replace(known=None))
        channels, sliding = math.prod(shape[1 : axes[0]]), pool_geometry((1, n), (1, n), None, 0, 1, False).sliding
        step = builder.program.pool(
            "mean", builder.dtype, (channels, 1, n), (channels, 1, 1), sliding, (1, n), False, x.number, y.number
        )
        builder.step("pool", step, [x], y)
        return y


def _extreme(x: Any, find: Any, axis: int, keepdims: bool, last: bool) -> Any:
    if not last:
        return find(x, axis=axis, keepdims=keepdims).astype(np.int64)
    return x.shape[axis] - 1 - find(np.flip(x, axis), axis=axis, keepdims=keepdims).astype(np.int64)


@array_layer
def ArgMax(x: Any, *, axis: int = 0, keepdims: bool = True, last: bool = False) -> Any:
    """Where the largest entry stands along an axis; `last`: the last of several."""
    return _extreme(x, np.argmax, axis, keepdims, last)


@array_layer
def ArgMin(x: Any, *, axis: int = 0, keepdims: bool = True, last: bool = False) -> Any:
    """Where the least entry stands along an axis; `last`: the last of several."""
    return _extreme(x, np.argmin, axis, keepdims, last)


@array_layer
def CumSum(x: Any, at: Known = None, *, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """Sums of all entries up to each, along an axis, which may be a second input."""
    axis = axis if at is None else int(at)
    x = np.flip(x, axis) if reverse else x
    sums = np.cumsum(x, axis=axis, dtype=x.dtype)
    sums = sums - x if exclusive else sums
    return np.flip(sums, axis) if reverse else sums


class TopK(ArrayLayer):
    """The k largest entries along an axis, in order, and where they stand.

    Parameters
    ----------
    k : int, optional
        Unless it is a second input.
    axis : int
    largest : bool
        False: the least.
    """

    n_outputs = 2

    @staticmethod
    def function(x: Any, count: Known = None, *, k: int | None = None, axis: int = -1, largest: bool = True) -> Any:
        k = k if count is None else int(np.asarray(count).reshape(()))
        if k is None or not 0 <= k <= x.shape[axis]:
            raise ValueError(f"k={k} of {x.shape[axis]} entries along axis {axis}")
        keys = np.flip(x, axis) if largest else x
        order = np.argsort(keys, axis=axis, kind="stable")
        if largest:  # of equal ones the first
            order = np.flip(x.shape[axis] - 1 - order, axis)
        order = np.take(order, np.arange(k), axis=axis)
        return [np.take_along_axis(x, order, axis), order.astype(np.int64)]
