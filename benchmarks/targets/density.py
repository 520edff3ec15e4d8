# SPDX-License-Identifier: BSD-3-Clause
"""Time against density: every density and block height in one race, dense beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case, MklDense, MklSparse, Ours, Variant
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Effort, Samples

BATCHES = (1, 16, 64)
CHOICE_BATCHES = (1, 4, 16, 64, 256)
CHOICE_HEIGHTS = (1, 4, 16)


@dataclass(frozen=True)
class Fit:
    """Least squares: time = intercept + slope * density."""

    intercept: float
    slope: float
    r_squared: float
    share: float  # the intercept over the time of the densest point


def fit(density: Sequence[float], ns: Sequence[float]) -> Fit:
    x, y = np.asarray(density), np.asarray(ns)
    slope, intercept = np.polyfit(x, y, 1)
    left = y - (intercept + slope * x)
    r_squared = 1 - np.sum(left**2) / np.sum((y - y.mean()) ** 2)
    return Fit(float(intercept), float(slope), float(r_squared), float(intercept / y[np.argmax(x)]))


def _natural(case: Case, variants: Iterator[Variant]) -> Variant:
    """The best of a rival on the case's own arrays."""
    return rivals.fastest(case, [v for v in variants if v.natural])


def _point(height: int, size: int, n: int, threads: int, dense: bool) -> tuple[dict[str, Variant], Record]:
    """The best of each side on one pattern; with the dense rival on the first."""
    problem = problems.balanced(problems.SHAPES[0], size, height, group="sweep")
    case = Case(problem, n, threads=threads)
    sides = [Ours(), MklSparse(), *([MklDense()] if dense else [])]
    found = {side.name: _natural(case, side.variants(case)) for side in sides if side.available()[0]}
    share = case.matrix.nnz / np.prod(case.matrix.shape)
    sparse = {peer: variant.form for peer, variant in found.items() if peer != MklDense.name}
    return found, {"problem": problem.name, "height": height, "set_size": size, "density": float(share),
                   "nnz": int(case.matrix.nnz), "variants": sparse}  # fmt: skip


def _fits(points: Sequence[Record], heights: Sequence[int]) -> list[Record]:
    found = []
    for height in heights:
        for peer in points[0]["ns"]:
            row = [
                (p["density"], p["ns"][peer])
                for p in points
                if p["height"] == height and p["set_size"] in problems.SWEEP_SETS
            ]
            found.append({"height": height, "peer": peer, **asdict(fit(*map(list, zip(*row))))})
    return found


def sweep(
    n: int,
    threads: int,
    effort: Effort,
    heights: Sequence[int] = (1,),
    set_sizes: Sequence[int] = problems.SWEEP_SETS,
    kind: str = "sweep",
) -> tuple[Samples, Record]:
    """Every density and block height in one interleaved race, so that all see the same clock; dense beside them."""
    racers: dict[str, Variant] = {}
    points: list[Record] = []
    for height in heights:
        for size in set_sizes:
            found, point = _point(height, size, n, threads, dense=not points)
            racers |= {
                peer if peer == MklDense.name else f"{peer} {point['problem']}": variant
                for peer, variant in found.items()
            }
            points.append(point)
    calls = [replace(v.call, name=name) for name, v in racers.items()]
    samples = timing.race(calls, replace(effort, alone=threads == 1))
    for point in points:
        own = {peer: f"{peer} {point['problem']}" for peer in point["variants"]}
        point["ns"] = {peer: samples.median(name) for peer, name in own.items()}
        point["ratio"] = {
            peer: samples.ratio(name, own[Ours.name])
            for peer, name in [*own.items(), (MklDense.name, MklDense.name)]
            if peer != Ours.name and name in racers
        }
    out = {"kind": kind, "section": kind, "n": n, "shape": list(problems.SHAPES[0]), "threads": threads,
           "rounds": len(samples.ns), "disturbed": samples.disturbed, "calls_per_sample": min(samples.calls),
           "points": points, "fits": _fits(points, heights)}  # fmt: skip
    if MklDense.name in racers:
        out["dense"] = {"variant": racers[MklDense.name].form, "ns": samples.median(MklDense.name)}
    return samples, out


def sweep_cases(run: Run) -> Iterator[Record]:
    """From 80% to 98% sparse, (1, 1)."""
    sizes = problems.SWEEP_SETS[::3] if run.quick else problems.SWEEP_SETS
    effort = replace(run.effort, min_rounds=7, max_rounds=11, budget_s=2.0)
    for n in BATCHES:
        yield sweep(n, run.threads, effort, set_sizes=sizes)[1]


def choice_cases(run: Run) -> Iterator[Record]:
    """Sparsity x block height x batch size, for the chart that helps to choose: fewer calls a sample."""
    sizes = (*problems.CROSSOVER_SETS, *problems.SWEEP_SETS)
    effort = replace(run.effort, min_calls=10, sample_ms=1.0, min_rounds=5, max_rounds=7, budget_s=1.0)
    for n in CHOICE_BATCHES[::2] if run.quick else CHOICE_BATCHES:
        yield sweep(n, run.threads, effort, CHOICE_HEIGHTS, sizes[::2] if run.quick else sizes, "choice")[1]


# --- targets ----------------------------------------------------------------------------------------------------------


def _ours(records: Records, n: int) -> Record | None:
    fits = [f for r in of_section(records, "sweep") if r["n"] == n for f in r["fits"] if f["peer"] == Ours.name]
    return fits[0] if fits else None


def _r_squared(records: Records, n: int) -> Figure | None:
    found = _ours(records, n)
    return found and Figure(f"{found['r_squared']:.4f}", found["r_squared"])


def _intercept(records: Records, n: int) -> Figure | None:
    found = _ours(records, n)
    return found and Figure(f"{found['share']:.1%}", 100 * found["share"])


def _targets() -> Iterator[Target]:
    for n in BATCHES:
        what = f"time against density, (1, 1), N = {n}"
        yield Target(f"{what}: R²", at_least(0.99), partial(_r_squared, n=n))
        yield Target(f"{what}: intercept / 80% time", Bound("<", 10, "%"), partial(_intercept, n=n))


TARGETS = tuple(_targets())
