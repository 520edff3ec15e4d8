# SPDX-License-Identifier: BSD-3-Clause
"""What the choice of a plan costs: chosen / best of all candidates - 1, every candidate in one interleaved race.

python benchmarks/regret.py [balanced_1024x1024_b1_s16 ...] [-n 1 16 64]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import matrices as problems
from benchmarks.rivals import comparison as compare
from benchmarks.rivals import peers
from benchmarks.rivals.peers import BATCH_MAJOR, FEATURE_MAJOR, Case, Ours, Variant
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Effort, geometric_mean

BATCHES = (1, 4, 16, 64, 256)
GENERATED = ("bernoulli_1024x1024_95", "bernoulli_3072x768_90", "equal_1500x1600_98", "balanced_1024x1024_b1_s16",
             "balanced_1500x1600_b1_s20", "balanced_3072x768_b4_s16", "balanced_1024x1024_b16_s16",
             "balanced_4096x4096_b1_s16", "balanced_1024x1024_b1_s5", "balanced_1024x1024_b4_s50")  # fmt: skip
REAL = ("lyra/gru_layer", "lyra/proj")
EFFORT = Effort(sample_ms=1.0, min_calls=20, max_sample_ms=40.0, min_rounds=7, max_rounds=11, budget_s=0.5)


def names(folder: Path | None) -> list[str]:
    return [*GENERATED, *(REAL if folder is not None else ())]


def measure(case: Case, effort: Effort) -> tuple[timing.Samples, dict[str, Any]]:
    """Samples named by candidate, and the record with the regret."""
    ours = Ours()
    packed = ours.convert(case.matrix)
    plans = compare.candidates(packed, case)
    variants: list[Variant] = []
    for i, plan in enumerate(plans):
        form = plan.name if [p.name for p in plans].count(plan.name) == 1 else f"{plan.name} #{i}"
        variant = ours.bound(packed, case, form, plan.plan)
        variant.result[...] = np.nan
        variant.call()
        case.check(variant.name, variant.result)
        variants.append(variant)
    samples = timing.race([v.call for v in variants], replace(effort, alone=case.threads == 1))
    chosen = next(v for v, plan in zip(variants, plans) if plan.chosen)
    best = min(variants, key=lambda v: samples.median(v.name))
    regret = max(0.0, samples.ratio(chosen.name, best.name) - 1)
    record = {"kind": "regret", "problem": case.problem.name, "group": case.problem.group, "n": case.n,
              "layout": case.layout, "dtype": case.dtype.name, "chosen": chosen.form, "best": best.form,
              "regret": regret, "disturbed": samples.disturbed,
              "ns": {v.form: samples.median(v.name) for v in variants}}  # fmt: skip
    return samples, record


def mean(records: Sequence[dict[str, Any]]) -> float:
    """The geometric mean of chosen / best, minus 1."""
    return geometric_mean([1 + r["regret"] for r in records]) - 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time what the plan chose against every candidate.")
    parser.add_argument("problems", nargs="*")
    parser.add_argument("-n", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--batch-major", action="store_true")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args(arguments)
    compare.pin(1)
    peers.set_threads(1)
    folder = problems.data_folder(chosen.data)
    records = []
    for name in chosen.problems or names(folder):
        for n in chosen.n:
            case = Case(problems.get(name, folder), n, BATCH_MAJOR if chosen.batch_major and n > 1 else FEATURE_MAJOR)
            records.append(measure(case, EFFORT)[1])
            found = records[-1]
            print(f"{case}: {found['regret']:.1%} with {found['chosen']}")
            for form, ns in sorted(found["ns"].items(), key=lambda item: item[1]):
                print(f"    {ns / 1e3:10.2f} us  {form}")
    print(f"geometric mean {mean(records):.2%} of {len(records)} products")
    return 0
