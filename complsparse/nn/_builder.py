# SPDX-License-Identifier: BSD-3-Clause
"""Steps and values of a network while it is compiled, and where values lie in the end."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from complsparse import _core
from complsparse.nn._values import Spec

_CACHE_LINE = 64


class Value(NamedTuple):
    """A value of a network that is being compiled."""

    spec: Spec
    parts: tuple[int, ...]  # numbers in the program: one, or values, indices and starts of winners

    @property
    def number(self) -> int:
        (number,) = self.parts
        return number

    @property
    def winners(self) -> tuple[int, int, int, int, int, int]:
        """As `_core.Program` takes it."""
        values, indices, starts = self.parts
        return values, indices, starts, self.spec.vectors, self.spec.extents[1], self.spec.most


class Step(NamedTuple):
    node: int  # of the network
    kernel: str  # the micro-kernel, or what the step does
    reads: tuple[Value, ...]
    write: Value
    whole_batch: bool


class Bytes(NamedTuple):
    """Of a part of a value."""

    of_sample: int
    behind: int  # of the whole batch besides

    def of(self, samples: int) -> int:
        return self.of_sample * samples + self.behind


class Place(NamedTuple):
    memory: str
    offset: int


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

    def new(self, spec: Spec) -> Value:
        """A value that a step will write."""
        size = self.dtype.itemsize
        if spec.is_dense:
            return Value(spec, (self._number(spec.size * size),))
        room = spec.vectors * spec.most
        return Value(spec, (self._number(room * size), self._number(room * 4), self._number(spec.vectors * 8, 8)))

    def step(self, kernel: str, number: int, reads: list[Value], write: Value, whole_batch: bool = False) -> None:
        """`number`: what the program called it. `whole_batch`: it has no form for a sample at a time."""
        assert number == len(self.steps)
        self.steps.append(Step(self.node, kernel, tuple(reads), write, whole_batch))

    def dense(self, value: Value) -> Value:
        """Winners with their zeros."""
        if value.spec.is_dense:
            return value
        y = self.new(value.spec.dense)
        self.step("expand", self.program.expand(value.winners, value.spec.extents[2], y.number), [value], y)
        return y

    def copy(self, value: Value) -> Value:
        y = self.new(value.spec)
        size = value.spec.size * self.dtype.itemsize
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
        by_sample = _taken_by_sample(self.steps)
        stretches = _stretches(by_sample)
        lives = _lives(self.steps)
        places = {value.number: Place("outside", i) for i, value in enumerate(outside)}
        batch: list[tuple[int, int, range]] = []
        sample_bytes = 0
        for stretch in stretches:
            of_stretch = []
            for number, life in lives.items():
                if number in places or life.start < stretch.start or life.start >= stretch.stop:
                    continue
                if by_sample[stretch.start] and life.stop <= stretch.stop:
                    of_stretch.append((number, self.bytes[number].of(1), life))
                else:
                    batch.append((number, self.bytes[number].of(self.samples), _whole(life, stretches, by_sample)))
            offsets, used = _packed(of_stretch)
            places |= {number: Place("sample", offset) for number, offset in offsets.items()}
            sample_bytes = max(sample_bytes, used)
        offsets, batch_bytes = _packed(batch)
        places |= {number: Place("batch", offset) for number, offset in offsets.items()}
        for number, place in places.items():
            self.program.place(number, place.memory, place.offset)
        self.program.finish([(s.stop, by_sample[s.start]) for s in stretches], batch_bytes, sample_bytes, shapes)
        return places


def _taken_by_sample(steps: list[Step]) -> list[bool]:
    """Whether each step takes a sample at a time: images do. Winners lie together without gaps, so a step that makes
    them does only where all that read them do."""
    taken = [False] * len(steps)
    for i in reversed(range(len(steps))):
        step = steps[i]
        if step.whole_batch:
            continue
        taken[i] = any(len(value.spec.shape) > 1 for value in (*step.reads, step.write))
        if not step.write.spec.is_dense:
            readers = [j for j in range(i + 1, len(steps)) if step.write.parts[0] in _numbers(steps[j].reads)]
            taken[i] &= bool(readers) and all(all(taken[i + 1 : j + 1]) for j in readers)
    return taken


def _numbers(values: tuple[Value, ...]) -> set[int]:
    return {number for value in values for number in value.parts}


def _stretches(by_sample: list[bool]) -> list[range]:
    """Neighbouring steps of one kind."""
    stretches: list[range] = []
    for i, one in enumerate(by_sample):
        if stretches and by_sample[i - 1] == one:
            stretches[-1] = range(stretches[-1].start, i + 1)
        else:
            stretches.append(range(i, i + 1))
    return stretches


def _lives(steps: list[Step]) -> dict[int, range]:
    """Of each number, the steps from the first to the last that touch it."""
    lives: dict[int, range] = {}
    for i, step in enumerate(steps):
        for number in _numbers((*step.reads, step.write)):
            lives[number] = range(lives[number].start if number in lives else i, i + 1)
    return lives


def _whole(life: range, stretches: list[range], by_sample: list[bool]) -> range:
    """The life of a value of all samples: steps that take a sample at a time run again and again."""
    first, last = life.start, life.stop
    for stretch in stretches:
        if by_sample[stretch.start] and stretch.start < last and first < stretch.stop:
            first, last = min(first, stretch.start), max(last, stretch.stop)
    return range(first, last)


def _packed(values: list[tuple[int, int, range]]) -> tuple[dict[int, int], int]:
    """Offsets for (number, bytes, life), and how much memory that takes: the largest first, each in the first gap among
    those that live at the same time."""
    placed: list[tuple[int, int, range]] = []  # first byte, last, life
    offsets, used = {}, 0
    for number, size, life in sorted(values, key=lambda value: (-value[1], value[0])):
        size = -(-max(size, 1) // _CACHE_LINE) * _CACHE_LINE
        offset = 0
        for first, last, other in sorted(placed, key=lambda one: one[0]):
            if other.start < life.stop and life.start < other.stop:
                if offset + size <= first:
                    break
                offset = max(offset, last)
        placed.append((offset, offset + size, life))
        offsets[number] = offset
        used = max(used, offset + size)
    return offsets, used
