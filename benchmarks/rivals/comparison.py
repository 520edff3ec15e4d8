# SPDX-License-Identifier: BSD-3-Clause
"""Ours against every rival on one product. `compare(...)` for tests and scripts; from a shell:

python benchmarks/compare.py bernoulli_1024x1024_95 -n 1 16 64 256 [--batch-major] [--dtype float64] [--threads 2]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import matrices as problems
from benchmarks.rivals import peers
from benchmarks.rivals.peers import BATCH_MAJOR, FEATURE_MAJOR, Case, MklSparse, Ours, Peer, Variant
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import HEAT, Effort, Samples

# A variant this much slower than the best of its peer in the heat does not run in the final.
HEAT_MARGIN = 1.25
# (from this many ns a call, how many variants of a contest run in its final): samples of slow calls are long, and the
# heat tells their order well.
FINALISTS = ((1.6e6, 1), (0.4e6, 2))


@dataclass(frozen=True)
class Comparison:
    """The final samples of one case: ours (if it is there) and the fastest variants of each rival."""

    case: Case
    samples: Samples
    variants: tuple[Variant, ...]
    heat: dict[str, float]  # every variant that was checked, with its time in the heat (ns)

    def ns(self, peer: str) -> float | None:
        best = self.best(peer)
        return None if best is None else self.samples.median(best.name)

    def best(
        self, peer: str, containing: str = "", family: str | None = None, natural: bool | None = None
    ) -> Variant | None:
        """The fastest variant of a peer, among those whose form contains a word, of a family, on the case's arrays."""
        mine = [
            v for v in self.variants
            if v.peer == peer and containing in v.form
            and family in (None, v.family) and natural in (None, v.natural)
        ]  # fmt: skip
        return min(mine, key=lambda v: self.samples.median(v.name), default=None)

    def ratio(
        self,
        peer: str,
        ours: str = Ours.name,
        containing: str = "",
        family: str | None = None,
        natural: bool | None = None,
    ) -> float | None:
        """Time of the peer's best variant over ours: above 1 we are faster."""
        rival, mine = self.best(peer, containing, family, natural), self.best(ours)
        if rival is None or mine is None:
            return None
        return self.samples.ratio(rival.name, mine.name)

    def peers(self) -> list[str]:
        return list(dict.fromkeys(v.peer for v in self.variants))

    def record(self) -> dict[str, Any]:
        """All of it as plain data."""
        out: dict[str, Any] = {
            "problem": self.case.problem.name, "group": self.case.problem.group, "n": self.case.n,
            "layout": self.case.layout, "dtype": self.case.dtype.name, "threads": self.case.threads,
            "shape": list(self.case.matrix.shape), "nnz": int(self.case.matrix.nnz), "flops": self.case.flops,
            "csr_bytes": self.case.csr_bytes, "rounds": len(self.samples.ns), "disturbed": self.samples.disturbed,
            "peers": {}, "heat_ns": self.heat,
        }  # fmt: skip
        for peer in self.peers():
            best = self.best(peer)
            assert best is not None
            out["peers"][peer] = {
                "variant": best.form, "ns": self.samples.median(best.name), "spread": self.samples.spread(best.name),
                "calls_per_sample": self.samples.calls[self.samples.names.index(best.name)],
                "ratio": self.ratio(peer), "gflops": self.case.flops / self.samples.median(best.name),
            }  # fmt: skip
            out["peers"][peer]["families"] = self._families(peer)
        if self.case.batch_major:
            out["ratio_to_column_major"] = self.ratio(MklSparse.name, containing="column-major")
        return out

    def _families(self, peer: str) -> list[dict[str, Any]]:
        """The best of each family of a peer, on the case's own arrays and on others given to it for nothing."""
        found = []
        for family, natural in dict.fromkeys((v.family, v.natural) for v in self.variants if v.peer == peer):
            best = self.best(peer, family=family, natural=natural)
            assert best is not None
            found.append({
                "family": family, "natural": natural, "variant": best.form, "ns": self.samples.median(best.name),
                "calls_per_sample": self.samples.calls[self.samples.names.index(best.name)],
                "ratio": self.ratio(peer, family=family, natural=natural),
            })  # fmt: skip
        return found


@dataclass(frozen=True)
class Choice:
    """A plan that could run a product, and whether it is the one that `W.plan` chooses."""

    name: str
    plan: Any
    chosen: bool


def candidates(packed: Any, case: Case) -> list[Choice]:
    """Every layout that could run the case, with its micro-kernel; the first is the one that a plan takes."""
    core = peers.import_ours()._core
    batch_major = case.batch_major and case.n > 1
    rows = core.candidates(packed, case.n, case.dtype, batch_major)
    plans = [
        core.make_plan(packed, case.n, case.dtype, batch_major, None, None, False, candidate=i)
        for i in range(len(rows))
    ]
    return [
        Choice(f"{plan.microkernel} {row['layout']}", plan, i == 0)
        for i, (row, plan) in enumerate(zip(rows, plans, strict=True))
    ]


def _of_peer(variant: Variant) -> Hashable:
    return variant.peer


def compare(
    case: Case,
    rivals: Sequence[Peer] | None = None,
    effort: Effort | None = None,
    ours: Sequence[Variant] | None = None,
    contest: Callable[[Variant], Hashable | None] = _of_peer,
) -> Comparison:
    """Check every variant against the reference, drop the slow ones in a heat, race the rest.

    `ours`: variants to use instead of the default plan (several of them are all kept and reported under their forms).
    `contest`: variants of which it says the same compete for the final, None keeps one out of it.
    """
    effort = replace(effort or Effort(), alone=case.threads == 1)
    variants: list[Variant] = list(ours or [])
    contenders: list[Peer] = [] if ours is not None else [Ours()]
    contenders += peers.rivals() if rivals is None else rivals
    for peer in contenders:
        if peer.available()[0]:
            variants += peer.variants(case)
    if not variants:
        raise RuntimeError("nothing to race: neither complsparse nor any rival is here")
    for variant in variants:
        variant.result[...] = np.nan  # variants may share an output: none may shine with another's result
        variant.call()
        case.check(variant.name, variant.result)
    heat_effort = HEAT if effort.min_rounds > 1 else timing.SMOKE
    heat = timing.race([v.call for v in variants], replace(heat_effort, alone=effort.alone))
    contests: dict[Hashable, list[Variant]] = {}
    for v in variants:
        if (which := contest(v)) is not None:
            contests.setdefault(which, []).append(v)
    chosen: set[str] = set()
    for rivals_of_one in contests.values():
        rivals_of_one.sort(key=lambda v: heat.median(v.name))
        best = heat.median(rivals_of_one[0].name)
        most = next((count for slow, count in FINALISTS if best >= slow), len(rivals_of_one))
        chosen.update(v.name for v in rivals_of_one[:most] if heat.median(v.name) <= HEAT_MARGIN * best)
    # MKL's column-major path is a target of its own where x is batch-major, even if another variant beats it.
    column_major = [v for v in variants if case.batch_major and v.peer == MklSparse.name and "column-major" in v.form]
    fastest = min(column_major, key=lambda v: heat.median(v.name), default=None)
    final = [v for v in variants if v.peer == Ours.name or v is fastest or v.name in chosen]
    samples = timing.race([v.call for v in final], effort)
    return Comparison(case, samples, tuple(final), {v.name: heat.median(v.name) for v in variants})


def _idle_share(cores: Sequence[int], seconds: float = 0.2) -> dict[int, float]:
    """How idle each core is just now, from /proc/stat; all alike where that is not told."""

    def ticks() -> dict[int, tuple[int, int]]:
        found = {}
        for line in Path("/proc/stat").read_text().splitlines():
            name, *numbers = line.split()
            if name.startswith("cpu") and name != "cpu":
                counts = [int(number) for number in numbers]
                found[int(name[3:])] = (counts[3] + counts[4], sum(counts))  # idle and waiting for input, of all
        return found

    try:
        before = ticks()
        time.sleep(seconds)
        after = ticks()
    except OSError:
        return dict.fromkeys(cores, 1.0)
    return {
        core: (after[core][0] - before[core][0]) / max(1, after[core][1] - before[core][1])
        for core in cores
        if core in before and core in after
    }


def pin(threads: int) -> list[int]:
    """One thread to one core, two to two: those least busy now, the higher-numbered first where all are idle."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < threads:
        raise RuntimeError(f"{threads} threads asked for, {len(allowed)} cores allowed")
    idle = _idle_share(allowed)
    cores = sorted(allowed, key=lambda core: (round(idle.get(core, 0.0), 1), core))[-threads:]
    os.sched_setaffinity(0, cores)
    return sorted(cores)


def print_comparison(result: Comparison) -> None:
    mine = result.best(Ours.name)
    share = result.samples.disturbed
    disturbed = f"  ({share:.0%} of the samples had to share their core)" if share else ""
    print(f"{result.case}  nnz {result.case.matrix.nnz}  rounds {len(result.samples.ns)}{disturbed}")
    order = sorted(result.variants, key=lambda v: (v.peer != Ours.name, v.peer, result.samples.median(v.name)))
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
    pin(chosen.threads)
    peers.set_threads(chosen.threads)
    for name, why in peers.absent().items():
        print(f"absent: {name}: {why}", file=sys.stderr)
    folder = problems.data_folder(chosen.data)
    for name in chosen.problems:
        problem = problems.get(name, folder)
        for n in chosen.n:
            layout = BATCH_MAJOR if chosen.batch_major else FEATURE_MAJOR
            case = Case(problem, n, layout, np.dtype(chosen.dtype), chosen.threads)
            print_comparison(compare(case, peers.rivals(dense=not chosen.no_dense), Effort(budget_s=chosen.seconds)))
    return 0
