# SPDX-License-Identifier: BSD-3-Clause
"""Where the values of a network lie, and which steps take a sample at a time."""

from __future__ import annotations

from typing import NamedTuple

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
    writes: tuple[Value, ...]
    samples: int
    whole_batch: bool
    in_place: bool = False  # each entry is made of those at its place: the result may lie where an operand does


class Part(NamedTuple):
    """What a number of the program stands for: memory, which others may stand for too, cut into other samples."""

    memory: int  # the number that stood for it first
    of_sample: int  # bytes
    behind: int  # bytes of the whole batch besides
    samples: int
    is_fixed: bool = False  # a constant

    @property
    def bytes(self) -> int:
        return self.of_sample * self.samples + self.behind


class Place(NamedTuple):
    memory: str
    offset: int


class Placed(NamedTuple):
    """`places` by number; `stretches` and `chains` as `_core.Program.finish` takes them."""

    places: dict[int, Place]
    stretches: list[tuple[int, bool, int]]
    chains: list[tuple[int, list[int], int]]
    batch_bytes: int
    sample_bytes: int


def placed(steps: list[Step], parts: list[Part], outside: list[int], takes_rows: list[bool]) -> Placed:
    """`outside`: the numbers that are arrays of the caller's, in order. `takes_rows`: of each step, whether it can make
    some rows of its images at a time."""
    by_sample = _taken_by_sample(steps)
    stretches = _stretches(steps, by_sample, parts)
    chains = _chains(steps, parts, outside, takes_rows, [stretch for stretch in stretches if by_sample[stretch.start]])
    lives = _lives(steps, parts, chains)
    cut_anew = {part.memory for number, part in enumerate(parts) if number != part.memory}
    places = {parts[number].memory: Place("outside", i) for i, number in enumerate(outside)}
    alone = set(range(len(steps))).difference(*chains)
    shared = _share(lives, steps, parts, alone, cut_anew | places.keys())
    batch: list[tuple[int, int, range]] = []
    sample_bytes = 0
    for stretch in stretches:
        of_stretch = []
        for number, life in lives.items():
            if number in places or life.start < stretch.start or life.start >= stretch.stop:
                continue
            part = parts[number]
            if by_sample[stretch.start] and life.stop <= stretch.stop and number not in cut_anew:
                of_stretch.append((number, part.of_sample + part.behind, life))
            else:
                batch.append((number, part.bytes, _whole(life, stretches, by_sample)))
        offsets, used = _packed(of_stretch)
        places |= {number: Place("sample", offset) for number, offset in offsets.items()}
        sample_bytes = max(sample_bytes, used)
    offsets, batch_bytes = _packed(batch)
    places |= {number: Place("batch", offset) for number, offset in offsets.items()}
    places |= {number: places[other] for number, other in shared.items()}
    of_numbers = {number: places[part.memory] for number, part in enumerate(parts) if part.memory in places}
    as_taken = [(s.stop, by_sample[s.start], steps[s.start].samples) for s in stretches]
    as_chains = [(chain.start, [steps[i].writes[0].number for i in chain[:-1]], cache() // 2) for chain in chains]
    return Placed(of_numbers, as_taken, as_chains, batch_bytes, sample_bytes)


def cache() -> int:
    """Bytes of the cache that images between two steps should stay in."""
    return _core.cache_sizes()["l2"]


def _taken_by_sample(steps: list[Step]) -> list[bool]:
    """Whether each step takes a sample at a time: images do. Winners lie together without gaps, so a step that makes
    them does only where all that read them do."""
    taken = [False] * len(steps)
    for i in reversed(range(len(steps))):
        step = steps[i]
        if step.whole_batch:
            continue
        taken[i] = any(len(value.spec.shape) > 1 for value in (*step.reads, *step.writes))
        if not step.writes[0].spec.is_dense:
            readers = [j for j in range(i + 1, len(steps)) if step.writes[0].parts[0] in _numbers(steps[j].reads)]
            taken[i] &= bool(readers) and all(all(taken[i + 1 : j + 1]) for j in readers)
    return taken


def _numbers(values: tuple[Value, ...]) -> set[int]:
    return {number for value in values for number in value.parts}


def _stretches(steps: list[Step], by_sample: list[bool], parts: list[Part]) -> list[range]:
    """Neighbouring steps of one kind, on as many samples. What one of them writes, and another reads cut into other
    samples, is whole only behind the stretch."""
    stretches: list[range] = []
    cut: dict[int, int] = {}  # memory that the stretch touches: as which number
    for i, step in enumerate(steps):
        numbers = [n for n in _numbers((*step.reads, *step.writes)) if not parts[n].is_fixed]
        joins = bool(stretches) and by_sample[i - 1] == by_sample[i] and steps[i - 1].samples == step.samples
        if joins and not (by_sample[i] and any(cut.get(parts[n].memory, n) != n for n in numbers)):
            stretches[-1] = range(stretches[-1].start, i + 1)
        else:
            stretches.append(range(i, i + 1))
            cut = {}
        cut |= {parts[n].memory: n for n in numbers}
    return stretches


def _chains(
    steps: list[Step], parts: list[Part], outside: list[int], takes_rows: list[bool], stretches: list[range]
) -> list[range]:
    """Steps that take a band of rows at a time, one after the other: where what lies between two of them would not stay
    in the cache, and nobody else reads it."""
    least = cache() // 2
    readers: dict[int, int] = {}  # of memory: how many
    cut_anew = {part.memory for number, part in enumerate(parts) if number != part.memory}
    for step in steps:
        for memory in {parts[number].memory for number in _numbers(step.reads)}:
            readers[memory] = readers.get(memory, 0) + 1

    def joined(i: int) -> bool:
        value = steps[i].writes[0]
        if not (takes_rows[i] and takes_rows[i + 1] and value.parts[0] in _numbers(steps[i + 1].reads)):
            return False
        part = parts[value.number]
        known = value.number in outside or part.memory in cut_anew
        return not known and readers[part.memory] == 1 and part.of_sample >= least

    chains: list[range] = []
    for stretch in stretches:
        i = stretch.start
        while i < stretch.stop:
            last = i
            while last + 1 < stretch.stop and joined(last):
                last += 1
            if last > i:
                chains.append(range(i, last + 1))
            i = last + 1
    return chains


def _lives(steps: list[Step], parts: list[Part], chains: list[range]) -> dict[int, range]:
    """Of memory, by its number, the steps from the first to the last that touch it; steps of a chain run together, and
    what lies between them needs no memory."""
    together = {i: chain for chain in chains for i in chain}
    between = {steps[i].writes[0].number for chain in chains for i in chain[:-1]}
    lives: dict[int, range] = {}
    for i, step in enumerate(steps):
        own = together.get(i, range(i, i + 1))
        for number in _numbers((*step.reads, *step.writes)) - between:
            if not parts[number].is_fixed:
                memory = parts[number].memory
                lives[memory] = range(lives[memory].start if memory in lives else own.start, own.stop)
    return lives


def _share(
    lives: dict[int, range], steps: list[Step], parts: list[Part], alone: set[int], apart: set[int]
) -> dict[int, int]:
    """Of memory that is the result of a step of those `alone`, that of an operand which nobody reads any more, and
    which lives on in its place: lines that were just read are written. `apart`: memory that stays as it is."""
    shared: dict[int, int] = {}
    for i, step in enumerate(steps):
        if not step.in_place or i not in alone:
            continue
        result = parts[step.writes[0].number]
        for operand in (parts[value.number] for value in step.reads):
            first = shared.get(operand.memory, operand.memory)
            if operand.is_fixed or {operand.memory, result.memory} & apart or operand.bytes != result.bytes:
                continue
            if operand.memory != result.memory and lives[first].stop == i + 1:
                lives[first] = range(lives[first].start, lives.pop(result.memory).stop)
                shared[result.memory] = first
                break
    return shared


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
