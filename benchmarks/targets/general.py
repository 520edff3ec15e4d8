# SPDX-License-Identifier: BSD-3-Clause
"""Products with matrices of any pattern against MKL sparse, and from Python against SciPy."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.problems import COUNTED_NNZ, Problem
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case, MklSparse, Ours
from benchmarks.targets.target import (
    Bound,
    Figure,
    Record,
    Records,
    Run,
    Target,
    at_least,
    mean,
    of_section,
    worst,
)

BATCHES = (1, 16, 64, 256)

# --- measuring --------------------------------------------------------------------------------------------------------


def measure(
    problem: Problem, batches: Iterable[int], layout: str, dtype: Any, section: str, run: Run
) -> Iterator[Record]:
    """Ours against MKL sparse in the compiled loop, and the public calls of ours and of scipy."""
    ours = Ours()
    packed = None
    for n in batches:
        case = Case(problem, n, layout, dtype, run.threads)
        if packed is None:
            packed = ours.convert(case.matrix)
        try:
            result = rivals.compare(case, [MklSparse()], run.effort, ours=[ours.bound(packed, case)])
            calls = rivals.public_calls(case, packed)
        except AssertionError as error:  # a wrong result ends its case, not the run; it is a missed target of its own
            print(f"  {error}", file=sys.stderr)
            yield {"kind": "wrong", "section": "wrong", "problem": problem.name, "n": n, "error": str(error)}
            continue
        public = timing.race_python(calls, rounds=5, sample_ms=1.0, min_calls=5)
        python_ns = {name: public.median(name) for name in public.names}
        yield {"kind": "matmul", "section": section, **result.record(), "python_ns": python_ns}


def ratio_cases(run: Run) -> Iterator[Record]:
    """The matrices of the ratio targets, feature-major; the smaller real ones are reported, not counted."""
    chosen = [*problems.random_problems(), *problems.real_problems(run.folder, ["dlmc"])]
    for problem in chosen[::6] if run.quick else chosen:
        yield from measure(problem, BATCHES, FEATURE_MAJOR, np.float32, "ratios", run)


def large_cases(run: Run) -> Iterator[Record]:
    for problem in problems.large_problems()[1:2] if run.quick else problems.large_problems():
        yield from measure(problem, BATCHES[:3], FEATURE_MAJOR, np.float32, "large", run)


def batch_major_cases(run: Run) -> Iterator[Record]:
    chosen = [*problems.random_problems(), problems.get("bernoulli_4096x4096_95")]
    for problem in chosen[::8] if run.quick else chosen:
        batches = BATCHES[1:] if problem.group == "random" else BATCHES[1:3]
        yield from measure(problem, batches, BATCH_MAJOR, np.float32, "batch-major", run)


def double_cases(run: Run) -> Iterator[Record]:
    chosen = [p for p in problems.random_problems() if p.name.startswith("bernoulli") and p.name.endswith("95")]
    for problem in chosen[::4] if run.quick else chosen:
        yield from measure(problem, BATCHES, FEATURE_MAJOR, np.float64, "float64", run)


def block_cases(run: Run) -> Iterator[Record]:
    """Real matrices of exact blocks, where MKL has a block form: reported, no target of their own yet."""
    chosen = problems.real_problems(run.folder, ["lyra"])
    for problem in chosen[::6] if run.quick else chosen:
        yield from measure(problem, (1, 16), FEATURE_MAJOR, np.float32, "blocks", run)


# --- targets ----------------------------------------------------------------------------------------------------------


def over_mkl(record: Record) -> float:
    found = record["peers"].get(MklSparse.name, {}).get("ratio")
    return float("nan") if found is None else float(found)


def _over_column_major(record: Record) -> float:
    found = record.get("ratio_to_column_major")
    return float("nan") if found is None else float(found)


def _all_right(records: Records) -> Figure | None:
    wrong = of_section(records, "wrong")
    return Figure(str(len(wrong)), len(wrong), "; ".join(r["error"] for r in wrong[:3])) if wrong else None


def _counted(records: Records) -> list[Record]:
    return [r for r in of_section(records, "ratios") if r["nnz"] >= COUNTED_NNZ]


def _ratios(records: Records, n: int) -> Figure | None:
    if not of_section(records, "ratios"):
        return None
    return mean([r for r in _counted(records) if r["n"] == n], over_mkl)


def _sparsest(records: Records) -> Figure | None:
    counted = _counted(records)
    chosen = [r for r in counted if r["n"] == 1 and r["group"] == "random" and r["problem"].endswith("_98")]
    return mean(chosen, over_mkl) if counted else None


def _lowest_ratio(records: Records) -> Figure | None:
    counted = _counted(records)
    if not counted:
        return None
    low = min(map(over_mkl, counted))
    return Figure(f"{low:.2f}", low, worst(counted, over_mkl, 5), len(counted))


def _large(records: Records, n: int) -> Figure | None:
    large = of_section(records, "large")
    return mean([r for r in large if r["n"] == n], over_mkl) if large else None


def _batch_major(records: Records, n: int | None = None) -> Figure | None:
    found = of_section(records, "batch-major")
    return mean([r for r in found if n in (None, r["n"])], _over_column_major) if found else None


def _over_scipy(records: Records) -> Figure | None:
    products = [r for r in records if r["kind"] == "matmul" and not r.get("section", "").startswith("patterns")]
    if not products:
        return None
    # What a call costs us beyond scipy's on next to nothing is the allowance.
    allowance = max((r["above_numpy_ns"] for r in of_section(records, "overhead")), default=0.0)

    def lead(record: Record) -> float:
        python = record["python_ns"]
        fastest = min(value for name, value in python.items() if name.startswith("scipy"))
        return float(fastest / max(python["public"] - max(allowance, 0.0), 1.0))

    low = min(map(lead, products))
    return Figure(f"{low:.2f}", low, worst(products, lead), len(products))


TARGETS = (
    Target("every result within its bound", Bound("", 0, " wrong"), _all_right),
    *(
        Target(f"MKL sparse / ours, geomean, N = {n}", at_least(bound), partial(_ratios, n=n))
        for n, bound in ((1, 2.0), (16, 1.6), (64, 1.2), (256, 1.2))
    ),
    Target("the same, 98% random, N = 1", at_least(1.3), _sparsest),
    Target(f"lowest single ratio, {COUNTED_NNZ} non-zeros or more", at_least(0.85), _lowest_ratio),
    *(
        Target(f"4096 x 4096, geomean, N = {n}", at_least(bound), partial(_large, n=n))
        for n, bound in ((1, 1.2), (16, 1.6), (64, 1.25))
    ),
    Target("batch-major: MKL column-major / ours, geomean", at_least(3.0), _batch_major),
    *(Target(f"the same, N = {n}", at_least(3.0), partial(_batch_major, n=n)) for n in BATCHES[1:]),
    Target("scipy / ours beyond the call overhead, lowest", at_least(1), _over_scipy),
)
