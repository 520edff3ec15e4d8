# SPDX-License-Identifier: BSD-3-Clause
"""The cost model against what was measured: regret, and constants with less of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import problems, rivals
from benchmarks.targets.costs import Measured, constants
from benchmarks.timing import geometric_mean

Constants = dict[str, float]

# The model is taken to know a cost to about a twentieth: of two candidates so far apart the cheaper one is chosen
# three times of four.
SHARPNESS = 20.0
# What a constant that is e times what it was has to bring in the mean of the logarithms of all regrets.
PULL = 1e-3
# A candidate that a record has no time of, where the best one is known: that it is slower, not by how much.
UNRECORDED = math.log(1.1)
# Which micro-kernels run depends on these: the times of a record are those of its own.
NOT_FITTED = ("groups_spread", "groups_tile_bytes")
STEPS = (0.6, 0.8, 0.92, 1.08, 1.25, 1.6)
MOST_SWEEPS = 6


class Regret(NamedTuple):
    """Chosen / best of a product; `ratio` is not a number where the record has no time of what is chosen."""

    of: Measured
    chosen: str
    best: str
    ratio: float


class Model:
    """What the cost model says of the products of a record, at the record's ISA level."""

    dtype = np.dtype(np.float32)

    def __init__(self, measured: Sequence[Measured], isa: str, folder: Path | None = None) -> None:
        there = [m.product.matrix for m in measured if folder is not None or "/" not in m.product.matrix]
        names = dict.fromkeys(there)
        self.measured = [m for m in measured if m.product.matrix in names]
        self.isa = isa
        self._packed = {name: rivals.Ours().convert(problems.get(name, folder).csr(np.float32)) for name in names}

    def costs(self, values: Constants) -> list[dict[str, float]]:
        """Of each product the candidates with their costs, cheapest first."""
        core, found = rivals.import_ours()._core, []
        with constants(values), rivals.at_level(self.isa):
            for p in (m.product for m in self.measured):
                options = core.candidates(
                    self._packed[p.matrix], p.n, self.dtype, p.order == "b" and p.n > 1, p.winners
                )
                found.append({option["layout"]: option["cost"] for option in options})
        return found

    def regrets(self, values: Constants) -> list[Regret]:
        found = []
        for m, costs in zip(self.measured, self.costs(values), strict=True):
            chosen, best = next(iter(costs)), min(m.cycles, key=m.cycles.__getitem__)
            found.append(Regret(m, chosen, best, m.cycles.get(chosen, math.nan) / m.cycles[best]))
        return found

    def expected(self, values: Constants) -> float:
        """The mean of log regret, were the model's costs a little off: it tells a choice by a hair from a safe one."""
        total = 0.0
        for m, costs in zip(self.measured, self.costs(values), strict=True):
            chances = np.array([max(cost, 1e-9) for cost in costs.values()]) ** -SHARPNESS
            least = min(m.cycles.values())
            off = [math.log(m.cycles[name] / least) if name in m.cycles else UNRECORDED for name in costs]
            total += float(chances @ off / chances.sum())
        return total / max(1, len(self.measured))


def fitted(models: Sequence[Model], start: Constants, step: Callable[[str], None] = lambda name: None) -> Constants:
    """Coordinate descent from the constants in use: one after the other is tried a little larger and smaller, and kept
    where the expected regret falls by more than the change is held to cost. Those that no choice depends on stay."""

    names = [name for name in start if name not in NOT_FITTED]

    def objective(values: Constants) -> float:
        moved = sum(abs(math.log(values[name] / start[name])) for name in names)
        return sum(model.expected(values) for model in models) / len(models) + PULL * moved

    values, best = dict(start), objective(start)
    for _ in range(MOST_SWEEPS):
        before = best
        for name in names:
            step(name)
            for factor in STEPS:
                tried = values | {name: values[name] * factor}
                if (found := objective(tried)) < best - 1e-6:
                    values, best = tried, found
        if before - best < PULL / 10:
            break
    return {name: value if value == start[name] else float(f"{value:.2g}") for name, value in values.items()}


def known(regrets: Sequence[Regret]) -> list[Regret]:
    return [regret for regret in regrets if not math.isnan(regret.ratio)]


def mean(regrets: Sequence[Regret]) -> float:
    """The geometric mean of chosen / best, minus 1."""
    return geometric_mean([regret.ratio for regret in known(regrets)]) - 1


def worst(regrets: Sequence[Regret]) -> Regret:
    return max(known(regrets), key=lambda regret: regret.ratio)


def by(regrets: Sequence[Regret], key: Callable[[Regret], str]) -> dict[str, list[Regret]]:
    found: dict[str, list[Regret]] = {}
    for regret in regrets:
        found.setdefault(key(regret), []).append(regret)
    return found
