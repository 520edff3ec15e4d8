# SPDX-License-Identifier: BSD-3-Clause
"""Layers on whole arrays: functions of NumPy as layers, and what layers with steps of their own have in common."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from complsparse._ops.winners import Winners
from complsparse.nn._attributes import Known, checked_attribute
from complsparse.nn._layer import Layer, is_weights
from complsparse.nn._values import Spec

if TYPE_CHECKING:
    from complsparse.nn._builder import Builder
    from complsparse.nn._memory import Value

_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY


class ArrayLayer(Layer):
    """A function of whole arrays, first axis and all, of any number of axes and any dtype.

    `function` says everything: its positional parameters are the inputs (those with a default may be left out, those
    annotated `Known` are known when the plan is made), its keyword-only ones the attributes, whose annotations they are
    checked against. It returns an array, or a list of `n_outputs`; floating point numbers become those that the network
    computes in. What follows from constants and shapes alone is computed while the plan is made; for the rest, shapes
    are found by a call on zeros, and a step calls the function, unless the class emits other steps.
    """

    by_sample = False
    in_files = False
    function: ClassVar[Callable[..., Any]]
    of_shapes_alone: ClassVar[bool] = False  # its result depends on the shapes of its inputs only

    _inputs: ClassVar[list[inspect.Parameter]]
    _fields: ClassVar[dict[str, tuple[Any, Any]]]  # annotation and default
    _known: ClassVar[list[tuple[int, str]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "function" not in cls.__dict__:
            return
        cls.in_files = cls.__dict__.get("in_files", True)
        hints = typing.get_type_hints(cls.function, include_extras=True)
        parameters = inspect.signature(cls.function).parameters.values()
        cls._inputs = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        cls._known = [(i, p.name) for i, p in enumerate(cls._inputs) if hints.get(p.name) == Known]
        fields = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
        cls._fields = {p.name: (hints[p.name], p.default) for p in fields}
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in fields]
        )

    def __init__(self, *given: Any, **attributes: Any) -> None:
        kind, names = type(self).__name__, list(self._fields)
        if len(given) > len(names):
            raise TypeError(f"{kind} takes {len(names)} attributes, and {len(given)} were given")
        twice = [name for name in names[: len(given)] if name in attributes]
        unknown = [name for name in attributes if name not in self._fields]
        if twice or unknown:
            raise TypeError(f"{kind} got {(twice + unknown)[0]!r}, which it has {'already' if twice else 'not'}")
        attributes.update(zip(names, given))
        for name, (hint, default) in self._fields.items():
            value = attributes.get(name, default)
            if value is inspect.Parameter.empty:
                raise TypeError(f"{kind} needs {name}")
            setattr(self, name, checked_attribute(value, hint, name))

    def arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._fields}

    @property
    def weights(self) -> tuple[Any, ...]:
        given = self.arguments().values()
        return tuple(value for value in given if is_weights(value) and value.ndim > 1 and value.dtype.kind == "f")

    def takes(self, n: int) -> bool:
        if self.n_inputs is None:
            return super().takes(n)
        named = [p for p in self._inputs if p.kind in _POSITIONAL]
        least = sum(not _may_miss(p) for p in named)
        return n >= max(least, 1) if len(named) < len(self._inputs) else least <= n <= len(named)

    @property
    def wanted(self) -> str:
        if self.n_inputs is None:
            return super().wanted
        return f"the inputs ({', '.join(str(p).partition(':')[0] + ' or none' * _may_miss(p) for p in self._inputs)})"

    def result(self, *inputs: Spec) -> Any:
        for i, name in self._known:
            if i < len(inputs) and inputs[i].known is None:
                raise ValueError(f"its input {name!r} must be known when the plan is made: a constant, or what follows "
                                 "from shapes")  # fmt: skip
        is_known = self.of_shapes_alone or all(spec.known is not None for spec in inputs)
        try:
            found = self._indexed([stand_in(spec) for spec in inputs])
        except TypeError as error:
            raise ValueError(str(error)) from None
        specs = [Spec.of_array(array, is_known) for array in found]
        return specs[0] if self.n_outputs == 1 else specs

    def apply(self, *inputs: Any) -> Any:
        found = self._indexed([x.toarray() if isinstance(x, Winners) else x for x in inputs])
        return found[0] if self.n_outputs == 1 else found

    def _indexed(self, arrays: list[Any]) -> list[NDArray[Any]]:
        """What is computed; ValueError where an index among the inputs lies outside of an array."""
        try:
            return self._called(arrays)
        except IndexError as error:
            raise ValueError(f"{self!r}: {error}") from None

    def _called(self, arrays: list[Any]) -> list[NDArray[Any]]:
        with np.errstate(all="ignore"):
            found = type(self).function(*arrays, **self.arguments())
        return [np.asarray(found)] if self.n_outputs == 1 else [np.asarray(one) for one in found]

    def emit(self, builder: Builder, *inputs: Value) -> Any:
        reads = [builder.dense(x) for x in inputs]
        specs = self.result(*(x.spec for x in reads))
        writes = [builder.new(spec._replace(known=None)) for spec in ([specs] if self.n_outputs == 1 else specs)]

        def run(*arrays: NDArray[Any]) -> None:
            found = self._indexed(list(arrays[: len(reads)]))
            for to, result in zip(arrays[len(reads) :], found, strict=True):
                if result.shape != to.shape:
                    raise ValueError(f"{self!r} gave shape {result.shape}; of zeros it had given {to.shape}")
                to[...] = result

        builder.host(type(self).__name__.lower(), run, reads, writes)
        return writes[0] if self.n_outputs == 1 else writes


def _may_miss(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


def stand_in(spec: Spec) -> NDArray[Any]:
    """What is known of a value: all, or zeros of its shape."""
    if spec.known is not None:
        return spec.known
    return np.broadcast_to(np.zeros((), np.float32 if spec.dtype is None else spec.dtype), spec.whole)


def array_layer(function: Callable[..., Any]) -> type[ArrayLayer]:
    """A function as a layer of its name, which NumPy runs."""
    of_class = {"function": staticmethod(function), "__doc__": function.__doc__, "__module__": function.__module__}
    return type(function.__name__, (ArrayLayer,), of_class)
