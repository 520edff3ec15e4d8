# SPDX-License-Identifier: BSD-3-Clause
"""Every row of the kernel table at its own ISA level, on a small problem that runs it: figures, no targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import rivals, timing
from benchmarks.problems import kernels
from benchmarks.problems.kernels import Product, Row, Sampled
from benchmarks.problems.vectors import Task
from benchmarks.rivals import Case, Ours, OursWinners, WinnersCase
from benchmarks.targets import costs
from benchmarks.targets.target import Record
from benchmarks.timing import Effort, Samples

# Which loops run on row groups is the CPU maker's. The constants in use, and those that have the others run.
LOOPS: tuple[dict[str, float], ...] = (
    {},
    {"groups_spread": 0.0, "groups_tile_bytes": 256.0},
    {"groups_spread": 1.0, "groups_tile_bytes": 128.0},
)


def table() -> list[Row]:
    """Rows of the library that is here, but for those with benchmarks of their own; none where it is absent."""
    if not Ours().available()[0]:
        return []
    elsewhere = ("spgemm", "conv", "spspconv")  # test_sparse_product.py, test_convolutions.py
    rows = (row for row in rivals.import_ours().microkernels() if row["op"] not in elsewhere)
    return [row for row in rows if kernels.is_of_one_type(row)]  # others: quantized.py


def measure(row: Row, threads: int, effort: Effort) -> tuple[Samples, Record]:
    """Samples named by the row. LookupError where no problem runs it: a row that nothing chooses is dead."""
    for loops in LOOPS:
        with rivals.at_level(row["isa"]), costs.constants(loops):
            if (found := kernels.find(rivals.import_ours(), row)) is not None:
                return _measure(row, found, threads, effort)
    raise LookupError(f"no problem of benchmarks/problems/kernels.py runs {row['name']}")


def _measure(row: Row, found: Product | Sampled | Task, threads: int, effort: Effort) -> tuple[Samples, Record]:
    about: Record = {"kind": "kernel", **row, "tile": list(row["tile"])}
    if isinstance(found, Product):
        return _product(row, found, threads, effort, about)
    call = _sampled(row, found) if isinstance(found, Sampled) else _contest(row, found)
    rounds, sample_ms = effort.min_rounds, effort.sample_ms
    samples = timing.race_python({row["name"]: call}, rounds, sample_ms, effort.min_calls, alone=threads == 1)
    problem = found.problem.name if isinstance(found, Sampled) else found.name
    return samples, about | {"problem": problem, "from_python": True, "ns": samples.median(row["name"])}


def _product(row: Row, found: Product, threads: int, effort: Effort, about: Record) -> tuple[Samples, Record]:
    dtype = kernels.dtype_of(row)
    if found.winners is None:
        case = Case(found.problem, found.n, dtype=dtype, threads=threads)
        packed = Ours().convert(case.matrix)
        plan = rivals.candidates(packed, case)[found.candidate].plan
        variant = Ours().bound(packed, case, row["name"], plan)
    else:
        case = WinnersCase(found.problem, found.n, dtype=dtype, threads=threads, winners=found.winners)
        variant = OursWinners().variant(Ours().convert(case.matrix), case, row["name"], found.candidate)
    rivals.checked(case, [variant])
    call = replace(variant.call, name=row["name"])
    samples = timing.race([call], replace(effort, alone=threads == 1))
    ns = samples.median(row["name"])
    flops = case.flops if found.winners is None else case.flops * found.winners / case.matrix.shape[1]
    return samples, about | {"problem": case.problem.name, "n": case.n, "nnz": int(case.matrix.nnz),
                             "winners": found.winners, "from_python": False, "ns": ns, "gflops": flops / ns,
                             "disturbed": samples.disturbed}  # fmt: skip


def _sampled(row: Row, found: Sampled) -> Callable[[], Any]:
    cs, dtype = rivals.import_ours(), kernels.dtype_of(row)
    matrix = found.problem.csr(dtype)
    W = cs.from_scipy(matrix)
    rng = np.random.default_rng(0)
    p = rng.integers(-4, 5, (matrix.shape[0], kernels.DEPTH)).astype(dtype)
    q = rng.integers(-4, 5, (kernels.DEPTH, matrix.shape[1])).astype(dtype)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    if not np.array_equal(cs.sampled_matmul(W, p, q).tocsr().data, (p @ q)[rows, matrix.indices]):
        raise AssertionError(f"{row['name']} is wrong on {found.problem}")
    return lambda: cs.sampled_matmul(W, p, q)


def _contest(row: Row, task: Task) -> Callable[[], Any]:
    cs = rivals.import_ours()
    x, k = task.draw(kernels.dtype_of(row))[0], task.k
    won = np.sort(cs.kwta(x, k).values.reshape(-1, k), axis=-1)
    if not np.array_equal(won, np.sort(x.reshape(-1, task.n), axis=-1)[:, -k:]):
        raise AssertionError(f"{row['name']} is wrong on {task.name}")
    return lambda: cs.kwta(x, k)
