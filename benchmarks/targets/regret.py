# SPDX-License-Identifier: BSD-3-Clause
"""What the choice of a plan costs: chosen / best of all candidates - 1, every candidate in one interleaved race."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case, Ours
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, label, of_section
from benchmarks.timing import Effort, Samples, geometric_mean

BATCHES = (1, 4, 16, 64, 256)
GENERATED = ("bernoulli_1024x1024_95", "bernoulli_3072x768_90", "equal_1500x1600_98", "balanced_1024x1024_b1_s16",
             "balanced_1500x1600_b1_s20", "balanced_3072x768_b4_s16", "balanced_1024x1024_b16_s16",
             "balanced_4096x4096_b1_s16", "balanced_1024x1024_b1_s5", "balanced_1024x1024_b4_s50")  # fmt: skip
REAL = ("lyra/gru_layer", "lyra/proj")
EFFORT = Effort(sample_ms=1.0, min_calls=20, max_sample_ms=40.0, min_rounds=7, max_rounds=11, budget_s=0.5)


def names(folder: Path | None) -> list[str]:
    return [*GENERATED, *(REAL if folder is not None else ())]


def measure(case: Case, effort: Effort) -> tuple[Samples, Record]:
    """Samples named by candidate, and the record with the regret."""
    ours = Ours()
    packed = ours.convert(case.matrix)
    plans = rivals.candidates(packed, case)
    alike = [plan.name for plan in plans]
    forms = [name if alike.count(name) == 1 else f"{name} #{i}" for i, name in enumerate(alike)]
    variants = rivals.checked(case, [ours.bound(packed, case, form, p.plan) for form, p in zip(forms, plans)])
    samples = timing.race([v.call for v in variants], replace(effort, alone=case.threads == 1))
    chosen = next(v for v, plan in zip(variants, plans) if plan.chosen)
    best = min(variants, key=lambda v: samples.median(v.name))
    regret = max(0.0, samples.ratio(chosen.name, best.name) - 1)
    record = {"kind": "regret", "problem": case.problem.name, "group": case.problem.group, "n": case.n,
              "layout": case.layout, "dtype": case.dtype.name, "chosen": chosen.form, "best": best.form,
              "regret": regret, "disturbed": samples.disturbed,
              "ns": {v.form: samples.median(v.name) for v in variants}}  # fmt: skip
    return samples, record


def cases(run: Run) -> Iterator[Record]:
    found = names(run.folder)
    for name in found[::4] if run.quick else found:
        for n in BATCHES:
            yield {"section": "regret", **measure(Case(problems.get(name, run.folder), n), EFFORT)[1]}


def mean(records: Records) -> float:
    """The geometric mean of chosen / best, minus 1."""
    return geometric_mean([1 + r["regret"] for r in records]) - 1


def _mean(records: Records) -> Figure | None:
    regrets = of_section(records, "regret")
    if not regrets:
        return None
    if all(len(r["ns"]) == 1 for r in regrets):
        return Figure("not measured: the library names no candidates", cases=len(regrets))
    found = mean(regrets)
    worst = sorted(regrets, key=lambda r: -r["regret"])[:5]
    detail = ", ".join(f"{label(r)} {r['regret']:.0%} ({r['chosen']}, best {r['best']})" for r in worst)
    return Figure(f"{found:.1%}", 100 * found, detail, len(regrets))


TARGETS = (Target("regret of the plan's choice, geomean", Bound("<", 5, "%"), _mean),)
