# SPDX-License-Identifier: BSD-3-Clause
"""Time against sparsity, beside the dense product: from which sparsity on does a sparse product pay?"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import problems, rivals, timing
from benchmarks.rivals import Case
from benchmarks.rows import PEERS, Latest, Replay, of_sides, show

SPARSITIES = (0, 30, 50, 60, 70, 80, 85, 90, 95, 98, 99)


def _case(sparsity: int, n: int) -> Any:
    marks = [] if (sparsity, n) in ((50, 1), (95, 16)) else [pytest.mark.full]
    return pytest.param(sparsity, n, id=f"{sparsity}-n{n}", marks=marks)


@of_sides(PEERS)
@pytest.mark.parametrize(("sparsity", "n"), [_case(s, n) for n in (1, 16, 64) for s in SPARSITIES])
def test_crossover(
    side: str, sparsity: int, n: int, threads: int, effort: timing.Effort, smoke: bool, latest: Latest, replay: Replay
) -> None:
    size = 256 if smoke else 1024
    case = Case(problems.generated("bernoulli", (size, size), sparsity, group="crossover"), n, threads=threads)
    result = latest(("crossover", case), lambda: rivals.compare(case, effort=effort))
    show(replay, side, f"crossover {case}", {"kind": "crossover", "sparsity": sparsity, **result.record()}, result)
