# SPDX-License-Identifier: BSD-3-Clause
"""Layers that stand for no operation of their own: constants, one of several results, and functions of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from complsparse.nn._array_layer import ArrayLayer
from complsparse.nn._attributes import Array
from complsparse.nn._layer import Layer

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder


class Constant(ArrayLayer):
    """An array that every call reads; floating point numbers are converted to those that the network computes in."""

    @staticmethod
    def function(*, value: Array) -> Any:
        return value

    @property
    def weights(self) -> tuple[Any, ...]:
        return ()


class Item(Layer):
    """One of several results: what `Graph.add` returns a tuple of."""

    by_sample = False

    def __init__(self, index: int) -> None:
        self.index = int(index)

    def arguments(self) -> dict[str, Any]:
        return {"index": self.index}

    def result(self, *inputs: Any) -> Any:
        return inputs[0][self.index]

    def apply(self, *inputs: Any) -> Any:
        return inputs[0][self.index]

    def emit(self, builder: Builder, *inputs: Any) -> Any:
        return inputs[0][self.index]


class Function(ArrayLayer):
    """A function of the caller's on whole arrays, as a step of a network.

    Parameters
    ----------
    fn : callable
        ``fn(*arrays)`` returns an array, or a tuple of `n_outputs`. It gets copies, and zeros while a plan is made; the
        shape of its results must follow from the shapes of what it gets.
    n_inputs, n_outputs : int

    Raises
    ------
    TypeError
        `fn` is not callable. Files cannot hold such a layer: ``net.save`` says so.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> net = cs.nn.Sequential([cs.nn.Function(np.sinc), cs.nn.ReLU()])
    >>> net(np.zeros((1, 2), dtype=np.float32))
    array([[1., 1.]], dtype=float32)
    """

    in_files = False

    @staticmethod
    def function(*arrays: Any) -> Any:
        raise NotImplementedError

    def __init__(self, fn: Callable[..., Any], n_inputs: int = 1, n_outputs: int = 1) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {type(fn).__name__}")
        self.fn, self.n_inputs, self.n_outputs = fn, int(n_inputs), int(n_outputs)

    def arguments(self) -> dict[str, Any]:
        return {"fn": self.fn, "n_inputs": self.n_inputs, "n_outputs": self.n_outputs}

    def takes(self, n: int) -> bool:
        return n == self.n_inputs

    @property
    def wanted(self) -> str:
        return f"{self.n_inputs} inputs"

    def _called(self, arrays: list[Any]) -> list[Any]:
        found = self.fn(*(np.array(array) for array in arrays))
        found = [found] if self.n_outputs == 1 else list(found)
        if len(found) != self.n_outputs:
            raise ValueError(f"{self.fn!r} returned {len(found)} results, not {self.n_outputs}")
        return [np.asarray(one) for one in found]
