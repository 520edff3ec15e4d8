# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all beside np.partition, np.argpartition and torch.topk."""

from __future__ import annotations

import pytest

from benchmarks import rivals
from benchmarks.problems.vectors import BATCHES, ONE_VECTOR, Task
from benchmarks.rivals import sorts
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.targets import contests

TASKS = (*ONE_VECTOR, *BATCHES)


@of_sides(sorts.NAMES)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_kwta(side: str, task: Task, ours: rivals.Ours, smoke: bool, latest: Latest, replay: Replay) -> None:
    samples, record = latest(("kwta", task), lambda: contests.measure(task, *((1, 0.05) if smoke else ())))
    show_sample(replay, side, f"k winners, {task.name}", record, samples, first=sorts.NAMES[0])
