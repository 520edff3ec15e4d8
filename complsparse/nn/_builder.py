# SPDX-License-Identifier: BSD-3-Clause
"""What layers emit their steps to while a network is compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from complsparse import _core
from complsparse.nn._memory import Part, Place, Step, Value, placed
from complsparse.nn._values import Spec


class Builder:
    """What layers emit their steps to.

    Attributes
    ----------
    samples : int or None
        Of what the layer that is emitting gives, which takes a sample at a time; None for a layer on whole arrays.
    """

    def __init__(self, dtype: np.dtype[Any], program: _core.Program) -> None:
        self.dtype, self.program = dtype, program
        self.deterministic = _core.get_deterministic()
        self.steps: list[Step] = []
        self.parts: list[Part] = []  # by number
        self.constants: dict[int, Any] = {}  # by number
        self.node = 0  # whose steps are being emitted
        self.samples: Any = None

    def _number(self, of_sample: int, samples: int, behind: int = 0, memory: int | None = None) -> int:
        number = self.program.new_value(of_sample)
        is_fixed = memory is not None and self.parts[memory].is_fixed
        self.parts.append(Part(number if memory is None else memory, of_sample, behind, samples, is_fixed))
        return number

    def dtype_of(self, spec: Spec) -> np.dtype[Any]:
        return self.dtype if spec.dtype is None else spec.dtype

    def new(self, spec: Spec) -> Value:
        """A value that a step will write."""
        if self.samples is not None:
            spec = spec._replace(samples=self.samples)
        size, count = self.dtype_of(spec).itemsize, spec.n_samples
        if spec.is_dense:
            return Value(spec, (self._number(spec.size * size, count),))
        room = spec.vectors * spec.most
        return Value(
            spec,
            (
                self._number(room * size, count),
                self._number(room * 4, count),
                self._number(spec.vectors * 8, count, behind=8),
            ),
        )

    def fixed(self, spec: Spec) -> Value:
        """A value that is known."""
        assert spec.known is not None
        array = np.array(spec.known, dtype=self.dtype_of(spec), order="C")
        value = Value(spec, (self._number(spec.size * array.itemsize, spec.n_samples),))
        self.parts[value.number] = self.parts[value.number]._replace(is_fixed=True)
        self.constants[value.number] = array
        self.program.fix(value.number, array)
        return value

    def cut(self, value: Value, spec: Spec) -> Value:
        """The same memory as samples of another shape."""
        spec = spec._replace(dtype=value.spec.dtype, known=None)
        return self._same_memory(value, spec, spec.size * self.dtype_of(spec).itemsize)

    def whole(self, value: Value) -> Value:
        """The same memory as one sample."""
        return self.cut(value, Spec(value.spec.whole, samples=None))

    def steady(self, value: Value) -> Value:
        """One sample, which every sample of a step reads."""
        return self._same_memory(value, value.spec, 0)

    def _same_memory(self, value: Value, spec: Spec, of_sample: int) -> Value:
        part = self.parts[value.number]
        if part.of_sample == of_sample and part.samples == spec.n_samples:
            return value._replace(spec=spec)
        number = self._number(of_sample, spec.n_samples, memory=part.memory)
        if part.is_fixed:
            self.program.fix(number, self.constants[part.memory])
        return Value(spec, (number,))

    def step(
        self, kernel: str, number: int, reads: list[Value], write: Value, whole_batch: bool = False,
        in_place: bool = False,
    ) -> None:  # fmt: skip
        """`number`: what the program called it. `whole_batch`: it has no form for a sample at a time."""
        samples = write.spec.n_samples
        self._add(number, Step(self.node, kernel, tuple(reads), (write,), samples, whole_batch, in_place))

    def host(self, name: str, function: Callable[..., None], reads: list[Value], writes: list[Value]) -> None:
        """A step that Python computes on whole arrays: ``function(*arrays read, *arrays written)``."""
        values = tuple((v.number, self.dtype_of(v.spec), v.spec.whole) for v in (*reads, *writes))
        number = self.program.host(function, values, len(reads))
        self._add(number, Step(self.node, f"numpy {name}", tuple(reads), tuple(writes), 1, True))

    def step_of_all(self, kernel: str, number: int, reads: list[Value], writes: list[Value]) -> None:
        """A step on whole arrays, with several results."""
        self._add(number, Step(self.node, kernel, tuple(reads), tuple(writes), 1, True))

    def _add(self, number: int, step: Step) -> None:
        assert number == len(self.steps)
        self.steps.append(step)

    def with_values(self, winners: Value, dtype: np.dtype[Any]) -> Value:
        """The same winners, with values in another dtype that a step will write."""
        _, *places = winners.parts
        spec = winners.spec
        values = self._number(spec.vectors * spec.most * dtype.itemsize, spec.n_samples)
        return Value(winners.spec._replace(dtype=dtype), (values, *places))

    def dense(self, value: Value) -> Value:
        """Winners with their zeros."""
        if value.spec.is_dense:
            return value
        y = self.new(value.spec.dense)
        dtype = self.dtype_of(y.spec)
        self.step("expand", self.program.expand(value.winners, dtype, value.spec.extents[2], y.number), [value], y)
        return y

    def copy(self, value: Value) -> Value:
        y = self.new(value.spec)
        size = value.spec.size * self.dtype_of(value.spec).itemsize
        self.step("copy", self.program.copy(1, size, 0, size, value.number, y.number), [value], y)
        return y

    def memory_of(self, value: Value) -> int:
        return self.parts[value.number].memory

    @cached_property
    def blas(self) -> tuple[Any, Any]:
        """gemm and gemv in the dtype, as SciPy hands them to compiled code."""
        import scipy.linalg.cython_blas as blas

        letter = "s" if self.dtype == np.float32 else "d"
        return blas.__pyx_capi__[f"{letter}gemm"], blas.__pyx_capi__[f"{letter}gemv"]

    def finish(self, outside: list[Value], shapes: Any, arrays: Any) -> dict[int, Place]:
        """Decides where values lie and tells the program: `outside` are inputs, then dense outputs; `shapes` those of
        the only input and the only output, where they are dense; `arrays` (shape, dtype) of all inputs, and of all
        outputs, where those are."""
        takes_rows = [self.program.takes_rows(i) for i in range(len(self.steps))]
        plan = placed(self.steps, self.parts, [value.number for value in outside], takes_rows)
        for number, place in plan.places.items():
            self.program.place(number, place.memory, place.offset)
        self.program.finish(plan.stretches, plan.chains, plan.batch_bytes, plan.sample_bytes, shapes, arrays)
        return plan.places
