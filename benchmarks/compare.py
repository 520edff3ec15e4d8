# SPDX-License-Identifier: BSD-3-Clause
"""Ours against every rival on one product:

python benchmarks/compare.py bernoulli_1024x1024_95 -n 1 16 64 256 [--batch-major] [--dtype float64] [--threads 2]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    import _from_file  # noqa: F401

import numpy as np

from benchmarks import problems, rivals, timing


def print_comparison(result: rivals.Comparison) -> None:
    mine = result.best(rivals.Ours.name)
    share = result.samples.disturbed
    disturbed = f"  ({share:.0%} of the samples had to share their core)" if share else ""
    print(f"{result.case}  nnz {result.case.matrix.nnz}  rounds {len(result.samples.ns)}{disturbed}")
    order = sorted(result.variants, key=lambda v: (v.peer != rivals.Ours.name, v.peer, result.samples.median(v.name)))
    for variant in order:
        ns = result.samples.median(variant.name)
        ratio = f"{result.samples.ratio(variant.name, mine.name):7.2f}" if mine else "      -"
        note = "" if variant.natural else "  (x, y in its own layout)"
        rate = result.case.flops / ns
        spread = 100 * result.samples.spread(variant.name)
        print(f"  {variant.name:<58}{ns / 1e3:11.2f} us {rate:8.2f} GFLOP/s {ratio}  ±{spread:.0f}%{note}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Race complsparse against its rivals on named problems.")
    parser.add_argument("problems", nargs="+", help="names, for instance bernoulli_1024x1024_95 or dlmc/...")
    parser.add_argument("-n", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--batch-major", action="store_true")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--no-dense", action="store_true", help="leave the dense rivals out")
    parser.add_argument("--seconds", type=float, default=1.2, help="time for the final of one case")
    chosen = parser.parse_args(arguments)
    timing.pin(chosen.threads)
    rivals.set_threads(chosen.threads)
    for name, why in rivals.absent().items():
        print(f"absent: {name}: {why}", file=sys.stderr)
    others, effort = rivals.all_rivals(dense=not chosen.no_dense), timing.Effort(budget_s=chosen.seconds)
    folder = problems.data_folder(chosen.data)
    for name in chosen.problems:
        problem = problems.get(name, folder)
        for n in chosen.n:
            layout = rivals.BATCH_MAJOR if chosen.batch_major else rivals.FEATURE_MAJOR
            case = rivals.Case(problem, n, layout, np.dtype(chosen.dtype), chosen.threads)
            print_comparison(rivals.compare(case, others, effort))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
