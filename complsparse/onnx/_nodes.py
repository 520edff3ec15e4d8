# SPDX-License-Identifier: BSD-3-Clause
"""Nodes of a model, with attributes that are asked for by name, type and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from complsparse._files.trust import printable

_REQUIRED: Any = object()
Text: TypeAlias = str  # `Op` has methods called str and int
Whole: TypeAlias = int


class Refusal(ValueError):
    """A node of a known operator, in a form that is not known."""


@dataclass(frozen=True, eq=False)
class Op:
    """A node: what it computes, and the names of what it reads (None where an input is left out) and writes."""

    name: str
    domain: str  # "" is ONNX's own
    kind: str
    version: int  # of the operator set
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]  # "" where nobody asks for it
    attributes: dict[str, Any] = field(default_factory=dict)

    def has(self, i: int) -> bool:
        """Whether this input is given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def __str__(self) -> str:
        kind = f"{self.domain}.{self.kind}" if self.domain else self.kind
        return f"{printable(self.name)!r} ({printable(kind)})"

    def refuse(self, reason: Text) -> Refusal:
        return Refusal(f"node {self}: {reason}")

    def _given(self, name: Text, default: Any, kinds: tuple[type, ...]) -> Any:
        value = self.attributes.get(name, default)
        if value is _REQUIRED:
            raise self.refuse(f"attribute {name} is missing")
        if value is not default and not isinstance(value, kinds):
            raise self.refuse(f"attribute {name} is a {type(value).__name__}")
        return value

    def int(self, name: Text, default: Any = _REQUIRED, among: Sequence[Whole] | range | None = None) -> Any:
        value = self._given(name, default, (int,))
        if among is not None and value is not default and value not in among:
            raise self.refuse(f"attribute {name} is {value}; known are {among}")
        return value

    def float(self, name: Text, default: Any = _REQUIRED) -> Any:
        return self._given(name, default, (float,))

    def str(self, name: Text, default: Any = _REQUIRED, among: Sequence[Text] | None = None) -> Any:
        value = self._given(name, default, (str,))
        if among is not None and value not in among:
            raise self.refuse(f"attribute {name} is {printable(value)!r}; known are {', '.join(among)}")
        return value

    def ints(self, name: Text, default: Any = _REQUIRED) -> Any:
        value = self._given(name, default, (list, tuple))
        if value is None:
            return None
        if not all(isinstance(n, int) for n in value):
            raise self.refuse(f"attribute {name} is {value}, not integers")
        return tuple(value)

    def floats(self, name: Text, default: Any = _REQUIRED) -> Any:
        value = self._given(name, default, (list, tuple))
        return None if value is None else tuple(float(n) for n in value)

    def strs(self, name: Text, default: Any = _REQUIRED) -> Any:
        value = self._given(name, default, (list, tuple))
        return None if value is None else tuple(value)

    def array(self, name: Text, default: Any = _REQUIRED) -> NDArray[Any] | None:
        return self._given(name, default, (np.ndarray,))  # type: ignore[no-any-return]

    def axes(self, given: Any, name: Text = "axes") -> tuple[Whole, ...] | None:
        """Axes from an input, or from an attribute of this name where that is not given."""
        if given is None:
            return self.ints(name, None)  # type: ignore[no-any-return]
        return tuple(int(n) for n in np.atleast_1d(given))

    def axis(self, axis: Whole, ndim: Whole) -> Whole:
        """Counted from the front."""
        if not -ndim <= axis < max(ndim, 1):
            raise self.refuse(f"axis {axis} of an array of {ndim} axes")
        return axis + ndim if axis < 0 else axis
