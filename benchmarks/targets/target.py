# SPDX-License-Identifier: BSD-3-Clause
"""What a target is: a bound, the figure of a run that is held against it, and the verdict."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import Effort, geometric_mean

Record = dict[str, Any]
Records = Sequence[Record]


@dataclass(frozen=True)
class Run:
    """What the sections of `accept.py` are told. `script` is the command line that a process of its own starts."""

    folder: Path | None
    quick: bool
    threads: int
    effort: Effort
    script: str = ""


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    "": operator.eq,
}


@dataclass(frozen=True)
class Bound:
    """A figure has to be at least (`>=`), at most (`<=`), below (`<`) or exactly (no sign) the value."""

    sign: str
    value: float
    unit: str = ""

    def holds(self, figure: float, slack: float = 0.0) -> bool:
        """`slack`: the part of the bound that the noise of a measurement may take from it."""
        return _HOLDS[self.sign](figure, self.value * (1 - slack))

    def __str__(self) -> str:
        return f"{self.sign} {self.value}{self.unit}".strip()


@dataclass(frozen=True)
class Figure:
    """What was measured for a target: `value` in the unit of the bound, or None where it was not measured, which `text`
    then explains. `cases` is how many were counted, `detail` names the worst of them."""

    text: str
    value: float | None = None
    detail: str = ""
    cases: int | None = None
    partial: bool = False  # some cases were not measured: what is left can miss the bound, but not meet it
    wrong: bool = False  # a result is wrong: missed, however fast it was


@dataclass(frozen=True)
class Target:
    """A bound on a figure of a run's records; `figure` is None where the run was about something else.

    `cases` are the products that have to be measured for it and `rivals` the names of those that it is over, where its
    section reads them from here. `row` is what the targets of a row of a table have in common."""

    what: str
    bound: Bound
    figure: Callable[[Records], Figure | None]
    cases: tuple[Any, ...] = ()
    rivals: tuple[str, ...] = ()
    row: str = ""
    aim: bool = False  # reported against its bound, but a miss is no failure
    slack: float = 0.0

    def verdict(self, records: Records) -> Verdict | None:
        figure = self.figure(records)
        return None if figure is None else Verdict(self, figure)


@dataclass(frozen=True)
class Verdict:
    """A target and its figure."""

    target: Target
    figure: Figure

    @property
    def what(self) -> str:
        counted = "" if self.figure.cases is None else f" ({self.figure.cases} cases)"
        return self.target.what + counted

    @property
    def bound(self) -> str:
        return f"{'aim ' if self.target.aim else ''}{self.target.bound}"

    @property
    def holds(self) -> bool | None:
        """Whether the figure is within the bound; None where that was not, or not wholly, measured."""
        if self.figure.value is None:
            return None
        if self.figure.wrong or not self.target.bound.holds(self.figure.value, self.target.slack):
            return False
        return None if self.figure.partial else True

    @property
    def met(self) -> bool | None:
        """The verdict; None where there is none to give."""
        return None if self.target.aim else self.holds

    def record(self) -> Record:
        return {"what": self.what, "target": self.bound, "figure": self.figure.text, "met": self.met,
                "worst": self.figure.detail}  # fmt: skip


def at_least(value: float, unit: str = "") -> Bound:
    return Bound(">=", value, unit)


def of_section(records: Records, name: str) -> list[Record]:
    return [record for record in records if record.get("section") == name]


def label(record: Record) -> str:
    return f"{record['problem']} n={record['n']}"


def worst(records: Records, key: Callable[[Record], float], count: int = 3) -> str:
    return ", ".join(f"{label(r)} {key(r):.2f}" for r in sorted(records, key=key)[:count])


def mean(records: Records, key: Callable[[Record], float]) -> Figure:
    """The geometric mean over records, and the lowest of them."""
    values = [key(record) for record in records]
    if not values or any(map(math.isnan, values)):
        return Figure("not measured")
    value = geometric_mean(values)
    return Figure(f"{value:.2f}", value, worst(records, key), len(values))


def judged(targets: Iterable[Target], records: Records) -> list[Verdict]:
    return [verdict for target in targets if (verdict := target.verdict(records)) is not None]
