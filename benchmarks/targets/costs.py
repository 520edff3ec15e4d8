# SPDX-License-Identifier: BSD-3-Clause
"""What every candidate of a product takes, in cycles: the record that the cost model's constants are fitted to."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import problems, rivals, timing
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case, Ours, OursWinners, WinnersCase
from benchmarks.timing import Candidate, Effort, Samples

# A tenth of a second a product: of the fixed list two thousand have a choice.
EFFORT = Effort(sample_ms=0.5, min_calls=5, max_sample_ms=40.0, min_rounds=7, max_rounds=9, budget_s=0.12, alone=True)
ORDERS = {"f": FEATURE_MAJOR, "b": BATCH_MAJOR}
# Winners that a race goes through before it meets the first again, at least, in so many vectors at most: of a few the
# processor learns the lengths of their columns by heart, which it cannot where every vector is new.
FRESH_WINNERS, MOST_FRESH = 40_000, 1500


class Product(NamedTuple):
    """`order`: of x and y, a key of `ORDERS`; `winners` of each vector, or None where all activations count."""

    matrix: str
    n: int
    order: str
    winners: int | None = None

    @property
    def kind(self) -> str:
        if self.winners is not None:
            return "winners"
        return re.split("[_/]", self.matrix, maxsplit=1)[0]

    def __str__(self) -> str:
        winners = "" if self.winners is None else f" {self.winners} winners"
        return f"{self.matrix} n={self.n}{self.order if self.n > 1 else ''}{winners}"


@dataclass(frozen=True)
class Measured:
    """Cycles for a column of x, by layout."""

    product: Product
    cycles: dict[str, float]


@contextlib.contextmanager
def constants(values: dict[str, float]) -> Iterator[None]:
    """Choices made inside are those of other constants."""
    core = rivals.import_ours()._core
    before = core.cost_constants()
    core.set_cost_constants(values)
    try:
        yield
    finally:
        core.set_cost_constants(before)


@functools.lru_cache(maxsize=1)
def _packed(name: str, folder: Path | None) -> Any:
    return Ours().convert(problems.get(name, folder).csr())


def _candidates(product: Product, folder: Path | None) -> list[Candidate]:
    """By layout."""
    problem, order = problems.get(product.matrix, folder), ORDERS[product.order]
    packed = _packed(product.matrix, folder)
    if product.winners is not None:
        case, ours = WinnersCase(problem, product.n, order, winners=product.winners), OursWinners()
        rivals.checked(case, ours.all_ways(packed, case))
        count = min(-(-FRESH_WINNERS // (product.n * product.winners)), MOST_FRESH)
        return [
            timing.in_turn(way, [variant.call for variant in ours.anew(packed, case, way, i, count)])
            for i, way in enumerate(ours.ways(packed, case))
        ]
    dense = Case(problem, product.n, order)
    plans = rivals.candidates(packed, dense)
    if not plans[1:]:
        return []
    variants = rivals.checked(dense, [Ours().bound(packed, dense, p.layout, p.plan) for p in plans])
    return [replace(variant.call, name=variant.form) for variant in variants]


def race(product: Product, folder: Path | None, effort: Effort = EFFORT) -> Samples | None:
    """Every candidate, the one that the plan takes first. None where there is no choice."""
    candidates = _candidates(product, folder)
    return timing.race(candidates, effort) if candidates else None


def measure(product: Product, folder: Path | None, effort: Effort = EFFORT) -> tuple[Measured | None, float]:
    """What a race found, and the share of samples that were disturbed. Times are the best candidate's median and ratios
    of the same rounds."""
    ghz = timing.clock_ghz()
    samples = race(product, folder, effort)
    if samples is None:
        return None, 0.0
    best = min(samples.names, key=samples.median)
    cycles = samples.median(best) * ghz / product.n
    return Measured(product, {name: cycles * samples.ratio(name, best) for name in samples.names}), samples.disturbed


# --- records ----------------------------------------------------------------------------------------------------------


def _rounded(value: float) -> float:
    """To four digits, as short as JSON has it."""
    value = float(f"{value:.4g}")
    return int(value) if value.is_integer() else value


def record(measured: Sequence[Measured], machine: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Plain data: of each matrix a row for each product, [n, order, winners, {layout: cycles for a column}]."""
    core = rivals.import_ours()._core
    by_matrix: dict[str, list[Any]] = {}
    for product, cycles in ((m.product, m.cycles) for m in measured):
        row = [product.n, product.order, product.winners, {name: _rounded(value) for name, value in cycles.items()}]
        by_matrix.setdefault(product.matrix, []).append(row)
    return {"kind": "costs", "cpu": machine["cpu"], "model": machine["model"], "isa": isa(),
            "caches": core.cache_sizes(), "date": f"{datetime.date.today()}", "ghz": _rounded(timing.clock_ghz()),
            **more, "cycles": by_matrix}  # fmt: skip


def isa() -> str:
    return str(next(level["name"] for level in rivals.import_ours()._core.isa_levels() if level["selected"]))


def write(path: Path, found: dict[str, Any]) -> None:
    """One matrix a line."""
    head = json.dumps({key: value for key, value in found.items() if key != "cycles"}, indent=1)
    rows = [f" {json.dumps(name)}: {json.dumps(rows, separators=(',', ':'))}" for name, rows in found["cycles"].items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head.removesuffix("\n}") + ',\n "cycles": {\n' + ",\n".join(rows) + "\n }\n}\n")


def read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    if not isinstance(found, dict) or found.get("kind") != "costs":
        raise ValueError(f"{path} is not a record of benchmarks/fit_costs.py")
    return found


def measured_of(found: dict[str, Any]) -> list[Measured]:
    return [
        Measured(Product(name, n, order, winners), cycles)
        for name, rows in found["cycles"].items()
        for n, order, winners, cycles in rows
    ]
