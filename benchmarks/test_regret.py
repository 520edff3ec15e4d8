# SPDX-License-Identifier: BSD-3-Clause
"""Where the plan's choice was not the best of its candidates, and by how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case
from benchmarks.targets import regret

SMOKE = ("balanced_1024x1024_b1_s16", "balanced_1024x1024_b16_s16")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = problems.data_folder(metafunc.config.getoption("--data"))
    cases = [
        pytest.param(name, n, folder, id=f"{name}-n{n}",
                     marks=[] if name in SMOKE and n in (1, 16) else [pytest.mark.full])
        for name in regret.names(folder)
        for n in regret.BATCHES
    ]  # fmt: skip
    metafunc.parametrize(("name", "n", "folder"), cases)


def test_regret(
    name: str, n: int, folder: Path | None, ours: rivals.Ours, threads: int, smoke: bool, replay: Callable[..., None]
) -> None:
    """The benchmark is the chosen candidate; all of them and the regret stand in `extra_info`."""
    case = Case(problems.get(name, folder), n, threads=threads)
    samples, record = regret.measure(case, timing.SMOKE if smoke else regret.EFFORT)
    replay(samples, f"{ours.name}: {record['chosen']}", f"regret n={n}", record)
