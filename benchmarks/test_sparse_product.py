# SPDX-License-Identifier: BSD-3-Clause
"""Products of two sparse matrices with a sparse result: a row for ours and for each rival, in one group.

SciPy leaves the columns of a row in any order, and MKL's `spmm` does too; "ordered" sorts them, as ours are.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import rivals, timing
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.timing import Samples

# Side, and the densities of both factors.
CASES = [
    (1024, 0.05, 0.05),
    (1024, 0.05, 0.005),
    (4096, 0.002, 0.002),
    (20_000, 0.0002, 0.0002),
]
WHO = ("ours", "SciPy", "SciPy ordered", "MKL spmm", "MKL spmm ordered")


def _calls(A: sp.csr_array, B: sp.csr_array, threads: int) -> dict[str, Callable[[], Any]]:
    """Everybody that is there. sparse_dot_mkl copies MKL's result into arrays of NumPy, as it has to be to be used."""
    W = rivals.import_ours().from_scipy(A)
    found: dict[str, Callable[[], Any]] = {
        "ours": lambda: W @ B,
        "SciPy": lambda: A @ B,
        "SciPy ordered": lambda: (A @ B).sort_indices(),
    }
    if rivals.MklSparse().available()[0]:
        os.environ.setdefault("MKL_RT", rivals.Mkl(threads).path)
        with contextlib.suppress(ImportError):
            multiply = importlib.import_module("sparse_dot_mkl").dot_product_mkl
            found["MKL spmm"] = lambda: multiply(A, B)
            found["MKL spmm ordered"] = lambda: multiply(A, B, reorder_output=True)
    assert abs(found["ours"]() - found["SciPy"]()).max() <= 1e-4
    return found


def _measured(case: tuple[int, float, float], threads: int, smoke: bool) -> tuple[Samples, dict[str, Any]]:
    side, left, right = case
    rng = np.random.default_rng(0)
    A, B = (
        sp.random_array((side, side), density=density, rng=rng, format="csr", dtype=np.float32)
        for density in (left, right)
    )
    timing.pin(threads)
    rivals.set_threads(threads)
    rounds, sample_ms = (1, 0.05) if smoke else (15, 5.0)
    samples = timing.race_python(_calls(A, B, threads), rounds, sample_ms, min_calls=1, alone=threads == 1)
    return samples, {
        "kind": "sparse product",
        "problem": case,
        "over": {name: samples.ratio(name, "ours") for name in samples.names[1:]},
        "disturbed": samples.disturbed,
    }


@of_sides(WHO)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "{}-{:.2%}-{:.2%}".format(*case))
def test_sparse_product(
    side: str, case: tuple[int, float, float], threads: int, smoke: bool, latest: Latest, replay: Replay
) -> None:
    samples, record = latest(("sparse product", case), lambda: _measured(case, threads, smoke))
    show_sample(replay, side, "sparse product {} {:.2%} {:.2%}".format(*case), record, samples, first=WHO[0])
