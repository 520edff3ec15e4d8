# SPDX-License-Identifier: BSD-3-Clause
"""Networks as nodes, and the plans that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import as_dtype
from complsparse._operands import as_compute
from complsparse.nn._constant_channels import without_constant_channels
from complsparse.nn._integers import QuantizedLayer
from complsparse.nn._layer import Layer, is_weights
from complsparse.nn._passes import Network, Node, fused
from complsparse.nn._plan import NetPlan, Shapes, inferred

_MOST_PLANS = 16  # kept by a network


def is_floating(value: Any) -> bool:
    return is_weights(value) and value.dtype.kind == "f"


def _of_dtype(value: Any, dtype: np.dtype[Any]) -> Any:
    """Floating point numbers in the one dtype that networks compute in; Winners and integers as they are."""
    return value.astype(dtype, copy=False) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _as_kept(x: Any, dtype: np.dtype[Any]) -> Any:
    if not np.can_cast(x.dtype, dtype, "same_kind"):
        raise TypeError(f"x has dtype {x.dtype}; the network takes {dtype} there")
    return x.astype(dtype, copy=False)


class Compiled:
    """Nodes, outputs, and a plan for each shape that the network was called with."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._outputs: list[tuple[str, int]] = []
        self._plans: dict[Any, NetPlan] = {}
        self._known: dict[tuple[int, ...], _core.Program] = {}  # by the shape of x, the plan of its last dtype
        self._compiled: Network | None = None  # what plans are made of
        self.float_network: Any = None  # that this one was quantised from

    @property
    def layers(self) -> list[Layer]:
        """In the order in which they were added."""
        return [node.layer for node in self._nodes if node.layer is not None]

    @property
    def names(self) -> list[str]:
        """Of the layers."""
        return [node.name for node in self._nodes if node.layer is not None]

    @property
    def _network(self) -> Network:
        if not self._outputs:
            raise ValueError("the network has no output yet")
        return Network(self._nodes, tuple(number for _, number in self._outputs))

    def _dtype(self, given: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
        """That the network computes in, or, of a quantised one, in which its real numbers are."""
        if any(isinstance(layer, QuantizedLayer) for layer in self.layers):
            return np.dtype(np.float32)
        dtypes = [*(weights.dtype for layer in self.layers for weights in layer.weights), *given]
        dtype: np.dtype[Any] = np.result_type(*dtypes) if dtypes else np.dtype(np.float32)
        if dtype.kind != "f" or dtype.itemsize < 4:
            dtype = np.result_type(dtype, np.float32)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"the network would compute in {dtype}; float32 and float64 can")
        return dtype

    def plan(self, *x_shapes: Any, dtype: DTypeLike | None = None) -> NetPlan:
        """The network compiled for inputs of these shapes.

        Parameters
        ----------
        *x_shapes : tuple of int
            Of each input, with its batch axis.
        dtype : dtype, optional
            float32 or float64; that of the weights unless given.

        Returns
        -------
        NetPlan
            ``p(x, out=y)`` computes; ``p.workspace_bytes`` and ``p.describe()`` tell how.

        Raises
        ------
        ValueError
            A layer does not fit its input; the node and both shapes are named.
        TypeError
            Another dtype.
        """
        shapes = tuple(tuple(int(n) for n in shape) for shape in x_shapes)
        if any(n < 0 for shape in shapes for n in shape):
            raise ValueError(f"shapes {', '.join(map(str, shapes))} have a negative size")
        wanted = self._dtype([] if dtype is None else [as_dtype(dtype)])
        if dtype is not None and wanted != as_dtype(dtype):
            raise TypeError(
                f"dtype={as_dtype(dtype)} cannot hold the result; with its weights the network computes in {wanted}"
            )
        return self._plan(shapes, wanted)

    def _plan(self, shapes: Shapes, dtype: np.dtype[Any]) -> NetPlan:
        key = (shapes, dtype, _core.get_deterministic())
        found = self._plans.get(key)
        if found is None:
            inferred(self._network, shapes)  # errors name the layers as they were given
            if self._compiled is None:
                self._compiled = without_constant_channels(fused(self._network))
            found = NetPlan(self._compiled, shapes, dtype)
            while len(self._plans) >= _MOST_PLANS:
                self._plans.pop(next(iter(self._plans), None), None)
            self._plans[key] = found
            if len(self._known) >= _MOST_PLANS:
                self._known.clear()
            self._known[shapes[0] if shapes else ()] = found._program
        return found

    def _changed(self) -> None:
        self._plans.clear()
        self._known.clear()
        self._compiled = None

    def _arrays(self, xs: tuple[Any, ...]) -> tuple[list[Any], np.dtype[Any]]:
        arrays = [as_array(x, "x") for x in xs]
        for x in arrays:
            if x.dtype.kind not in "fiub":
                raise TypeError(f"x has dtype {x.dtype}; networks take real numbers")
        kept = [node.dtype for node in self._nodes if node.layer is None]
        kept += [None] * (len(arrays) - len(kept))
        dtype = self._dtype(x.dtype for x, own in zip(arrays, kept) if own is None)
        return [as_compute(x, dtype) if own is None else _as_kept(x, own) for x, own in zip(arrays, kept)], dtype

    def __call__(self, *xs: Any, out: Any = None) -> Any:
        """The output for inputs with a batch axis; several outputs are a tuple.

        An output of KWinners is `Winners`, any other an array. `out`: an array, or one for each output.
        """
        if len(xs) == 1 and isinstance(xs[0], np.ndarray):
            known = self._known.get(xs[0].shape)
            if known is not None and (y := known.call(xs[0], out)) is not None:
                return y
        arrays, dtype = self._arrays(xs)
        return self._plan(tuple(x.shape for x in arrays), dtype)(*arrays, out=out)

    def apply(self, *xs: Any) -> Any:
        """The same, layer by layer with the functions of this package: slower, and without a plan."""
        values = self._values(*xs)
        results = [values[number] for _, number in self._outputs]
        return results[0] if len(results) == 1 else tuple(results)

    def _values(self, *xs: Any) -> list[Any]:
        """Of every node."""
        given, dtype = self._arrays(xs)
        inputs = iter(given)
        values: list[Any] = []
        for node in self._nodes:
            value = next(inputs) if node.layer is None else node.layer(*(values[i] for i in node.inputs))
            values.append([_of_dtype(v, dtype) for v in value] if isinstance(value, list) else _of_dtype(value, dtype))
        return values

    def _with_layers(self, change: Callable[[Layer], Layer]) -> Any:
        made = type(self).__new__(type(self))
        Compiled.__init__(made)
        made._nodes = [n if n.layer is None else n._replace(layer=change(n.layer)) for n in self._nodes]
        made._outputs = list(self._outputs)
        return made

    def to_dense(self) -> Any:
        """The same network with every zero of its weights stored: what dense libraries would compute."""
        return self._with_layers(lambda layer: layer.to_dense())

    def astype(self, dtype: DTypeLike) -> Any:
        """The same network with its weights in float32 or float64."""
        wanted = as_dtype(dtype)
        if wanted not in (np.float32, np.float64):
            raise TypeError(f"dtype={wanted}: networks compute in float32 or float64")

        def change(layer: Layer) -> Layer:
            if isinstance(layer, QuantizedLayer):
                raise TypeError("a quantised network is of 8-bit integers: convert the one that it was made of")
            cast = {name: value.astype(wanted) for name, value in layer.arguments().items() if is_floating(value)}
            return layer.with_arguments(**cast)  # type: ignore[no-any-return]

        return self._with_layers(change)

    @property
    def n_weights(self) -> int:
        """Stored weights of all layers; biases are not counted."""
        return sum(layer.multiplications for layer in self.layers)
