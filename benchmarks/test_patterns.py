# SPDX-License-Identifier: BSD-3-Clause
"""Patterns that pack perfectly, ours against every family of rivals; and time against density.

The benchmark of a test is ours; the rivals, their families and the call from Python stand in `extra_info`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import problems, timing
from benchmarks.rivals import Ours
from benchmarks.targets import density, patterns

BATCHES = (1, 4, 16, 64, 256)
SMOKE = {("balanced_1024x1024_b1_s16", 1), ("balanced_1024x1024_b4_s16", 4), ("lyra/proj", 1)}


def _case(name: str, n: int) -> object:
    return pytest.param(name, n, id=f"{name}-n{n}", marks=[] if (name, n) in SMOKE else [pytest.mark.full])


LYRA = [name for target in patterns.TARGETS for name, _, _ in target.cases if name.startswith("lyra/")]


@pytest.mark.parametrize(("name", "n"), [_case(p.name, n) for p in problems.balanced_problems() for n in BATCHES])
def test_balanced(
    name: str, n: int, ours: Ours, threads: int, effort: timing.Effort, smoke: bool, replay: Callable[..., None]
) -> None:
    _measure(None, name, n, threads, effort, replay)


@pytest.mark.parametrize(("name", "n"), [_case(name, n) for name in dict.fromkeys(LYRA) for n in (1, 16)])
def test_blocks(
    name: str, n: int, ours: Ours, data_folder: Path, threads: int, effort: timing.Effort, replay: Callable[..., None]
) -> None:
    _measure(data_folder, name, n, threads, effort, replay)


def _measure(
    folder: Path | None, name: str, n: int, threads: int, effort: timing.Effort, replay: Callable[..., None]
) -> None:
    result, record = patterns.measure(problems.get(name, folder), n, patterns.FLOAT, "patterns", threads, effort)
    assert result is not None, record
    shown = result.best(Ours.name)
    assert shown is not None
    replay(result.samples, shown.name, f"patterns n={n}", record)


@pytest.mark.parametrize("n", [pytest.param(n, marks=[] if n == 1 else [pytest.mark.full]) for n in (1, 16, 64)])
def test_sweep(
    n: int, ours: Ours, threads: int, effort: timing.Effort, smoke: bool, replay: Callable[..., None]
) -> None:
    """Time against density: the benchmark is the densest (1, 1) pattern."""
    sizes = problems.SWEEP_SETS[::3] if smoke else problems.SWEEP_SETS
    samples, record = density.sweep(n, threads, effort, set_sizes=sizes)
    replay(samples, f"{ours.name} {record['points'][0]['problem']}", "time against density", record)
