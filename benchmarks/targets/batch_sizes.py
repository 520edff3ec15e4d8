# SPDX-License-Identifier: BSD-3-Clause
"""Time against the number of columns: no batch is to take much longer than a wider one, nor longer than a rival."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case, MklSparse, Ours, Variant
from benchmarks.targets.costs import isa
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Effort, geometric_mean

SIZES = tuple(range(1, 131))
QUICK_SIZES = (1, 2, 4, 7, 8, 9, 12, 16, 17, 24, 31, 32, 33, 40, 48, 63, 64, 65, 100, 128, 129)
COUNTED = 128  # columns up to which a rival is to be no faster
MOST_STEP = 1.12  # t(N) over the least t(M), M >= N
MOST_HALF = 0.62  # t(33) / t(64)
MATRICES = ("bernoulli_1024x1024_95", "bernoulli_1024x1024_90", "balanced_1024x1024_b4_s20",
            "balanced_1024x1024_b4_s10", "bernoulli_3072x768_90", "balanced_3072x768_b4_s16",
            "bernoulli_512x512_95")  # fmt: skip
# A round is all sizes: short samples, of which the least counts. Times only ever err upwards.
EFFORT = Effort(sample_ms=0.3, min_calls=3, min_rounds=9, max_rounds=25, budget_s=3.0, alone=True)


class Step(NamedTuple):
    """A batch of n columns takes `factor` times as long as one of `wider`."""

    n: int
    wider: int
    factor: float


def steps(sizes: Sequence[int], ns: Sequence[float]) -> list[Step]:
    """Each size beside the fastest of those that are no smaller, the worst first."""
    found = []
    for i, (n, own) in enumerate(zip(sizes, ns, strict=True)):
        least = min(range(i, len(ns)), key=lambda j: ns[j])
        found.append(Step(n, sizes[least], own / ns[least]))
    return sorted(found, key=lambda step: -step.factor)


def _natural(case: Case, variants: Iterable[Variant]) -> Variant:
    found = [v for v in variants if v.natural]
    return rivals.fastest(case, found) if found[1:] else rivals.checked(case, found)[0]


def sweep(
    name: str, layout: str, sizes: Sequence[int] = SIZES, effort: Effort = EFFORT, mkl: bool = True, way: str = ""
) -> Record:
    """Every size in one interleaved race, on the caller's own arrays; a rival beside it. `way`: the layout that all
    sizes have to take, where it is a candidate, instead of what the plan chooses."""
    ours, problem = Ours(), problems.get(name)
    mine: dict[int, Variant] = {}
    theirs: dict[int, Variant] = {}
    packed: Any = None
    for n in sizes:
        case = Case(problem, n, layout)
        packed = ours.convert(case.matrix) if packed is None else packed
        plan = next((c.plan for c in rivals.candidates(packed, case) if c.layout == way), None) if way else None
        mine[n] = rivals.checked(case, [ours.bound(packed, case, plan=plan)])[0]
        if mkl and MklSparse().available()[0]:
            theirs[n] = _natural(case, MklSparse().variants(case))
    calls = [
        replace(v.call, name=f"{peer} {n}") for peer, of in (("ours", mine), ("mkl", theirs)) for n, v in of.items()
    ]
    samples = timing.race(calls, effort)
    least = dict(zip(samples.names, np.min(samples.ns, axis=0).tolist(), strict=True))
    return {"kind": "batch sizes", "section": "batch sizes", "problem": name, "layout": layout,
            "nnz": int(case.matrix.nnz), "isa": isa(), "n": list(sizes), "variants": [v.form for v in mine.values()],
            "ns": [least[f"ours {n}"] for n in sizes], "mkl_ns": [least[f"mkl {n}"] for n in theirs],
            "disturbed": samples.disturbed}  # fmt: skip


def cases(run: Run) -> Iterator[Record]:
    for name in MATRICES[::3] if run.quick else MATRICES:
        for layout in (FEATURE_MAJOR, BATCH_MAJOR):
            yield sweep(name, layout, QUICK_SIZES if run.quick else SIZES)


# --- targets ----------------------------------------------------------------------------------------------------------


def half(record: Record) -> float:
    """t(33) / t(64)"""
    ns = dict(zip(record["n"], record["ns"], strict=True))
    return float(ns[33] / ns[64])


def over_mkl(record: Record) -> dict[int, float]:
    return {n: theirs / own for n, own, theirs in zip(record["n"], record["ns"], record["mkl_ns"]) if n <= COUNTED}


def label(record: Record) -> str:
    return f"{record['problem']} {record['layout']}"


def _figure(
    records: Records, value: Callable[[Record], float], worst_first: Callable[[Any], float], text: str
) -> Figure | None:
    found = sorted(((value(r), label(r)) for r in of_section(records, "batch sizes")), key=lambda f: worst_first(f[0]))
    if not found:
        return None
    return Figure(text.format(found[0][0]), found[0][0], ", ".join(f"{at} {v:.2f}" for v, at in found[:5]), len(found))


def _worst_step(record: Record) -> float:
    return steps(record["n"], record["ns"])[0].factor


def _mean_over_mkl(records: Records) -> Figure | None:
    found = [over_mkl(r) for r in of_section(records, "batch sizes") if r["mkl_ns"]]
    if not found:
        return None
    means = {n: geometric_mean([ratios[n] for ratios in found]) for n in found[0]}
    n = min(means, key=lambda n: means[n])
    return Figure(f"{means[n]:.2f} at N = {n}", means[n], cases=len(found))


def _least_over_mkl(records: Records) -> Figure | None:
    with_mkl = [r for r in records if r.get("mkl_ns")]
    return _figure(with_mkl, lambda r: min(over_mkl(r).values()), lambda v: v, "{:.2f}")


TARGETS = (
    Target("t(N) over the least t(M), M >= N, at worst", Bound("<=", MOST_STEP),
           partial(_figure, value=_worst_step, worst_first=lambda v: -v, text="{:.2f}")),
    Target("t(33) / t(64) at worst", Bound("<=", MOST_HALF),
           partial(_figure, value=half, worst_first=lambda v: -v, text="{:.2f}")),
    Target(f"MKL sparse / ours, lowest of N up to {COUNTED}", at_least(1), _least_over_mkl),
    Target("MKL sparse / ours, the N with the lowest geomean", at_least(1.3), _mean_over_mkl),
)  # fmt: skip
