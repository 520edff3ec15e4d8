# SPDX-License-Identifier: BSD-3-Clause
"""What the choice of a plan costs over the fixed list: chosen / best of all candidates - 1, every candidate in one
interleaved race."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import rivals
from benchmarks.targets import cost_fit, costs, regret_list
from benchmarks.targets.cost_fit import Regret
from benchmarks.targets.costs import Measured, Product
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, of_section
from benchmarks.timing import geometric_mean

QUICK_MATRICES = 40


def resumed(path: Path | None) -> list[Measured]:
    """What a record of this ISA level has; nothing where there is no record."""
    if path is None or not path.exists():
        return []
    found = costs.read(path)
    if found["isa"] != costs.isa():
        raise ValueError(f"{path} is a record of {found['isa']}, not of {costs.isa()}")
    return costs.measured_of(found)


def measured(
    known: Sequence[Measured], folder: Path | None, matrices: int | None = None, seconds: float = math.inf
) -> list[Measured]:
    """The products of the list that several layouts could serve, of its first so many matrices, measured for so long.
    Those that are known are not measured again."""
    from complsparse._progress import progress

    found, end = list(known), time.monotonic() + seconds
    done = {of.product for of in found}
    names = regret_list.matrices(folder)[:matrices]
    with progress("measuring", len(names)) as step:
        for name in names:
            step(name)
            for product in regret_list.products_of(name, folder):
                if product not in done and time.monotonic() < end and (of := costs.measure(product, folder)[0]):
                    found.append(of)
    return found


def regrets(measured: Sequence[Measured], folder: Path | None) -> list[Regret]:
    """Of the constants in use, which also chose how vectors with winners were written out."""
    model = cost_fit.Model(measured, costs.isa(), folder)
    return cost_fit.known(model.regrets(rivals.import_ours()._core.cost_constants()))


def cases(run: Run) -> Iterator[Record]:
    found = measured([], run.folder, QUICK_MATRICES if run.quick else None)
    for of, chosen, best, ratio in regrets(found, run.folder):
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
