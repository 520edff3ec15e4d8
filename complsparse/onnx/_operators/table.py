# SPDX-License-Identifier: BSD-3-Clause
"""The table of operators: a row each, which a decorator puts there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from complsparse.nn import Layer
from complsparse.nn._graph_layers import Function
from complsparse.nn._values import Spec
from complsparse.onnx._nodes import Op

OURS = "ai.complsparse.nn"  # the domain of what fusions find


class Row(NamedTuple):
    """One operator: how it becomes layers, or a function of NumPy's arrays that is one, or the latter where the former
    returns None."""

    layer: Callable[[Op], Layer | None] | None = None  # which takes all inputs
    built: Callable[..., Any] | None = None  # (op, builder): values, or None
    compute: Callable[..., Any] | None = None  # (op, *arrays), None for inputs that are left out
    shaped_by: tuple[int, ...] = ()  # inputs whose entries say what shape the result of `compute` has


OPERATORS: dict[tuple[str, str], Row] = {}


def _put(key: tuple[str, str], **given: Any) -> None:
    OPERATORS[key] = OPERATORS.get(key, Row())._replace(**given)


def computed(*kinds: str, domain: str = "", shaped_by: tuple[int, ...] = ()) -> Callable[[Any], Any]:
    """The decorated function of an `Op` and arrays computes these operators."""

    def put(function: Any) -> Any:
        for kind in kinds:
            _put((domain, kind), compute=function, shaped_by=shaped_by)
        return function

    return put


def layered(*kinds: str, domain: str = "") -> Callable[[Any], Any]:
    """The decorated function of an `Op` returns the layer that reads its inputs in their order."""

    def put(function: Any) -> Any:
        for kind in kinds:
            _put((domain, kind), layer=function)
        return function

    return put


def built(*kinds: str, domain: str = "") -> Callable[[Any], Any]:
    """The decorated function of an `Op` and a builder adds layers to its graph and returns their values."""

    def put(function: Any) -> Any:
        for kind in kinds:
            _put((domain, kind), built=function)
        return function

    return put


class Operator(Function):
    """An operator of ONNX as a function of NumPy's arrays."""

    in_files = False

    def __init__(self, op: Op, row: Row) -> None:
        self.op, self.row = op, row
        self._check_inputs()
        self.n_inputs, self.n_outputs = sum(name is not None for name in op.inputs), len(op.outputs)

    def _check_inputs(self) -> None:
        """Those without a default must be there."""
        assert self.row.compute is not None
        parameters = list(inspect.signature(self.row.compute).parameters.values())[1:]
        several = [p for p in parameters if p.kind is p.VAR_POSITIONAL]
        if len(self.op.inputs) > len(parameters) and not several:
            raise self.op.refuse(f"{len(self.op.inputs)} inputs; {len(parameters)} at most are known")
        for i, parameter in enumerate(parameters + several * len(self.op.inputs)):
            wanted = parameter.default is parameter.empty and (parameter not in several or i < len(self.op.inputs))
            if wanted and not self.op.has(i):
                raise self.op.refuse(f"input {i} is missing")

    def arguments(self) -> dict[str, Any]:
        return {"op": self.op, "row": self.row}

    def __repr__(self) -> str:
        return f"Operator({self.op.kind})"

    def result(self, *inputs: Spec) -> Any:
        given = iter(inputs)
        for i, name in enumerate(self.op.inputs):
            spec = next(given) if name is not None else None
            if i in self.row.shaped_by and spec is not None and spec.known is None:
                raise ValueError(
                    f"input {name!r} says what shape the result has, and is not known before the network runs"
                )
        return super().result(*inputs)

    def _called(self, arrays: list[Any]) -> list[Any]:
        given = iter(arrays)
        assert self.row.compute is not None
        found = self.row.compute(self.op, *(None if name is None else next(given) for name in self.op.inputs))
        several = found if isinstance(found, tuple) else (found,)
        if len(several) < self.n_outputs:
            raise self.op.refuse(f"{self.n_outputs} outputs, of which {len(several)} are computed")
        return list(several[: self.n_outputs])


def is_one_zero(array: Any) -> bool:
    """Whether an array is one number in memory, and that is zero: as shapes are found by, where values are not known.
    Operators that take long need not look at each of its entries."""
    return array.size > 0 and not any(array.strides) and not array.flat[0]
