# SPDX-License-Identifier: BSD-3-Clause
"""Sequential and Graph: networks of layers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from numpy.typing import ArrayLike, DTypeLike

from complsparse._dtypes import as_dtype
from complsparse.nn._compare import Comparison, compare
from complsparse.nn._compiled import Compiled
from complsparse.nn._graph_layers import Constant, Item
from complsparse.nn._integers import QuantizedLayer
from complsparse.nn._layer import Layer
from complsparse.nn._passes import Node
from complsparse.nn._quantize import numbers_of, quantized
from complsparse.nn._report import Profile, profile, summary
from complsparse.nn._saved import save


class Handle(NamedTuple):
    """A value of a `Graph`, to be given to other layers."""

    graph: int
    number: int


class Net(Compiled):
    """What `Sequential` and `Graph` have in common; a network is called with arrays whose first axis is the batch.

    Layers are compiled into a plan on the first call with a new shape; batch norms and activations then become part of
    the products before them. The result is that of the layers one by one.
    """

    def summary(self, *x_shapes: Any) -> str:
        """A table of the layers for inputs of these shapes: results, weights and multiplications of a sample.

        Returns
        -------
        str
        """
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
        found = profile(self, xs, seconds)
        if plot is not None:
            found.plot(plot)
        return found

    def quantize(self, calibration: Any, *, method: str | tuple[str, float] = "minmax") -> Graph:
        """The network in integers of 8 bits.

        Batch norms become part of the weights before them. Weights become int8 with a scale for each row
        (`complsparse.quantize`), biases int32. What flows between layers has one scale and one zero point for each
        value: uint8 about zero where it is never negative, as behind ReLU; int8 about zero where `KWinners` chooses
        among both signs, because what it leaves out is the number 0; else uint8 with a zero point. Pools, contests,
        Flatten, Concat and cuts work on these integers. Layers that need real numbers stay as they are, between
        `Dequantize` and `Quantize`; so do the input and what comes out.

        Parameters
        ----------
        calibration : ndarray, or iterable of ndarray or of tuples of them
            Samples of the input, with their batch axis; batches of them; of networks with several inputs a tuple for
            each batch. They say how far values reach.
        method : "minmax" or ("percentile", p)
            As for `complsparse.quantize_activations`; percentiles are right to within one part in 128.

        Returns
        -------
        Graph
            Of `QConv2d`, `QLinear` and others, under the names of the layers that they were made of; results are
            exactly those of `complsparse.qconv2d`, `complsparse.qlinear` and the other functions, one after the other.
            ``float_network`` is this network, ``float_layers`` names what stayed in floating point.

        Raises
        ------
        ValueError
            A calibration without samples, or of another shape; values that are not finite; sums that could leave
            int32.
        TypeError
            The network is quantised already; a calibration that holds no arrays.

        Notes
        -----
        Dense weights are packed with all their zeros. Files hold the integers, without the `float_network`.

        Examples
        --------
        >>> import numpy as np
        >>> import complsparse as cs
        >>> net = cs.nn.Sequential([cs.nn.Linear(cs.random((8, 16), density=0.25, rng=0)), cs.nn.KWinners(3)])
        >>> x = np.random.default_rng(0).standard_normal((100, 16))
        >>> small = net.quantize(x)
        >>> small.names, small.layers[1].W.dtype
        (['x.quantize', '0', '1'], dtype('int8'))
        """
        made = Graph()
        quantized(self, calibration, method, made)
        made.float_network = self
        return made

    @property
    def float_layers(self) -> list[str]:
        """Names of the layers that compute in floating point: of a quantised network those that stayed so."""
        numbers = numbers_of(self._nodes)
        return [
            node.name
            for node, of in zip(self._nodes, numbers, strict=True)
            if not (node.layer is None or of is not None or isinstance(node.layer, (Item, QuantizedLayer)))
        ]

    def compare(self, *xs: Any) -> Comparison:
        """What a quantised network loses against the one that it was made of, for these inputs.

        Returns
        -------
        Comparison
            Printed as a table: for each layer the signal-to-noise ratio of its result, that which it would have if only
            this layer were in integers, and how many of its integers saturate; and the share of equal decisions, which
            are the largest entries of the outputs. ``.rows`` has the numbers.

        Raises
        ------
        ValueError
            The network has no `float_network`.
        """
        return compare(self, xs)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes layers and weights to an ``.npz`` file, which `complsparse.nn.load` reads."""
        save(path, self)


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
            if not _checked(layer).takes(1) or layer.n_outputs > 1:
                raise ValueError(f"layer {i}, {layer!r}, takes several inputs, or gives several results: use a Graph")
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

    def input(self, name: str, shape: Any = None, dtype: DTypeLike | None = None) -> Handle:
        """An input; `shape` with its batch axis, None where any size will do.

        `dtype`: of integers or booleans, as indices and masks are; floating point numbers are those that the network
        computes in.
        """
        wanted = None if shape is None else tuple(None if n is None else int(n) for n in shape)
        kept = None if dtype is None else as_dtype(dtype)
        if kept is not None and kept.kind not in "fiub":
            raise TypeError(f"dtype={kept} of input {name!r}: networks take real numbers")
        kept = None if kept is None or kept.kind == "f" else kept
        self._nodes.append(Node(self._new_name(name, "input"), None, shape=wanted, dtype=kept))
        return self._handle()

    def constant(self, value: ArrayLike, name: str | None = None) -> Handle:
        """An array that layers read as they read inputs."""
        return self._append(Constant(value), (), name)

    def add(self, layer: Layer, *inputs: Handle, name: str | None = None) -> Any:
        """A layer that reads these values. Returns a value, or a tuple of them where the layer gives several."""
        made = self._append(layer, tuple(self._number(handle) for handle in inputs), name)
        if layer.n_outputs == 1:
            return made
        base = self._nodes[made.number].name
        return tuple(self._append(Item(i), (made.number,), f"{base}.{i}") for i in range(layer.n_outputs))

    def _append(self, layer: Layer, numbers: tuple[int, ...], name: str | None) -> Handle:
        if not _checked(layer).takes(len(numbers)):
            raise ValueError(f"{type(layer).__name__} takes {layer.wanted}, and {len(numbers)} were given")
        for before in (self._nodes[number].layer for number in numbers):
            several = 1 if before is None else before.n_outputs
            if isinstance(layer, Item) != (several > 1) or (isinstance(layer, Item) and not 0 <= layer.index < several):
                raise ValueError(f"{layer!r} cannot read {several} results of {before!r}")
        self._nodes.append(Node(self._new_name(name, type(layer).__name__.lower()), layer, numbers))
        return self._handle()

    def output(self, handle: Handle, name: str | None = None) -> None:
        """Makes a value an output of the network."""
        if isinstance(handle, tuple) and not isinstance(handle, Handle):
            raise TypeError("the layer gives several results: make each of them an output")
        number = self._number(handle)
        self._outputs.append((f"y{len(self._outputs)}" if name is None else str(name), number))
        self._changed()

    def __repr__(self) -> str:
        lines = []
        for node in self._nodes:
            inputs = ", ".join(self._nodes[i].name for i in node.inputs)
            kind = "" if node.dtype is None else f" {node.dtype}"
            what = f"input {node.shape}{kind}" if node.layer is None else f"{node.layer!r} of {inputs}"
            lines.append(f"  ({node.name}): {what}\n")
        outputs = ", ".join(f"{name}={self._nodes[number].name}" for name, number in self._outputs)
        return "Graph(\n" + "".join(lines) + f"  outputs: {outputs}\n)"
