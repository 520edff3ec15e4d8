# SPDX-License-Identifier: BSD-3-Clause
"""Where the values of a network lie, and which steps take a sample at a time."""

from __future__ import annotations

from typing import NamedTuple

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


class Placed(NamedTuple):
    """`places` by number; `stretches` as `_core.Program.finish` takes them."""

    places: dict[int, Place]
    stretches: list[tuple[int, bool]]
    batch_bytes: int
    sample_bytes: int


def placed(steps: list[Step], sizes: list[Bytes], samples: int, outside: list[int]) -> Placed:
    """`outside`: the numbers that are arrays of the caller's, in order."""
    by_sample = _taken_by_sample(steps)
    stretches = _stretches(by_sample)
    lives = _lives(steps)
    places = {number: Place("outside", i) for i, number in enumerate(outside)}
    batch: list[tuple[int, int, range]] = []
    sample_bytes = 0
    for stretch in stretches:
        of_stretch = []
        for number, life in lives.items():
            if number in places or life.start < stretch.start or life.start >= stretch.stop:
                continue
            if by_sample[stretch.start] and life.stop <= stretch.stop:
                of_stretch.append((number, sizes[number].of(1), life))
            else:
                batch.append((number, sizes[number].of(samples), _whole(life, stretches, by_sample)))
        offsets, used = _packed(of_stretch)
        places |= {number: Place("sample", offset) for number, offset in offsets.items()}
        sample_bytes = max(sample_bytes, used)
    offsets, batch_bytes = _packed(batch)
    places |= {number: Place("batch", offset) for number, offset in offsets.items()}
    return Placed(places, [(s.stop, by_sample[s.start]) for s in stretches], batch_bytes, sample_bytes)


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
