# SPDX-License-Identifier: BSD-3-Clause
"""How long conversion, packing and layouts take, and when they have paid off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.rivals import peers
from benchmarks.rivals.peers import Case, Ours
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Samples


def pack_call(matrix: sp.csr_array, strategy: str) -> Callable[[], object]:
    """The packing alone, on the arrays as the library stores them: nothing is validated or copied."""
    peers.import_ours()
    from complsparse import _core

    indptr = matrix.indptr.astype(np.int64)
    indices = np.ascontiguousarray(matrix.indices)
    rows, columns = matrix.shape
    if strategy == "split":
        return lambda: _core.pack_split(indptr, indices, rows, columns)
    return lambda: _core.pack_strict(indptr, indices, rows, columns, 1, 0)


def layout_samples(matrix: sp.csr_array, n: int, rounds: int = 7) -> Samples:
    """`prepare(n=...)`, each time on a fresh matrix: layouts are built once."""
    ours = Ours()
    ns = np.empty((rounds, 1))
    for r in range(rounds):
        packed = ours.convert(matrix)
        start = time.perf_counter_ns()
        packed.prepare(n=n)
        ns[r] = time.perf_counter_ns() - start
    return Samples(("prepare",), ns, (1,))


def break_even(case: Case, rounds: int = 7) -> tuple[Samples, dict[str, Any]]:
    """(samples of the public calls, record): `cs.from_scipy` with its defaults and `prepare`, divided by what one
    multiply saves against scipy's CSR, both called from Python."""
    ours = Ours()
    prepare_ns = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        packed = ours.convert(case.matrix)
        packed.prepare(n=case.n)
        prepare_ns.append(time.perf_counter_ns() - start)
    calls = {k: v for k, v in peers.public_calls(case, packed).items() if k in ("public", "scipy")}
    samples = timing.race_python(calls, rounds, sample_ms=2.0, min_calls=1)
    saved = samples.median("scipy") - samples.median("public")
    cost = float(np.median(prepare_ns))
    return samples, {
        "nnz": int(case.matrix.nnz),
        "n": case.n,
        "prepare_ns": cost,
        "scipy_ns": samples.median("scipy"),
        "public_ns": samples.median("public"),
        "multiplies": cost / saved if saved > 0 else float("inf"),
    }
