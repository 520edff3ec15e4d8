# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all beside np.partition, np.argpartition and torch.topk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import rivals
from benchmarks.problems.vectors import BATCHES, ONE_VECTOR, Task
from benchmarks.targets import contests

TASKS = (*ONE_VECTOR, *BATCHES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_kwta(task: Task, ours: rivals.Ours, smoke: bool, replay: Callable[..., None]) -> None:
    samples, record = contests.measure(task, *((1, 0.05) if smoke else ()))
    replay(samples, "cs.kwta", f"k winners, {task.name}", record)
