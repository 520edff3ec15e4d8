# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations against MKL's sparse-sparse, sparse-dense and dense products, and SciPy's CSR @ CSR.

A case is a group with a row for each side: ours as the plan chooses, our product with dense x, the rivals, and then
ours and scipy's as called from Python. Every way of ours stands in `extra_info` of the first row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Ours, WinnersCase
from benchmarks.rows import FROM_PYTHON, Latest, Replay, of_sides, show_sample
from benchmarks.targets import winners
from benchmarks.timing import Samples

NAMES = [
    "balanced_256x320_b4_s16",
    *(f"balanced_1024x1024_b{height}_s16" for height in (1, 2, 4, 8, 16)),
    "balanced_1500x1600_b1_s20",
    "balanced_3072x768_b4_s16",
    "balanced_4096x4096_b16_s16",
    "bernoulli_1024x1024_95",
]
SMOKE = NAMES[0]
CHOSEN = f"{Ours.name}, as chosen"
DENSE_X = f"{Ours.name} {winners.DENSE_X}"
RIVALS = (winners.SPMMD, winners.SPARSE, winners.DENSE)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "share" not in metafunc.fixturenames:
        return
    cases = []
    for name in NAMES:
        for n in (1, 16, 64):
            for share in (0.02, 0.1, 0.5):
                marks = [] if name == SMOKE and n < 64 else [pytest.mark.full]
                cases.append(pytest.param(name, n, share, id=f"{name}-n{n}-{share:.0%}", marks=marks))
    metafunc.parametrize(("name", "n", "share"), cases)


def _measured(
    name: str, n: int, share: float, threads: int, effort: timing.Effort, smoke: bool
) -> tuple[Samples, Samples, dict[str, Any]]:
    problem = problems.get(name)
    samples, record = winners.measure(problem, n, share, threads, effort, RIVALS, fresh=False)
    case = WinnersCase(problem, n, threads=threads, winners=record["winners"])
    matrix, x = case.matrix, sp.csr_array(case.as_columns(case.x))
    packed = Ours().convert(matrix)
    w = rivals.import_ours().Winners.from_dense(np.ascontiguousarray(case.as_columns(case.x)), axis=0)
    calls = {"scipy": lambda: matrix @ x, "public": lambda: packed @ w}
    case.check("scipy", calls["scipy"]().toarray())
    case.check("public", calls["public"]())
    public = timing.race_python(calls, *((1, 0.05, 3) if smoke else (5, 1.0, 20)), alone=threads == 1)
    record["python_ns"] = {who: public.median(who) for who in public.names}
    return samples, public, record


@of_sides([CHOSEN, DENSE_X, *RIVALS, *FROM_PYTHON])
def test_spspmm(
    side: str,
    name: str,
    n: int,
    share: float,
    threads: int,
    effort: timing.Effort,
    smoke: bool,
    ours: Ours,
    latest: Latest,
    replay: Replay,
) -> None:
    key = ("winners", name, n, share)
    samples, public, record = latest(key, lambda: _measured(name, n, share, threads, effort, smoke))
    group = f"{name} n={n} {share:.0%} alive"
    if side in FROM_PYTHON:
        replay(public, FROM_PYTHON[side], group, {"side": side})
        return
    chosen = record["chosen"]
    show_sample(replay, chosen if side == CHOSEN else side, group, record, samples, first=chosen)
