# SPDX-License-Identifier: BSD-3-Clause
"""How long conversion, packing and layouts take, and when they have paid off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import scipy.sparse as sp

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case, Ours
from benchmarks.targets.target import Bound, Figure, Record, Records, Run, Target, at_least, of_section
from benchmarks.timing import Samples

PAID_OFF = "bernoulli_1024x1024_95"
NAMES = (PAID_OFF, "bernoulli_3072x768_90", "bernoulli_4096x4096_95")

# --- measuring --------------------------------------------------------------------------------------------------------


def pack_call(matrix: sp.csr_array, strategy: str) -> Callable[[], object]:
    """The packing alone, on the arrays as the library stores them: nothing is validated or copied."""
    core = rivals.import_ours()._core
    indptr = matrix.indptr.astype(np.int64)
    indices = np.ascontiguousarray(matrix.indices)
    rows, columns = matrix.shape
    if strategy == "split":
        return lambda: core.pack_split(indptr, indices, rows, columns)
    return lambda: core.pack_strict(indptr, indices, rows, columns, 1, 0)


def _rate(kind: str, name: str, matrix: sp.csr_array, strategy: str, call: Callable[[], object], rounds: int) -> tuple[
    Samples, Record
]:  # fmt: skip
    samples = timing.race_python({strategy: call}, rounds, min_calls=1)
    rate = matrix.nnz / samples.median(strategy) * 1e3
    return samples, {"kind": kind, "problem": name, "nnz": int(matrix.nnz), "strategy": strategy,
                     "million_nonzeros_per_second": rate}  # fmt: skip


def measure_packing(name: str, strategy: str, rounds: int) -> tuple[Samples, Record]:
    """The packing itself, on canonical CSR arrays."""
    matrix = problems.get(name).csr(np.float32)
    return _rate("pack", name, matrix, strategy, pack_call(matrix, strategy), rounds)


def measure_conversion(name: str, strategy: str, rounds: int) -> tuple[Samples, Record]:
    """`cs.from_scipy` as users call it: validation and packing."""
    matrix = problems.get(name).csr(np.float32)
    ours = Ours(strategy)
    return _rate("from_scipy", name, matrix, strategy, lambda: ours.convert(matrix), rounds)


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


def break_even(case: Case, rounds: int = 7) -> tuple[Samples, Record]:
    """(samples of the public calls, record): `cs.from_scipy` with its defaults and `prepare`, divided by what one
    multiply saves against scipy's CSR, both called from Python."""
    ours = Ours()
    prepare_ns = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        packed = ours.convert(case.matrix)
        packed.prepare(n=case.n)
        prepare_ns.append(time.perf_counter_ns() - start)
    calls = {k: v for k, v in rivals.public_calls(case, packed).items() if k in ("public", "scipy")}
    samples = timing.race_python(calls, rounds, sample_ms=2.0, min_calls=1)
    saved = samples.median("scipy") - samples.median("public")
    cost = float(np.median(prepare_ns))
    return samples, {
        "kind": "break_even",
        "problem": case.problem.name,
        "nnz": int(case.matrix.nnz),
        "n": case.n,
        "prepare_ns": cost,
        "scipy_ns": samples.median("scipy"),
        "public_ns": samples.median("public"),
        "multiplies": cost / saved if saved > 0 else float("inf"),
    }


def cases(run: Run) -> Iterator[Record]:
    rounds = 3 if run.quick else 11
    about = {"section": "packing"}
    for name in NAMES:
        yield about | measure_packing(name, "split", rounds)[1]
        for strategy in ("split", "auto"):
            yield about | measure_conversion(name, strategy, rounds)[1]
    yield about | break_even(Case(problems.get(PAID_OFF), 16, threads=run.threads), rounds)[1]


# --- targets ----------------------------------------------------------------------------------------------------------


def _slowest(records: Records, kind: str) -> Figure | None:
    rates = [r for r in of_section(records, "packing") if r["kind"] == kind and r["strategy"] == "split"]
    if not rates:
        return None
    low = min(r["million_nonzeros_per_second"] for r in rates)
    detail = ", ".join(f"{r['problem']} {r['million_nonzeros_per_second']:.0f}" for r in rates)
    return Figure(f"{low:.0f} M nnz/s", low, detail)


def _multiplies(records: Records) -> Figure | None:
    for record in of_section(records, "packing"):
        if record["kind"] == "break_even":
            us = {k: record[f"{k}_ns"] / 1e3 for k in ("prepare", "scipy", "public")}
            detail = f"prepared in {us['prepare']:.0f} us, scipy {us['scipy']:.0f} us, ours {us['public']:.0f} us"
            return Figure(f"{record['multiplies']:.1f}", record["multiplies"], detail)
    return None


TARGETS = (
    Target("packing alone, split", at_least(50, " M nnz/s"), partial(_slowest, kind="pack")),
    Target("from_scipy, split", at_least(50, " M nnz/s"), partial(_slowest, kind="from_scipy")),
    Target("break-even against scipy, N = 16, 1024x1024 95%", Bound("<=", 20, " multiplies"), _multiplies),
)
