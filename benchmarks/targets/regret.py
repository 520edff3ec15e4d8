# SPDX-License-Identifier: BSD-3-Clause
"""What the choice of a plan costs over the fixed list: chosen / best of all candidates - 1, every candidate in one
interleaved race."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import problems, rivals
from benchmarks.reports import machine
from benchmarks.targets import cost_fit, costs, regret_list
from benchmarks.targets.cost_fit import Regret
from benchmarks.targets.costs import Measured, Product
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, of_section
from benchmarks.timing import geometric_mean

# A tenth of a second a product: there are two thousand with a choice.
EFFORT = replace(costs.EFFORT, sample_ms=0.5, min_calls=5, min_rounds=7, budget_s=0.12)
QUICK_MATRICES = 40


def measured_list(
    folder: Path | None,
    known: Iterable[Measured] = (),
    matrices: int | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> list[Measured]:
    """The products of the list, of its first so many matrices, for so long; those that are known are not measured
    again. Without those that one layout alone can serve."""
    found, end = list(known), None if seconds is None else time.monotonic() + seconds
    done = {measured.product for measured in found}
    for name in regret_list.matrices(folder)[:matrices]:
        for product in regret_list.products_of(name, folder):
            if product in done or (end is not None and time.monotonic() > end):
                continue
            step(str(product))
            measured, _ = costs.measure(product, folder, EFFORT)
            if measured is not None:
                found.append(measured)
    return found


def resumed(path: Path) -> list[Measured]:
    """What a record of this ISA level has; nothing where there is no record."""
    if not path.exists():
        return []
    found = costs.read(path)
    if found["isa"] != costs.isa():
        raise ValueError(f"{path} is a record of {found['isa']}, not of {costs.isa()}")
    return costs.measured_of(found)


def kept(path: Path, measured: Sequence[Measured]) -> dict[str, Any]:
    found = costs.record(measured, machine.record(1))
    costs.write(path, found)
    return found


def regrets(measured: Sequence[Measured], folder: Path | None) -> list[Regret]:
    """Of the constants in use, which also chose how vectors with winners were written out."""
    model = cost_fit.Model(measured, costs.isa(), folder)
    return cost_fit.known(model.regrets(rivals.import_ours()._core.cost_constants()))


def cases(run: Run) -> Iterator[Record]:
    measured = measured_list(run.folder, matrices=QUICK_MATRICES if run.quick else None)
    for of, chosen, best, ratio in regrets(measured, run.folder):
        yield {"section": "regret", "kind": "regret", "problem": of.product.matrix, "n": of.product.n,
               "order": of.product.order, "winners": of.product.winners, "chosen": chosen, "best": best,
               "regret": ratio - 1, "cycles": of.cycles}  # fmt: skip


def mean(records: Records) -> float:
    """The geometric mean of chosen / best, minus 1."""
    return geometric_mean([1 + r["regret"] for r in records]) - 1


def _product(record: Record) -> Product:
    return Product(record["problem"], record["n"], record["order"], record["winners"])


def _mean(records: Records) -> Figure | None:
    found = of_section(records, "regret")
    if not found:
        return None
    worst = sorted(found, key=lambda r: -r["regret"])[:5]
    detail = ", ".join(f"{_product(r)} {r['regret']:.0%} ({r['chosen']}, best {r['best']})" for r in worst)
    return Figure(f"{mean(found):.1%}", 100 * mean(found), detail, len(found))


def _worst(records: Records) -> Figure | None:
    found = of_section(records, "regret")
    if not found:
        return None
    worst = max(r["regret"] for r in found)
    return Figure(f"{worst:.0%}", 100 * worst, f"{sum(r['regret'] > 0.15 for r in found)} above 15%", len(found))


TARGETS = (
    Target("regret of the plan's choice, geomean", Bound("<", 3, "%"), _mean),
    Target("regret of the plan's choice, worst", Bound("<", 15, "%"), _worst),
)
