# SPDX-License-Identifier: BSD-3-Clause
"""The timing loop, seen from Python.

`race` times C functions `void f(void *)` in interleaved rounds and never enters Python between two calls.
`race_python` does the same for Python callables, for the figures whose subject is the call from Python itself.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing.compiled import CandidateStruct, address, library

# The share of a core from which on a sample counts as undisturbed; loop.cpp retries below it.
UNDISTURBED = 0.97


@dataclass(frozen=True)
class Candidate:
    """A C function `void (*)(void *)` and its argument, by address. `keep` holds whatever the context points to."""

    name: str
    function: int
    context: int
    keep: Any = field(default=None, repr=False, compare=False)
    settle_ns: float = 0.0

    def __call__(self) -> None:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.function)(self.context)


@dataclass(frozen=True)
class Samples:
    """Nanoseconds per call: one row per round, one column per candidate; `calls` per sample. `share` is how much of its
    core each sample had: well below 1, somebody else was there."""

    names: tuple[str, ...]
    ns: NDArray[np.float64]
    calls: tuple[int, ...]
    share: NDArray[np.float64] | None = None

    @property
    def disturbed(self) -> float:
        """The part of the samples that had to share their core."""
        return 0.0 if self.share is None else float(np.mean(self.share < UNDISTURBED))

    def _kept(self, *names: str) -> NDArray[np.float64]:
        """The columns of these candidates: the rounds in which none of them was disturbed, or all if those are few."""
        columns = [self.names.index(name) for name in names]
        if self.share is not None:
            quiet = (self.share[:, columns] >= UNDISTURBED).all(axis=1)
            if quiet.sum() >= 3:
                return self.ns[quiet][:, columns]
        return self.ns[:, columns]

    def median(self, name: str) -> float:
        return float(np.median(self._kept(name)))

    def ratio(self, rival: str, ours: str) -> float:
        """Median over the rounds of rival / ours: pairs of neighbouring samples see the same frequency and caches."""
        pairs = self._kept(rival, ours)
        return float(np.median(pairs[:, 0] / pairs[:, 1]))

    def spread(self, name: str) -> float:
        """Quartile distance over median."""
        low, middle, high = np.quantile(self._kept(name), [0.25, 0.5, 0.75])
        return float((high - low) / middle)


@dataclass(frozen=True)
class Effort:
    """How long a race may take. `sample_ms` and `min_calls` say what a sample wants, `max_sample_ms` caps slow calls;
    the number of rounds follows from `budget_s`, within its bounds. A disturbed sample is taken again, `attempts` times
    in all, twice where a round is long. `alone`: the calling thread does all the work, so a sample that stays disturbed
    can count the time that the thread had its core."""

    sample_ms: float = 2.0
    min_calls: int = 100
    max_sample_ms: float = 60.0
    min_rounds: int = 5
    max_rounds: int = 11
    budget_s: float = 1.2
    attempts: int = 4
    alone: bool = False


SMOKE = Effort(sample_ms=0.05, min_calls=1, max_sample_ms=1.0, min_rounds=1, max_rounds=1, budget_s=0.05, attempts=1)
# Enough to see which variants of a rival are out of the running.
HEAT = Effort(sample_ms=0.4, min_calls=1, max_sample_ms=10.0, min_rounds=3, max_rounds=3, budget_s=0.3)


class _InTurn(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("functions", "contexts")],
        *[(name, ctypes.c_int64) for name in ("count", "next")],
    ]


def in_turn(name: str, candidates: Sequence[Candidate]) -> Candidate:
    """A candidate that calls the next of these at each call. All share the settling time of the first."""
    count = len(candidates)
    functions = (ctypes.c_void_p * count)(*[c.function for c in candidates])
    contexts = (ctypes.c_void_p * count)(*[c.context for c in candidates])
    context = _InTurn(ctypes.addressof(functions), ctypes.addressof(contexts), count, 0)
    keep = (functions, contexts, context, candidates)
    return Candidate(name, address("in_turn"), ctypes.addressof(context), keep, candidates[0].settle_ns)


def race(candidates: Sequence[Candidate], effort: Effort | None = None) -> Samples:
    """Time the candidates against each other in interleaved rounds. Every name must be its own."""
    effort = effort or Effort()
    names = tuple(c.name for c in candidates)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a race needs one or more candidates with names of their own, got {names}")
    lib = library()
    count = len(candidates)
    array = (CandidateStruct * count)(*[CandidateStruct(c.function, c.context, c.settle_ns) for c in candidates])
    calls = (ctypes.c_int64 * count)()
    lib.calibrate(array, count, effort.sample_ms * 1e6, effort.max_sample_ms * 1e6, effort.min_calls, calls)
    first, share = np.empty((2, 1, count))
    lib.race(array, count, 1, calls, 1, effort.alone, first.ctypes.data, share.ctypes.data)
    settle = sum(c.settle_ns for c in candidates)
    round_s = (1.1 * float(np.dot(first[0], list(calls))) + settle) * 1e-9
    rounds = int(np.clip(effort.budget_s / max(round_s, 1e-9), effort.min_rounds, effort.max_rounds))
    ns, share = np.empty((2, rounds, count))
    # On a busy machine a second look at a long sample costs much and finds the same.
    attempts = min(effort.attempts, 2) if round_s > 0.3 else effort.attempts
    lib.race(array, count, rounds, calls, attempts, effort.alone, ns.ctypes.data, share.ctypes.data)
    return Samples(names, ns, tuple(calls), share)


def race_python(
    candidates: dict[str, Callable[[], object]],
    rounds: int = 9,
    sample_ms: float = 2.0,
    min_calls: int = 100,
    alone: bool = False,
) -> Samples:
    """Time Python callables against each other, calls included. The loop's own cost (an iteration of `for`) is not
    taken off: it is the same for all and a few nanoseconds."""
    calls = {}
    for name, function in candidates.items():
        function()
        n, elapsed = 1, 0
        while elapsed < 0.2e6:
            elapsed = _python_sample(function, n)
            n *= 2
        n //= 2
        per_call = elapsed / n
        wanted = max(min_calls, int(sample_ms * 1e6 / per_call))
        calls[name] = max(1, min(wanted, int(60e6 / per_call)))
    order = list(candidates)
    ns, share = np.empty((2, rounds, len(order)))
    share[...] = -1
    for r in range(rounds):
        for i in range(len(order)):
            c = (i + r) % len(order)
            function, n = candidates[order[c]], calls[order[c]]
            for _ in range(4):
                _python_sample(function, n // 10 + 1)
                cpu = time.thread_time_ns()
                elapsed = _python_sample(function, n)
                worked = time.thread_time_ns() - cpu
                had = worked / elapsed
                if had > share[r, c]:
                    share[r, c], ns[r, c] = had, (worked if alone and had < UNDISTURBED else elapsed) / n
                if had >= UNDISTURBED:
                    break
    return Samples(tuple(order), ns, tuple(calls[name] for name in order), share)


def _python_sample(function: Callable[[], object], calls: int) -> int:
    iterations = range(calls)
    start = time.perf_counter_ns()
    for _ in iterations:
        function()
    return time.perf_counter_ns() - start


def geometric_mean(values: Sequence[float]) -> float:
    return statistics.geometric_mean(values) if values else float("nan")
