# SPDX-License-Identifier: BSD-3-Clause
"""What a call costs when there is next to nothing to compute: an 8x8 matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks import rivals, timing
from benchmarks.problems import bernoulli
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, of_section
from benchmarks.timing import Samples

SIZE = 8
BATCHES = (None, 8)  # None: a vector
NAMES = (
    "cs.matmul(W, x, out=y)",
    "W @ x",
    "plan(x, out=y)",
    "plan.bind(x, y)()",
    "np.matmul(D, x, out=y)",
    "scipy W @ x",
    "empty lambda",
)


def calls(n: int | None) -> dict[str, Callable[[], object]]:
    """Products of an 8x8 matrix with a vector (n None) or n columns: ours in each of its forms, NumPy, scipy."""
    cs = rivals.import_ours()
    matrix = bernoulli((SIZE, SIZE), 0.25, seed=8)
    dense = matrix.toarray()
    packed = cs.from_scipy(matrix)
    x = np.ones(SIZE if n is None else (SIZE, n), np.float32)
    out, y, z = (np.empty(x.shape, np.float32) for _ in range(3))
    plan = packed.plan(1 if n is None else n)
    bound = plan.bind(x, z)
    made = (
        lambda: cs.matmul(packed, x, out=y),
        lambda: packed @ x,
        lambda: plan(x, out=z),
        lambda: bound(),
        lambda: np.matmul(dense, x, out=out),
        lambda: matrix @ x,
        lambda: None,
    )
    return dict(zip(NAMES, made, strict=True))


def measure(n: int | None, rounds: int = 15, sample_ms: float = 4.0) -> tuple[Samples, Record]:
    samples = timing.race_python(calls(n), rounds, sample_ms)
    empty = samples.median("empty lambda")
    # The lambda that holds the call is the harness's, not the library's.
    net = {name: samples.median(name) - empty for name in samples.names if name != "empty lambda"}
    return samples, {
        "n": n,
        "ns": net,
        "above_numpy_ns": net["cs.matmul(W, x, out=y)"] - net["np.matmul(D, x, out=y)"],
        "plan_ns": net["plan(x, out=y)"],
    }


def cases(run: Run) -> Iterator[Record]:
    for n in BATCHES:
        _, record = measure(n, rounds=5 if run.quick else 21)
        yield {"kind": "overhead", "section": "overhead", **record}


def _us(records: Records, n: int | None, key: str) -> Figure | None:
    found = [r[key] / 1e3 for r in of_section(records, "overhead") if r["n"] == n]
    return Figure(f"{found[0]:.2f} us", found[0]) if found else None


def _targets() -> Iterator[Target]:
    for n in BATCHES:
        which = "vector" if n is None else f"{n} columns"
        above = partial(_us, n=n, key="above_numpy_ns")
        yield Target(f"call on 8x8 above np.matmul(out=), {which}", Bound("<=", 0.6, " us"), above)
        yield Target(f"bound plan call on 8x8, {which}", Bound("<=", 0.35, " us"), partial(_us, n=n, key="plan_ns"))


TARGETS = tuple(_targets())
