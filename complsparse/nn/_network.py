# SPDX-License-Identifier: BSD-3-Clause
"""Sequential and Graph: networks of layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._dtypes import as_dtype
from complsparse._operands import as_compute
from complsparse.nn._layer import Layer
from complsparse.nn._passes import Network, Node, fused
from complsparse.nn._plan import NetPlan, Shapes, inferred

if TYPE_CHECKING:
    import os

    from complsparse.nn._report import Profile

_MOST_PLANS = 16  # kept by a network


class Handle(NamedTuple):
    """A value of a `Graph`, to be given to other layers."""

    graph: int
    number: int


class Net:
    """What `Sequential` and `Graph` have in common; a network is called with arrays whose first axis is the batch.

    Layers are compiled into a plan on the first call with a new shape; batch norms and activations then become part of
    the products before them. The result is that of the layers one by one.
    """

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._outputs: list[tuple[str, int]] = []
        self._plans: dict[Any, NetPlan] = {}
        self._compiled: Network | None = None  # what plans are made of

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
        """That the network computes in."""
        dtypes = [weights.dtype for layer in self.layers for weights in layer.weights]
        dtype: np.dtype[Any] = np.result_type(*dtypes, *given)
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
                self._compiled = fused(self._network)
            found = NetPlan(self._compiled, shapes, dtype)
            while len(self._plans) >= _MOST_PLANS:
                self._plans.pop(next(iter(self._plans), None), None)
            self._plans[key] = found
        return found

    def _changed(self) -> None:
        self._plans.clear()
        self._compiled = None

    def _arrays(self, xs: tuple[Any, ...]) -> tuple[list[Any], np.dtype[Any]]:
        arrays = [as_array(x, "x") for x in xs]
        for x in arrays:
            if x.dtype.kind not in "fiub":
                raise TypeError(f"x has dtype {x.dtype}; networks take real numbers")
        dtype = self._dtype(x.dtype for x in arrays)
        return [as_compute(x, dtype) for x in arrays], dtype

    def __call__(self, *xs: Any, out: Any = None) -> Any:
        """The output for inputs with a batch axis; several outputs are a tuple.

        An output of KWinners is `Winners`, any other an array. `out`: an array, or one for each output.
        """
        arrays, dtype = self._arrays(xs)
        return self._plan(tuple(x.shape for x in arrays), dtype)(*arrays, out=out)

    def apply(self, *xs: Any) -> Any:
        """The same, layer by layer with the functions of this package: slower, and without a plan."""
        values = self._values(*xs)
        results = [values[number] for _, number in self._outputs]
        return results[0] if len(results) == 1 else tuple(results)

    def _values(self, *xs: Any) -> list[Any]:
        """Of every node."""
        given, _ = self._arrays(xs)
        inputs = iter(given)
        values: list[Any] = []
        for node in self._nodes:
            values.append(next(inputs) if node.layer is None else node.layer(*(values[i] for i in node.inputs)))
        return values

    def summary(self, *x_shapes: Any) -> str:
        """A table of the layers for inputs of these shapes: results, weights and multiplications of a sample.

        Returns
        -------
        str
        """
        from complsparse.nn._report import summary

        return summary(self, tuple(tuple(int(n) for n in shape) for shape in x_shapes))

    def profile(self, *xs: Any, seconds: float = 0.5, plot: str | os.PathLike[str] | None = None) -> Profile:
        """Where the time of a call goes.

        Parameters
        ----------
        *xs : array_like
            Inputs, with their batch axis.
        seconds : float
            How long it measures.
        plot : path, optional
            A picture goes there (needs matplotlib).

        Returns
        -------
        Profile
            Printed as a table: for each layer its time, micro-kernel, GFLOP/s, bytes, and what share of its weights and
            of its input is not zero. ``.rows`` has the numbers.
        """
        from complsparse.nn._report import profile

        found = profile(self, xs, seconds)
        if plot is not None:
            found.plot(plot)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes layers and weights to an ``.npz`` file, which `complsparse.nn.load` reads."""
        from complsparse.nn._saved import save

        save(path, self)

    def _with_layers(self, change: Callable[[Layer], Layer]) -> Any:
        made = type(self).__new__(type(self))
        Net.__init__(made)
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
            cast = {name: value.astype(wanted) for name, value in layer.arguments().items() if hasattr(value, "dtype")}
            return layer.with_arguments(**cast)  # type: ignore[no-any-return]

        return self._with_layers(change)

    @property
    def n_weights(self) -> int:
        """Stored weights of all layers; biases are not counted."""
        return int(math.fsum(layer.multiplications for layer in self.layers))


def _checked(layer: Any) -> Layer:
    if not isinstance(layer, Layer):
        raise TypeError(f"a network is made of layers of complsparse.nn, not of {type(layer).__name__}")
    return layer


class Sequential(Net):
    """Layers one behind the other.

    Parameters
    ----------
    layers : iterable of Layer

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> W = cs.random((8, 16), density=0.25, rng=0)
    >>> net = cs.nn.Sequential([cs.nn.Linear(W), cs.nn.ReLU(), cs.nn.Softmax()])
    >>> net(np.ones((2, 16), dtype=np.float32)).shape
    (2, 8)
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self._nodes.append(Node("x", None))
        for i, layer in enumerate(layers):
            if _checked(layer).n_inputs is None:
                raise ValueError(f"layer {i}, {layer!r}, takes several inputs: use a Graph")
            self._nodes.append(Node(str(i), layer, (i,)))
        self._outputs.append(("y", len(self._nodes) - 1))

    def __len__(self) -> int:
        return len(self._nodes) - 1

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        lines = [f"  ({name}): {layer!r}\n" for name, layer in zip(self.names, self.layers, strict=True)]
        return "Sequential(\n" + "".join(lines) + ")"


class Graph(Net):
    """Layers whose inputs are any values before them: residual and branching networks.

    Examples
    --------
    >>> import numpy as np
    >>> import complsparse as cs
    >>> g = cs.nn.Graph()
    >>> x = g.input("x", (None, 16))
    >>> h = g.add(cs.nn.Linear(cs.random((16, 16), density=0.25, rng=0)), x, name="inner")
    >>> g.output(g.add(cs.nn.Add(), h, x), name="y")
    >>> g(np.ones((2, 16), dtype=np.float32)).shape
    (2, 16)
    """

    def _handle(self) -> Handle:
        self._changed()
        return Handle(id(self), len(self._nodes) - 1)

    def _number(self, handle: Any) -> int:
        if not isinstance(handle, Handle) or handle.graph != id(self):
            raise TypeError(f"a value of this graph is expected, as input() and add() return it, not {handle!r}")
        return handle.number

    def _new_name(self, name: str | None, kind: str) -> str:
        known = {node.name for node in self._nodes}
        if name is None:
            return next(made for number in itertools.count() if (made := f"{kind}_{number}") not in known)
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        if name in known:
            raise ValueError(f"there is a node called {name!r} already")
        return name

    def input(self, name: str, shape: Any = None) -> Handle:
        """An input; `shape` with its batch axis, None where any size will do."""
        wanted = None if shape is None else tuple(None if n is None else int(n) for n in shape)
        self._nodes.append(Node(self._new_name(name, "input"), None, shape=wanted))
        return self._handle()

    def add(self, layer: Layer, *inputs: Handle, name: str | None = None) -> Handle:
        """A layer that reads these values."""
        numbers = tuple(self._number(handle) for handle in inputs)
        expected = _checked(layer).n_inputs
        if len(numbers) < 2 if expected is None else len(numbers) != expected:
            wanted = "two or more inputs" if expected is None else f"{expected} input"
            raise ValueError(f"{type(layer).__name__} takes {wanted}, and {len(numbers)} were given")
        self._nodes.append(Node(self._new_name(name, type(layer).__name__.lower()), layer, numbers))
        return self._handle()

    def output(self, handle: Handle, name: str | None = None) -> None:
        """Makes a value an output of the network."""
        number = self._number(handle)
        self._outputs.append((f"y{len(self._outputs)}" if name is None else str(name), number))
        self._changed()

    def __repr__(self) -> str:
        lines = []
        for node in self._nodes:
            inputs = ", ".join(self._nodes[i].name for i in node.inputs)
            what = f"input {node.shape}" if node.layer is None else f"{node.layer!r} of {inputs}"
            lines.append(f"  ({node.name}): {what}\n")
        outputs = ", ".join(f"{name}={self._nodes[number].name}" for name, number in self._outputs)
        return "Graph(\n" + "".join(lines) + f"  outputs: {outputs}\n)"
