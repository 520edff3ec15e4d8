# SPDX-License-Identifier: BSD-3-Clause
"""What comes before the first product: packing (non-zeros a second), conversion, layouts, and when it has paid off."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import problems, rivals
from benchmarks.rivals import Case
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.targets import packing

PROBLEMS = ("bernoulli_1024x1024_95", "bernoulli_3072x768_90", "bernoulli_4096x4096_95", "bernoulli_256x320_95")
SMALL = "bernoulli_256x320_95"

named = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == SMALL else [pytest.mark.full]) for name in PROBLEMS]
)


def _rounds(smoke: bool) -> int:
    return 1 if smoke else 7


@named
@pytest.mark.parametrize("strategy", ["split", "strict"])
def test_pack(name: str, strategy: str, ours: rivals.Ours, smoke: bool, replay: Replay) -> None:
    """The packing itself, on canonical CSR arrays."""
    if strategy == "strict" and name.startswith("bernoulli_4096"):
        pytest.skip("strict packing of 4096 unstructured rows takes seconds; it is measured on the smaller ones")
    samples, record = packing.measure_packing(name, strategy, _rounds(smoke))
    replay(samples, strategy, "packing alone", record)


@named
@pytest.mark.parametrize("strategy", ["auto", "split"])
def test_from_scipy(name: str, strategy: str, ours: rivals.Ours, smoke: bool, replay: Replay) -> None:
    """`cs.from_scipy` as users call it: validation and packing."""
    samples, record = packing.measure_conversion(name, strategy, _rounds(smoke))
    replay(samples, strategy, "from_scipy", record)


@named
@pytest.mark.parametrize("n", [1, 16, 64])
def test_layout(name: str, n: int, ours: rivals.Ours, smoke: bool, replay: Replay) -> None:
    """`prepare(n=...)` on a matrix whose layouts are not built yet."""
    matrix = problems.get(name).csr(np.float32)
    samples = packing.layout_samples(matrix, n, rounds=_rounds(smoke))
    replay(samples, "prepare", "layout", {"kind": "layout", "problem": name, "nnz": int(matrix.nnz), "n": n})


@of_sides(["public", "scipy"])
@named
def test_break_even(
    side: str, name: str, ours: rivals.Ours, threads: int, smoke: bool, latest: Latest, replay: Replay
) -> None:
    """Multiplies with N = 16 after which conversion and layout have paid off against scipy's CSR."""
    case = Case(problems.get(name), 16, threads=threads)
    samples, record = latest(("break-even", case), lambda: packing.break_even(case, rounds=_rounds(smoke)))
    show_sample(replay, side, f"break-even, {name}", record, samples, first="public")
