# SPDX-License-Identifier: BSD-3-Clause
"""What layers emit their steps to while a network is compiled."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from complsparse import _core
from complsparse.nn._memory import Bytes, Place, Step, Value, placed
from complsparse.nn._values import Spec


class Builder:
    """What layers emit their steps to."""

    def __init__(self, samples: int, dtype: np.dtype[Any], program: _core.Program) -> None:
        self.samples, self.dtype, self.program = samples, dtype, program
        self.deterministic = _core.get_deterministic()
        self.steps: list[Step] = []
        self.bytes: list[Bytes] = []  # of each number
        self.node = 0  # whose steps are being emitted

    def _number(self, of_sample: int, behind: int = 0) -> int:
        self.bytes.append(Bytes(of_sample, behind))
        return self.program.new_value(of_sample)

    def dtype_of(self, spec: Spec) -> np.dtype[Any]:
        return self.dtype if spec.dtype is None else spec.dtype

    def new(self, spec: Spec) -> Value:
        """A value that a step will write."""
        size = self.dtype_of(spec).itemsize
        if spec.is_dense:
            return Value(spec, (self._number(spec.size * size),))
        room = spec.vectors * spec.most
        return Value(spec, (self._number(room * size), self._number(room * 4), self._number(spec.vectors * 8, 8)))

    def step(self, kernel: str, number: int, reads: list[Value], write: Value, whole_batch: bool = False) -> None:
        """`number`: what the program called it. `whole_batch`: it has no form for a sample at a time."""
        assert number == len(self.steps)
        self.steps.append(Step(self.node, kernel, tuple(reads), write, whole_batch))

    def with_values(self, winners: Value, dtype: np.dtype[Any]) -> Value:
        """The same winners, with values in another dtype that a step will write."""
        _, *places = winners.parts
        values = self._number(winners.spec.vectors * winners.spec.most * dtype.itemsize)
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

    @cached_property
    def blas(self) -> tuple[Any, Any]:
        """gemm and gemv in the dtype, as SciPy hands them to compiled code."""
        import scipy.linalg.cython_blas as blas

        letter = "s" if self.dtype == np.float32 else "d"
        return blas.__pyx_capi__[f"{letter}gemm"], blas.__pyx_capi__[f"{letter}gemv"]

    def finish(self, outside: list[Value], shapes: Any) -> dict[int, Place]:
        """Decides where values lie and tells the program: `outside` are inputs, then dense outputs; `shapes` those of
        the only input and the only output, where they are dense."""
        plan = placed(self.steps, self.bytes, self.samples, [value.number for value in outside])
        for number, place in plan.places.items():
            self.program.place(number, place.memory, place.offset)
        self.program.finish(plan.stretches, plan.batch_bytes, plan.sample_bytes, shapes)
        return plan.places
