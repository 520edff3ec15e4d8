# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all beside np.partition, np.argpartition and torch.topk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.rivals import peers
from benchmarks.targets import contests as winners

TASKS = (*winners.ONE_VECTOR, *winners.BATCHES)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_kwta(task: winners.Task, ours: peers.Ours, smoke: bool, replay: Callable[..., None]) -> None:
    samples, record = winners.measure(task, *((1, 0.05) if smoke else ()))
    replay(samples, "cs.kwta", f"k winners, {task.name}", record)
