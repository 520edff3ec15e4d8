# SPDX-License-Identifier: BSD-3-Clause
"""complsparse in the timing loop."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import scipy.sparse as sp

from benchmarks.rivals.case import Case, WinnersCase
from benchmarks.rivals.peer import Peer, Variant


def import_ours() -> Any:
    """The library; ImportError also for a source tree whose extension is not built."""
    import complsparse

    if not hasattr(complsparse, "from_scipy"):
        raise ImportError("the complsparse on the path is a folder without the library")
    return complsparse


class Ours(Peer):
    """complsparse, through the C function that a bound plan hands out."""

    name = "complsparse"

    def __init__(self, strategy: str = "auto") -> None:
        self.strategy = strategy

    def available(self) -> tuple[bool, str]:
        try:
            return True, import_ours().__version__
        except ImportError as error:
            return False, f"not importable: {error}"

    def convert(self, matrix: sp.csr_array) -> Any:
        return import_ours().from_scipy(matrix, strategy=self.strategy)

    def variants(self, case: Case) -> Iterator[Variant]:
        yield self.bound(self.convert(case.matrix), case)

    def bound(self, packed: Any, case: Case, form: str | None = None, plan: Any = None) -> Variant:
        """The variant of a matrix that is packed already, with the plan that it chooses or another."""
        batch_major = case.batch_major and case.n > 1
        plan = plan or packed.plan(case.n, dtype=case.dtype, batch_major=batch_major)
        y = case.new_output()
        bound = plan.bind(case.x, y)
        keep = (packed, plan, bound, case.x, y)
        return self._variant(form or plan.microkernel, bound.function, bound.context, keep, case.as_columns(y))


@contextlib.contextmanager
def at_level(isa: str) -> Iterator[None]:
    """Plans made inside are those of an ISA level."""
    core = import_ours()._core
    before = next(level["name"] for level in core.isa_levels() if level["selected"])
    core.set_isa(isa)
    try:
        yield
    finally:
        core.set_isa(before)


class OursWinners(Peer):
    """complsparse with `Winners`: every way that the plan knows, or the one that it takes."""

    name = Ours.name

    def available(self) -> tuple[bool, str]:
        return Ours().available()

    def plan(self, packed: Any, case: WinnersCase, candidate: int = -1) -> Any:
        core, batch_major = import_ours()._core, case.batch_major or case.n == 1
        return core.make_plan(
            packed, case.n, case.dtype, batch_major, None, None, False, candidate=candidate, winners=case.winners
        )

    def ways(self, packed: Any, case: WinnersCase) -> list[str]:
        """Cheapest first, as the model sees it."""
        core = import_ours()._core
        return [way["layout"] for way in core.candidates(packed, case.n, case.dtype, winners=case.winners)]

    def variant(self, packed: Any, case: WinnersCase, form: str, candidate: int = -1) -> Variant:
        return self._bound(packed, case, form, self.plan(packed, case, candidate), case.new_output())

    def _bound(self, packed: Any, case: WinnersCase, form: str, plan: Any, y: Any) -> Variant:
        axis = 1 if case.batch_major and case.n > 1 else 0
        w = import_ours().Winners.from_dense(case.x, axis=axis if case.n > 1 else -1)
        bound = plan.bind(w, y)
        keep = (packed, plan, bound, w, y)
        return self._variant(form, bound.function, bound.context, keep, case.as_columns(y))

    def anew(self, packed: Any, case: WinnersCase, form: str, candidate: int, count: int) -> list[Variant]:
        """A plan for `count` batches of vectors. All write to one array, as in a network."""
        plan, other = self.plan(packed, case, candidate), copy.copy(case)
        y, found = case.new_output(), []
        for seed in range(count):
            object.__setattr__(other, "seed", seed)
            object.__setattr__(other, "x", other.drawn_x())
            found.append(self._bound(packed, other, form, plan, y))
        return found

    def all_ways(self, packed: Any, case: WinnersCase) -> list[Variant]:
        return [self.variant(packed, case, way, i) for i, way in enumerate(self.ways(packed, case))]


@dataclass(frozen=True)
class Choice:
    """A plan that could run a product, and whether it is the one that `W.plan` chooses."""

    name: str
    layout: str
    plan: Any
    chosen: bool


def candidates(packed: Any, case: Case) -> list[Choice]:
    """Every layout that could run the case, with its micro-kernel; the first is the one that a plan takes."""
    core = import_ours()._core
    batch_major = case.batch_major and case.n > 1
    rows = core.candidates(packed, case.n, case.dtype, batch_major)
    plans = [
        core.make_plan(packed, case.n, case.dtype, batch_major, None, None, False, candidate=i)
        for i in range(len(rows))
    ]
    return [
        Choice(f"{plan.microkernel} {row['layout']}", row["layout"], plan, i == 0)
        for i, (row, plan) in enumerate(zip(rows, plans, strict=True))
    ]
