# SPDX-License-Identifier: BSD-3-Clause
"""The products, ours against every rival: N = 1, 16, 64, 256, feature- and batch-major, float32 and float64.

A case is a group with a row for each side: ours and the best variant of every rival in nanoseconds per call of the
compiled loop, then ours and scipy's as called from Python. All the variants stand in `extra_info` of the first row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import problems, rivals, timing
from benchmarks.problems import Problem
from benchmarks.rivals import BATCH_MAJOR, FEATURE_MAJOR, Case, Ours
from benchmarks.rows import FROM_PYTHON, PEERS, Latest, Replay, of_sides, show
from benchmarks.timing import Samples

BATCHES = (1, 16, 64, 256)
SMOKE = {"bernoulli_256x320_95", "lyra/conv1d"}


def _problems(config: pytest.Config) -> list[Problem]:
    folder = problems.data_folder(config.getoption("--data"))
    return [
        problems.generated("bernoulli", (256, 320), 95, group="small"),
        *problems.random_problems(),
        *problems.large_problems(),
        *problems.network_problems(),
        *problems.real_problems(folder, ["dlmc", "lyra"]),
    ]


def _in_double(problem: Problem) -> bool:
    """float64 has rows of its own, for one kind of every shape: its micro-kernels are the same templates."""
    name = problem.name
    return problem.group in ("small", "network") or (name.startswith("bernoulli") and name.endswith("95"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "problem" not in metafunc.fixturenames:
        return
    cases = []
    for problem in _problems(metafunc.config):
        for dtype in ("float32", "float64") if _in_double(problem) else ("float32",):
            for layout in (FEATURE_MAJOR, BATCH_MAJOR):
                for n in BATCHES[1:] if layout == BATCH_MAJOR else BATCHES:
                    small = problem.name in SMOKE and n in (1, 16)
                    name = f"{problem.name}-n{n}-{layout}-{dtype}"
                    marks = [] if small else [pytest.mark.full]
                    cases.append(pytest.param(problem, n, layout, dtype, id=name, marks=marks))
    metafunc.parametrize(("problem", "n", "layout", "dtype"), cases)


def _measured(case: Case, effort: timing.Effort, smoke: bool) -> tuple[rivals.Comparison, Samples, dict[str, Any]]:
    ours = Ours()
    there = ours.available()[0]
    packed = ours.convert(case.matrix) if there else None
    result = rivals.compare(case, effort=effort, ours=[ours.bound(packed, case)] if there else [])
    calls = rivals.public_calls(case, packed)
    rounds, sample_ms = (1, 0.05) if smoke else (5, 1.0)
    public = timing.race_python(calls, rounds=rounds, sample_ms=sample_ms, min_calls=3)
    record: dict[str, Any] = {"kind": "matmul", **result.record()}
    record["python_ns"] = {name: public.median(name) for name in public.names}
    return result, public, record


@of_sides([*PEERS, *FROM_PYTHON])
def test_matmul(
    side: str,
    problem: Problem,
    n: int,
    layout: str,
    dtype: str,
    threads: int,
    effort: timing.Effort,
    smoke: bool,
    latest: Latest,
    replay: Replay,
) -> None:
    case = Case(problem, n, layout, np.dtype(dtype), threads)
    result, public, record = latest(case, lambda: _measured(case, effort, smoke))
    show(replay, side, str(case), record, result, public)


@pytest.mark.parametrize("group", list(problems.REAL))
def test_real_data_is_there(group: str, data_folder: Any) -> None:
    """The skip that names what a machine without the real matrices leaves out."""
    assert problems.real_problems(data_folder, [group])
