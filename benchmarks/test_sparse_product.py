# SPDX-License-Identifier: BSD-3-Clause
"""Products of two sparse matrices with a sparse result: a row for ours and for each rival, in one group.

SciPy leaves the columns of a row in any order, and MKL's `spmm` does too; "ordered" sorts them, as ours are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import rivals, timing

# Side, and the densities of both factors.
CASES = [
    (1024, 0.05, 0.05),
    (1024, 0.05, 0.005),
    (4096, 0.002, 0.002),
    (20_000, 0.0002, 0.0002),
]
WHO = ("ours", "SciPy", "SciPy ordered", "MKL spmm", "MKL spmm ordered")


def _mkl(A: sp.csr_array, B: sp.csr_array, threads: int, ordered: bool) -> Callable[[], Any]:
    """Through sparse_dot_mkl, which copies MKL's result into arrays of NumPy, as it has to be to be used."""
    available, why = rivals.MklSparse().available()
    if not available:
        pytest.skip(why)
    os.environ.setdefault("MKL_RT", rivals.Mkl(threads).path)
    sparse_dot_mkl = pytest.importorskip("sparse_dot_mkl", exc_type=ImportError)
    return lambda: sparse_dot_mkl.dot_product_mkl(A, B, reorder_output=ordered)


def _call(who: str, A: sp.csr_array, B: sp.csr_array, threads: int) -> Callable[[], Any]:
    if who == "ours":
        W = rivals.import_ours().from_scipy(A)
        return lambda: W @ B
    if who == "SciPy":
        return lambda: A @ B
    if who == "SciPy ordered":
        return lambda: (A @ B).sort_indices()
    return _mkl(A, B, threads, who.endswith("ordered"))


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "{}-{:.2%}-{:.2%}".format(*case))
def test_sparse_product(benchmark: Any, case: tuple[int, float, float], who: str, threads: int, smoke: bool) -> None:
    side, left, right = case
    rng = np.random.default_rng(0)
    A, B = (
        sp.random_array((side, side), density=density, rng=rng, format="csr", dtype=np.float32)
        for density in (left, right)
    )
    timing.pin(threads)
    rivals.set_threads(threads)
    call = _call(who, A, B, threads)
    if who == "ours":
        assert abs(call() - A @ B).max() <= 1e-4
    benchmark.group = f"sparse product {side} {left:.2%} {right:.2%}"
    benchmark.pedantic(call, rounds=1 if smoke else 20, warmup_rounds=0 if smoke else 2)
