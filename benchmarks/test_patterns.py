# SPDX-License-Identifier: BSD-3-Clause
"""Patterns that pack perfectly, ours against every family of rivals; and time against density.

A case is a group with a row for ours and one for the best variant of every rival; their families and the call from
Python stand in `extra_info` of the first row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import problems, timing
from benchmarks.rivals import Comparison, Ours
from benchmarks.rows import PEERS, Latest, Replay, of_sides, show
from benchmarks.targets import density, patterns

BATCHES = (1, 4, 16, 64, 256)
SMOKE = {("balanced_1024x1024_b1_s16", 1), ("balanced_1024x1024_b4_s16", 4), ("lyra/proj", 1)}


def _case(name: str, n: int) -> object:
    return pytest.param(name, n, id=f"{name}-n{n}", marks=[] if (name, n) in SMOKE else [pytest.mark.full])


LYRA = [name for target in patterns.TARGETS for name, _, _ in target.cases if name.startswith("lyra/")]


@of_sides(PEERS)
@pytest.mark.parametrize(("name", "n"), [_case(p.name, n) for p in problems.balanced_problems() for n in BATCHES])
def test_balanced(
    side: str, name: str, n: int, ours: Ours, threads: int, effort: timing.Effort, latest: Latest, replay: Replay
) -> None:
    result, record = latest(("patterns", name, n), lambda: _measured(None, name, n, threads, effort))
    show(replay, side, f"patterns {name} n={n}", record, result)


@of_sides(PEERS)
@pytest.mark.parametrize(("name", "n"), [_case(name, n) for name in dict.fromkeys(LYRA) for n in (1, 16)])
def test_blocks(
    side: str,
    name: str,
    n: int,
    ours: Ours,
    data_folder: Path,
    threads: int,
    effort: timing.Effort,
    latest: Latest,
    replay: Replay,
) -> None:
    result, record = latest(("patterns", name, n), lambda: _measured(data_folder, name, n, threads, effort))
    show(replay, side, f"patterns {name} n={n}", record, result)


def _measured(
    folder: Path | None, name: str, n: int, threads: int, effort: timing.Effort
) -> tuple[Comparison, dict[str, Any]]:
    result, record = patterns.measure(problems.get(name, folder), n, patterns.FLOAT, "patterns", threads, effort)
    assert result is not None, record
    return result, record


@pytest.mark.parametrize("n", [pytest.param(n, marks=[] if n == 1 else [pytest.mark.full]) for n in (1, 16, 64)])
def test_sweep(n: int, ours: Ours, threads: int, effort: timing.Effort, smoke: bool, replay: Replay) -> None:
    """Time against density: the benchmark is the densest (1, 1) pattern."""
    sizes = problems.SWEEP_SETS[::3] if smoke else problems.SWEEP_SETS
    samples, record = density.sweep(n, threads, effort, set_sizes=sizes)
    replay(samples, f"{ours.name} {record['points'][0]['problem']}", "time against density", record)
