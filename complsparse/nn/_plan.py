# SPDX-License-Identifier: BSD-3-Clause
"""Networks compiled for the shape of their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse import _core
from complsparse._arrays import as_array
from complsparse._operands import check_out
from complsparse._ops.winners import Winners
from complsparse.nn._builder import Builder
from complsparse.nn._memory import Place, Step, Value
from complsparse.nn._passes import Network, Node
from complsparse.nn._values import Spec

Shapes = tuple[tuple[int, ...], ...]


def inferred(network: Network, shapes: Shapes) -> list[Spec]:
    """Of every node, for inputs of these shapes. ValueError naming the node and both shapes where one does not fit."""
    inputs = [node for node in network.nodes if node.layer is None]
    if len(shapes) != len(inputs):
        raise ValueError(f"the network has {len(inputs)} inputs, and {len(shapes)} were given")
    given = iter(shapes)
    specs: list[Spec] = []
    for node in network.nodes:
        if node.layer is None:
            specs.append(_input_spec(node, next(given)))
            continue
        of_inputs = [specs[i] for i in node.inputs]
        try:
            if not node.layer.takes_integers and any(spec.dtype is not None for spec in of_inputs):
                raise ValueError("it takes real numbers, as Dequantize gives them")
            specs.append(node.layer.infer(*of_inputs))
        except ValueError as error:
            seen = " and ".join(map(str, of_inputs))
            raise ValueError(f"{node.name}, {node.layer!r}, does not fit an input of {seen}: {error}") from None
    return specs


def _input_spec(node: Node, shape: tuple[int, ...]) -> Spec:
    if not shape:
        raise ValueError(f"input {node.name!r} is a scalar; the first axis is the batch")
    wanted = node.shape
    if wanted is not None and (
        len(wanted) != len(shape) or any(w is not None and w != s for w, s in zip(wanted, shape, strict=True))
    ):
        raise ValueError(f"input {node.name!r} has shape {shape}; the network was made for {wanted}")
    return Spec(shape[1:])


class NetPlan:
    """A network compiled for the shape of its inputs: ``p(x, out=y)``; made by ``net.plan``.

    All values between the layers lie in one block of memory, which is kept from call to call; calls from several
    threads at once have a block each.

    Attributes
    ----------
    dtype : dtype
        Of inputs, outputs and all between.
    x_shapes, out_shapes : tuple of tuples
        With the batch axis.
    """

    def __init__(self, network: Network, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        samples = {shape[0] for shape in shapes if shape}
        if len(samples) > 1:
            raise ValueError(f"inputs of shapes {', '.join(map(str, shapes))} have different batch sizes")
        specs = inferred(network, shapes)
        self.dtype, self.x_shapes = dtype, shapes
        self.samples = samples.pop() if samples else 0
        self._program = _core.Program(self.samples, dtype)
        self._nodes = network.nodes
        builder = Builder(self.samples, dtype, self._program)
        inputs = [i for i, node in enumerate(network.nodes) if node.layer is None]
        values: list[Value] = []
        for i, node in enumerate(network.nodes):
            builder.node = i
            if node.layer is None:
                values.append(builder.new(specs[i]))
            else:
                values.append(node.layer.emit(builder, *(values[j] for j in node.inputs)))
        outside = [values[i] for i in inputs]
        self._outputs: list[Value] = []
        for i in network.outputs:
            value = values[i]
            builder.node = i
            if value.spec.is_dense:
                if any(value.number == other.number for other in outside):
                    value = builder.copy(value)  # an array of its own
                outside.append(value)
            self._outputs.append(value)
        self.steps: list[Step] = builder.steps
        self.out_shapes: Shapes = tuple((self.samples, *value.spec.shape) for value in self._outputs)
        alone = len(inputs) == len(self._outputs) == 1 and self._outputs[0].spec.is_dense
        alone &= all(value.spec.dtype is None for value in self._outputs)
        self._places: dict[int, Place] = builder.finish(outside, (shapes[0], self.out_shapes[0]) if alone else None)

    @property
    def workspace_bytes(self) -> int:
        """Of the block that a call uses beside its arrays and the weights, on as many threads as there are now."""
        return self._program.workspace_bytes

    def describe(self) -> str:
        """The steps, one a line: node, micro-kernel, shape."""
        lines = [f"{self.samples} samples in {self.dtype}, {self.workspace_bytes:,} bytes of workspace"]
        for step in self.steps:
            node = self._nodes[step.node]
            kind = "input" if node.layer is None else type(node.layer).__name__
            lines.append(f"  {node.name} ({kind}): {step.kernel} -> {step.write.spec}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<NetPlan of {', '.join(map(str, self.x_shapes))} in {self.dtype}: {len(self.steps)} steps>"

    def _input(self, x: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"a plan takes numpy arrays, not {type(x).__name__}")
        x = as_array(x, "x")  # refuses masks
        if x.shape != shape:
            raise ValueError(f"x has shape {x.shape}; the plan expects {shape}")
        if x.dtype != self.dtype:
            raise TypeError(f"x has dtype {x.dtype}; the plan computes in {self.dtype}")
        return np.require(x, self.dtype, ["C", "A"])

    def _dtype_of(self, value: Value) -> np.dtype[Any]:
        return self.dtype if value.spec.dtype is None else value.spec.dtype

    def _out(self, out: Any, xs: tuple[Any, ...]) -> list[Any]:
        """Where dense outputs go: for each output an array, or None for winners."""
        n_outputs = len(self._outputs)
        given = [None] * n_outputs if out is None else list(out) if isinstance(out, (tuple, list)) else [out]
        if len(given) != n_outputs:
            raise ValueError(f"out has {len(given)} arrays; the network has {n_outputs} outputs")
        for array, value, shape in zip(given, self._outputs, self.out_shapes, strict=True):
            if array is None:
                continue
            if not value.spec.is_dense:
                raise TypeError("out is given for an output that is winners, which are returned")
            check_out(array, shape, self._dtype_of(value), [x for x in xs if isinstance(x, np.ndarray)])
        for i, array in enumerate(given):
            for other in given[:i]:
                if array is not None and other is not None and np.may_share_memory(array, other):
                    raise ValueError("two arrays of out share memory")
        return given

    def __call__(self, *xs: Any, out: Any = None) -> Any:
        """The network's output for inputs of the plan's shapes and dtype.

        `out`: an array, or one for each of several outputs. Several outputs are a tuple.
        """
        y = self._program.call(xs[0], out) if len(xs) == 1 else None
        return self._run(xs, out, None) if y is None else y

    def _run(self, xs: tuple[Any, ...], out: Any, times: NDArray[np.int64] | None) -> Any:
        if len(xs) != len(self.x_shapes):
            raise ValueError(f"the network has {len(self.x_shapes)} inputs, and {len(xs)} were given")
        arrays = [self._input(x, shape) for x, shape in zip(xs, self.x_shapes, strict=True)]
        given = self._out(out, xs)
        results: list[Any] = []
        winners = []
        for array, value, shape in zip(given, self._outputs, self.out_shapes, strict=True):
            if value.spec.is_dense:
                direct = array is not None and array.flags.c_contiguous and array.flags.aligned
                results.append(array if direct else np.empty(shape, self._dtype_of(value)))
                arrays.append(results[-1])
            else:
                results.append(None)
                offsets = (self._places[part].offset for part in value.parts)
                vectors, length = value.spec.vectors * self.samples, value.spec.extents[1]
                winners.append((Winners, self._dtype_of(value), *offsets, vectors, length, shape, value.spec.axis))
        made = iter(self._program.run(tuple(arrays), tuple(winners), times))
        for i, (array, result) in enumerate(zip(given, results, strict=True)):
            if result is None:
                results[i] = next(made)
            elif array is not None and array is not result:
                array[...] = result
                results[i] = array
        return results[0] if len(results) == 1 else tuple(results)
