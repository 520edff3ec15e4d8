# SPDX-License-Identifier: BSD-3-Clause
"""The compiled timing loop, seen from Python: compile, load, race candidates, read the roof of the machine.

`race` times C functions `void f(void *)` in interleaved rounds and never enters Python between two calls.
`race_python` does the same for Python callables, for the figures whose subject is the call from Python itself.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("loop.cpp")
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread")
# What the loops that measure the machine's peaks may use, where the CPU has all of it; the first row that fits counts.
WIDTHS = (("avx512f", "avx2", "fma"), ("avx2", "fma"))

# The share of a core from which on a sample counts as undisturbed; loop.cpp retries below it.
UNDISTURBED = 0.97


class NoCompiler(RuntimeError):
    """The timing loop cannot be compiled here."""


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


class _Candidate(ctypes.Structure):
    _fields_ = [("function", ctypes.c_void_p), ("context", ctypes.c_void_p), ("settle_ns", ctypes.c_double)]


def compiler() -> list[str]:
    """The C++ compiler to call: $CXX, or the first of c++, g++, clang++ on the path."""
    if os.environ.get("CXX"):
        return os.environ["CXX"].split()
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise NoCompiler("no C++ compiler found: set CXX, or install g++")


def compiler_version() -> str:
    try:
        done = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=True)
    except (NoCompiler, OSError, subprocess.CalledProcessError) as error:
        return f"none ({error})"
    return done.stdout.splitlines()[0]


def cache_folder() -> Path:
    chosen = os.environ.get("COMPLSPARSE_BENCHMARK_CACHE")
    if chosen:
        return Path(chosen)
    return Path(tempfile.gettempdir()) / f"complsparse-benchmarks-{os.getuid()}"


def _machine_key() -> str:
    # A library built here is not for another CPU that shares the folder: it is as wide as this one.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))}))
    except OSError:
        return platform.processor()


def _width_flags() -> list[str]:
    words = set(_machine_key().split())
    return next((["-m" + feature for feature in width] for width in WIDTHS if words.issuperset(width)), [])


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled timing loop; built on first use, kept in `cache_folder` under a hash of all that went into it."""
    command = [*compiler(), *FLAGS, *_width_flags()]
    key = hashlib.sha256(SOURCE.read_bytes())
    key.update("\0".join([*command, compiler_version(), _machine_key()]).encode())
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise NoCompiler(f"{folder} belongs to somebody else: set COMPLSPARSE_BENCHMARK_CACHE")
    path = folder / f"timing_loop-{key.hexdigest()[:20]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            built = Path(scratch) / path.name
            done = subprocess.run([*command, str(SOURCE), "-o", str(built)], capture_output=True, text=True)
            if done.returncode:
                raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr}")
            built.replace(path)
    lib = ctypes.CDLL(str(path))
    pointer = ctypes.POINTER
    lib.calibrate.argtypes = [pointer(_Candidate), ctypes.c_int, *[ctypes.c_double] * 2, ctypes.c_int64,
                              pointer(ctypes.c_int64)]  # fmt: skip
    lib.calibrate.restype = None
    lib.race.argtypes = [pointer(_Candidate), ctypes.c_int, ctypes.c_int, pointer(ctypes.c_int64), ctypes.c_int,
                         ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]  # fmt: skip
    lib.race.restype = None
    lib.sparse_hint_mv.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    lib.sparse_hint_mm.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int] * 3]
    for name in ("load_gbytes", "fma_load_gflops_f32", "fma_load_gflops_f64", "gather_rate"):
        getattr(lib, name).argtypes = [ctypes.c_int64]
        getattr(lib, name).restype = ctypes.c_double
    for name in ("fma_gflops_f32", "fma_gflops_f64"):
        getattr(lib, name).restype = ctypes.c_double
    return lib


def address(name: str) -> int:
    """Where a function of the timing library lies."""
    found = ctypes.cast(getattr(library(), name), ctypes.c_void_p).value
    assert found is not None
    return found


def race(candidates: Sequence[Candidate], effort: Effort | None = None) -> Samples:
    """Time the candidates against each other in interleaved rounds. Every name must be its own."""
    effort = effort or Effort()
    names = tuple(c.name for c in candidates)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a race needs one or more candidates with names of their own, got {names}")
    lib = library()
    count = len(candidates)
    array = (_Candidate * count)(*[_Candidate(c.function, c.context, c.settle_ns) for c in candidates])
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


def empty_call_ns() -> float:
    """What one turn of the compiled loop costs by itself."""
    nothing = Candidate("empty", address("empty_call"), 0)
    return race([nothing], Effort(budget_s=0.05)).median("empty")


@functools.cache
def roof() -> dict[str, Any]:
    """Measured peaks of the current core: GFLOP/s, GB/s by cache level, fma fed from memory, gathers."""
    lib = library()
    sizes = {"L1": 16 << 10, "L2": 256 << 10, "L3": 6 << 20, "DRAM": 256 << 20}
    caches = cache_sizes()
    if caches.get("L3", 0) > 256 << 20:
        sizes["DRAM"] = 2 * caches["L3"]
    return {
        "vector_bytes": int(lib.vector_width()),
        "fma_gflops": {"float32": lib.fma_gflops_f32(), "float64": lib.fma_gflops_f64()},
        "fma_load_gflops": {
            "float32": {level: lib.fma_load_gflops_f32(sizes[level]) for level in ("L1", "L2", "L3")},
            "float64": {level: lib.fma_load_gflops_f64(sizes[level]) for level in ("L1", "L2", "L3")},
        },
        "load_gbytes": {level: lib.load_gbytes(size) for level, size in sizes.items()},
        "gather_gelements": {level: lib.gather_rate(sizes[level]) for level in ("L1", "L2", "L3")},
    }


@functools.cache
def cache_sizes() -> dict[str, int]:
    """Bytes of the caches one core sees, from sysfs; empty where the system does not tell."""
    found: dict[str, int] = {}
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind = (index / "type").read_text().strip()
            level = (index / "level").read_text().strip()
            size = (index / "size").read_text().strip()
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = int(size[:-1]) * units[size[-1]] if size[-1] in units else int(size)
    return found


def geometric_mean(values: Sequence[float]) -> float:
    return statistics.geometric_mean(values) if values else float("nan")
