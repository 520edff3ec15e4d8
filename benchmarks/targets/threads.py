# SPDX-License-Identifier: BSD-3-Clause
"""Ours with one and with two threads: a product, and a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case, Ours
from benchmarks.targets import speech
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Effort

_cores_at_start = os.sched_getaffinity(0)


def measure(rounds: int) -> list[Record]:
    """Ours with one and with two threads in turn, in a process that has two cores."""
    timing.pin(2)
    return [_product(rounds), *speech.scaling(rounds)]


def _product(rounds: int) -> Record:
    cs = rivals.import_ours()
    ours = Ours()
    case = Case(problems.get("bernoulli_4096x4096_95"), 64, threads=2)
    cs.set_num_threads(2)
    [variant] = rivals.checked(case, list(ours.variants(case)))
    once = Effort(sample_ms=60.0, min_calls=1, max_sample_ms=60.0, min_rounds=1, max_rounds=1, budget_s=0.0)
    ns: dict[int, list[float]] = {1: [], 2: []}
    disturbed = []
    for r in range(rounds):
        for threads in (1, 2) if r % 2 == 0 else (2, 1):
            cs.set_num_threads(threads)
            samples = timing.race([variant.call], once)
            ns[threads].append(samples.median(variant.name))
            disturbed.append(samples.disturbed)
    ratio = float(np.median(np.array(ns[1]) / np.array(ns[2])))
    return {"kind": "scaling", "section": "threads", "problem": case.problem.name, "n": case.n,
            "ns": {str(t): float(np.median(values)) for t, values in ns.items()}, "speedup": ratio,
            "disturbed": float(np.mean(disturbed))}  # fmt: skip


def cases(run: Run) -> Iterator[Record]:
    if len(_cores_at_start) < 2:
        return
    # A process of its own: thread pools keep the cores that they were born with.
    command = [sys.executable, run.script, "--scaling", "3" if run.quick else "11"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_all_cores)
    if done.returncode:
        raise RuntimeError(f"the two-thread measurement failed:\n{done.stderr}")
    yield from json.loads(done.stdout)


def _all_cores() -> None:
    os.sched_setaffinity(0, _cores_at_start)


def _speedup(records: Records) -> Figure | None:
    found = [r["speedup"] for r in of_section(records, "threads")]
    return Figure(f"{found[0]:.2f}", found[0]) if found else None


TARGETS = (Target("two threads, 4096x4096, N = 64", at_least(1.8), _speedup),)
