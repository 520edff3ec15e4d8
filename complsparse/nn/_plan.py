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
from complsparse.nn._commuted import with_small_products
from complsparse.nn._layer import Layer
from complsparse.nn._memory import Place, Step, Value
from complsparse.nn._passes import Network, Node
from complsparse.nn._values import Spec
from complsparse.nn._views import with_attention

Shapes = tuple[tuple[int, ...], ...]


def inferred(network: Network, shapes: Shapes) -> list[Any]:
    """The spec of every node, or a list of them, for inputs of these shapes. ValueError naming the node and both shapes
    where one does not fit."""
    inputs = [node for node in network.nodes if node.layer is None]
    if len(shapes) != len(inputs):
        raise ValueError(f"the network has {len(inputs)} inputs, and {len(shapes)} were given")
    given = iter(shapes)
    specs: list[Any] = []
    for node in network.nodes:
        if node.layer is None:
            specs.append(_input_spec(node, next(given)))
            continue
        of_inputs = [specs[i] for i in node.inputs]
        try:
            specs.append(node.layer.result(*of_inputs))
        except ValueError as error:
            seen = " and ".join(str(spec if node.layer.by_sample else spec.whole) for spec in of_inputs)
            raise ValueError(f"{node.name}, {node.layer!r}, does not fit an input of {seen}: {error}") from None
    return specs


def _input_spec(node: Node, shape: tuple[int, ...]) -> Spec:
    wanted = node.shape
    if not shape and wanted is None:
        raise ValueError(f"input {node.name!r} is a scalar; the first axis is the batch")
    if wanted is not None and (
        len(wanted) != len(shape) or any(w is not None and w != s for w, s in zip(wanted, shape, strict=True))
    ):
        raise ValueError(f"input {node.name!r} has shape {shape}; the network was made for {wanted}")
    return (
        Spec((), dtype=node.dtype, samples=None) if not shape else Spec(shape[1:], dtype=node.dtype, samples=shape[0])
    )


def _emitted(builder: Builder, layer: Layer, spec: Any, inputs: list[Any]) -> Any:
    """What a layer gives: a value, or a list of them."""
    if layer.by_sample:
        builder.samples = spec.n_samples
        value = layer.emit(builder, *inputs)
        builder.samples = None
        return value._replace(spec=value.spec._replace(samples=spec.samples, known=None))
    if isinstance(spec, Spec) and spec.known is not None:
        return builder.fixed(spec)
    return layer.emit(builder, *inputs)


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
        network = with_attention(network, inferred(network, shapes))
        network = with_small_products(network, inferred(network, shapes))
        specs = inferred(network, shapes)
        self.dtype, self.x_shapes = dtype, shapes
        self.samples = shapes[0][0] if shapes and shapes[0] else 1
        self._program = _core.Program(dtype)
        self._nodes = network.nodes
        builder = Builder(dtype, self._program)
        inputs = [i for i, node in enumerate(network.nodes) if node.layer is None]
        values: list[Any] = []
        for i, node in enumerate(network.nodes):
            builder.node = i
            if node.layer is None:
                values.append(builder.new(specs[i]))
            else:
                values.append(_emitted(builder, node.layer, specs[i], [values[j] for j in node.inputs]))
        outside = [values[i] for i in inputs]
        self._outputs: list[Value] = []
        for i in network.outputs:
            value = values[i]
            builder.node = i
            if value.spec.is_dense:
                taken = [builder.memory_of(other) for other in outside]
                if value.spec.known is not None or builder.memory_of(value) in taken:
                    value = builder.copy(value)  # an array of its own
                outside.append(value)
            self._outputs.append(value)
        self.steps: list[Step] = builder.steps
        self.x_dtypes = [builder.dtype_of(value.spec) for value in outside[: len(inputs)]]
        self.out_dtypes = [builder.dtype_of(value.spec) for value in self._outputs]
        self.out_shapes: Shapes = tuple(value.spec.whole for value in self._outputs)
        alone = len(inputs) == len(self._outputs) == 1 and self._outputs[0].spec.is_dense
        alone = alone and self.x_dtypes == self.out_dtypes == [dtype]
        arrays = tuple(zip(shapes, self.x_dtypes)), tuple(zip(self.out_shapes, self.out_dtypes))
        self._places: dict[int, Place] = builder.finish(
            outside,
            (shapes[0], self.out_shapes[0]) if alone else None,
            arrays if all(value.spec.is_dense for value in self._outputs) else None,
        )

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
            lines.append(f"  {node.name} ({kind}): {step.kernel} -> {', '.join(str(v.spec) for v in step.writes)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<NetPlan of {', '.join(map(str, self.x_shapes))} in {self.dtype}: {len(self.steps)} steps>"

    def _input(self, x: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        if not isinstance(x, np.ndarray):
            raise TypeError(f"a plan takes numpy arrays, not {type(x).__name__}")
        x = as_array(x, "x")  # refuses masks
        if x.shape != shape:
            raise ValueError(f"x has shape {x.shape}; the plan expects {shape}")
        if x.dtype != dtype:
            expects = f"computes in {dtype}" if dtype == self.dtype else f"expects {dtype}"
            raise TypeError(f"x has dtype {x.dtype}; the plan {expects}")
        return np.require(x, dtype, ["C", "A"])

    def _out(self, out: Any, xs: tuple[Any, ...]) -> list[Any]:
        """Where dense outputs go: for each output an array, or None for winners."""
        n_outputs = len(self._outputs)
        given = [None] * n_outputs if out is None else list(out) if isinstance(out, (tuple, list)) else [out]
        if len(given) != n_outputs:
            raise ValueError(f"out has {len(given)} arrays; the network has {n_outputs} outputs")
        wanted = zip(given, self._outputs, self.out_shapes, self.out_dtypes, strict=True)
        for array, value, shape, dtype in wanted:
            if array is None:
                continue
            if not value.spec.is_dense:
                raise TypeError("out is given for an output that is winners, which are returned")
            check_out(array, shape, dtype, [x for x in xs if isinstance(x, np.ndarray)])
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
        y = self._program.call_all(xs, out) if y is None else y
        return self._run(xs, out, None) if y is None else y

    def _run(self, xs: tuple[Any, ...], out: Any, times: NDArray[np.int64] | None) -> Any:
        if len(xs) != len(self.x_shapes):
            raise ValueError(f"the network has {len(self.x_shapes)} inputs, and {len(xs)} were given")
        arrays = [self._input(*one) for one in zip(xs, self.x_shapes, self.x_dtypes, strict=True)]
        given = self._out(out, xs)
        results: list[Any] = []
        winners = []
        outputs = zip(given, self._outputs, self.out_shapes, self.out_dtypes, strict=True)
        for array, value, shape, dtype in outputs:
            if value.spec.is_dense:
                direct = array is not None and array.flags.c_contiguous and array.flags.aligned
                results.append(array if direct else np.empty(shape, dtype=dtype))
                arrays.append(results[-1])
            else:
                results.append(None)
                offsets = (self._places[part].offset for part in value.parts)
                vectors, length = value.spec.vectors * value.spec.n_samples, value.spec.extents[1]
                winners.append((Winners, dtype, *offsets, vectors, length, shape, value.spec.axis))
        made = iter(self._program.run(tuple(arrays), tuple(winners), times))
        for i, (array, result) in enumerate(zip(given, results, strict=True)):
            if result is None:
                results[i] = next(made)
            elif array is not None and array is not result:
                array[...] = result
                results[i] = array
        return results[0] if len(results) == 1 else tuple(results)
