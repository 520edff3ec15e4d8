# SPDX-License-Identifier: BSD-3-Clause
"""An exported program of torch, node by node: what depends on its inputs becomes layers, the rest is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from complsparse._matrix.makers import from_dense, from_filters
from complsparse.nn import Constant, Graph, Layer
from complsparse.nn._network import Handle
from complsparse.torch._layers import ComplementaryConv2d, ComplementaryLinear


class Flow(NamedTuple):
    """A value that depends on the inputs, and the shape of one sample of it."""

    handle: Any
    shape: tuple[int, ...]


class Unsupported(Exception):
    """An operator whose arguments no layer takes; says why."""


class At:
    """Where a rule is applied."""

    def __init__(self, translation: Translation, node: fx.Node) -> None:
        self.translation, self.node = translation, node

    def __str__(self) -> str:
        fqn = self.translation.owner(self.node)
        return f"node {self.node.name} of {fqn or 'the model'} ({type(self.module).__name__})"

    @property
    def module(self) -> Any:
        """The innermost module."""
        return self.translation.modules[self.translation.owner(self.node)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample of the result."""
        return self.translation.sample(self.node)

    def add(self, layer: Layer, *inputs: Flow, part: str = "", shape: tuple[int, ...] | None = None) -> Flow:
        """The result of a layer. `part`, `shape`: of one that gives only a part of what the operator does."""
        handle = self.translation.add(self.node, layer, _handles(inputs), part)
        return Flow(handle, self.shape if shape is None else shape)

    def add_all(self, layer: Layer, *inputs: Flow, shapes: Sequence[tuple[int, ...]]) -> tuple[Flow, ...]:
        """The results of a layer that has several, of samples of these shapes."""
        handles = self.translation.add(self.node, layer, _handles(inputs), "")
        return tuple(Flow(handle, shape) for handle, shape in zip(handles, shapes, strict=True))

    def constant(self, array: NDArray[Any]) -> Flow:
        """A value that depends on nothing."""
        handle = self.translation.add(self.node, Constant(array), [], "constant")
        return Flow(handle, array.shape)

    def weights(self, weight: Any) -> Any:
        """A weight, linear or of filters, as layers take it."""
        array = constant(weight)
        module = self.module
        if isinstance(module, (ComplementaryLinear, ComplementaryConv2d)) and torch.equal(module.weight, weight):
            return module.matrix()
        zeros = array.size - np.count_nonzero(array)
        if zeros < max(self.translation.sparsity * array.size, 1):
            return array
        return from_dense(array) if array.ndim == 2 else from_filters(array)


def _handles(inputs: Sequence[Flow]) -> list[Handle]:
    for flow in inputs:
        if not isinstance(flow, Flow):
            raise Unsupported("has a constant for an input")
    return [flow.handle for flow in inputs]


def constant(value: Any) -> NDArray[Any]:
    """A tensor that does not depend on the inputs, as an array that layers compute with."""
    if not isinstance(value, Tensor):
        raise Unsupported("has weights that depend on the inputs")
    value = value.detach().cpu()
    array: NDArray[Any] = (value if value.dtype == torch.float64 else value.float()).numpy()
    return array


def optional(value: Any) -> NDArray[Any] | None:
    return None if value is None else constant(value)


F = TypeVar("F", bound=Callable[..., Any])
RULES: dict[str, Callable[..., Any]] = {}


def rule(*names: str) -> Callable[[F], F]:
    def add(function: F) -> F:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


class Translation:
    """The walk over the nodes, and the graph that it makes."""

    def __init__(
        self,
        model: nn.Module,
        program: torch.export.ExportedProgram,
        sparsity: float,
    ) -> None:
        self.program, self.sparsity = program, sparsity
        self.modules = dict(model.named_modules())
        self.graph = Graph()
        self.values: dict[fx.Node, Any] = {}
        self.batches: set[str] = set()  # sizes of the first axis of inputs, as torch writes them
        self.names: set[str] = set()
        constants = self._constants()
        for node in program.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = constants[node.name] if node.name in constants else self._input(node)
            elif node.op == "output":
                self._outputs(node)
            elif node.users:  # others check what export has seen
                self.values[node] = self._value(node)

    def _constants(self) -> dict[str, Any]:
        """Parameters, buffers and other tensors of the model, by placeholder."""
        signature, program = self.program.graph_signature, self.program
        kept = {**program.constants, **program.state_dict}
        lifted = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        return {name: kept[target].detach() for name, target in lifted.items()}

    def _input(self, node: fx.Node) -> Flow:
        batch, *sample = node.meta["val"].shape
        self.batches.add(str(batch))
        self.names.add(node.name)
        dtype = str(node.meta["val"].dtype).removeprefix("torch.")
        known = None if node.meta["val"].is_floating_point() else np.dtype(dtype)
        return Flow(self.graph.input(node.name, (None, *map(int, sample)), known), tuple(map(int, sample)))

    def _outputs(self, node: fx.Node) -> None:
        by_name = {output.name: output for output in node.all_input_nodes}
        for name in self.program.graph_signature.user_outputs:
            value = self.values.get(by_name.get(name))
            if not isinstance(value, Flow):
                raise ValueError(f"output {name} does not depend on the inputs: networks have no constant outputs")
            self.graph.output(value.handle)

    def _value(self, node: fx.Node) -> Any:
        given = fx.node.map_arg((node.args, node.kwargs), lambda n: self.values.get(n))
        if all(_is_constant(self.values.get(n)) for n in node.all_input_nodes):
            return self._computed(node, *given)
        name = str(node.target) if node.op == "call_function" else node.op
        rule = RULES.get(name.removesuffix(".default"))
        at = At(self, node)
        if rule is None:
            raise ValueError(f"{at}: {name} is an operation that no layer of complsparse.nn does")
        try:
            return rule(at, **_by_name(node.target, *given))
        except Unsupported as reason:
            raise ValueError(f"{at}: {name} {reason}") from None

    def _computed(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        """Of constants, by torch."""
        target: Any = node.target
        if any(isinstance(value, torch.SymInt) for value in tree_leaves((args, kwargs))):
            raise ValueError(f"{At(self, node)}: {target} makes an array of the batch's size, which no layer does")
        with torch.no_grad():
            return target(*args, **kwargs)

    # --- for rules ----------------------------------------------------------------------------------------------------

    def sample(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a node's (first) value, without its batch axis."""
        value = node.meta["val"]
        batch, *sample = (value[0] if isinstance(value, (tuple, list)) else value).shape or (None,)
        if str(batch) not in self.batches or not all(isinstance(n, int) for n in sample):
            raise Unsupported(f"gives {(batch, *sample)}, which does not begin with the batch axis")
        return tuple(sample)

    def add(self, node: fx.Node, layer: Layer, inputs: list[Handle], part: str) -> Any:
        return self.graph.add(layer, *inputs, name=self._name(node, layer, part))

    def owner(self, node: fx.Node) -> str:
        """The name of the innermost module that a node belongs to."""
        names = [fqn for fqn, _ in node.meta.get("nn_module_stack", {}).values() if fqn in self.modules]
        return names[-1] if names else ""

    def _name(self, node: fx.Node, layer: Layer, part: str) -> str:
        """Of a layer: that of its module where this does nothing else, with what it does where that is taken."""
        fqn, kind = self.owner(node), part or type(layer).__name__.lower()
        children = [name for name, _ in self.modules[fqn].named_children() if name != "parametrizations"]
        name = base = fqn if fqn and not (children or part or fqn in self.names) else f"{fqn}.{kind}".strip(".")
        number = 1
        while name in self.names:
            name, number = f"{base}_{number}", number + 1
        self.names.add(name)
        return name


def _is_constant(value: Any) -> bool:
    """Of no input: a tensor, a size, or parts of a tensor."""
    if isinstance(value, (list, tuple)) and not isinstance(value, Flow):
        return all(isinstance(part, Tensor) for part in value)
    return isinstance(value, (Tensor, torch.SymInt, int))


def _by_name(target: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments of an operator by name, with its defaults; of a function of Python by position."""
    schema = getattr(target, "_schema", None)
    if schema is None:
        return {f"a{i}": value for i, value in enumerate(args)}
    named = {argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()}
    named.update(zip((argument.name for argument in schema.arguments), args, strict=False))
    named.update(kwargs)
    return {{"self": "x", "input": "x"}.get(name, name): value for name, value in named.items()}
