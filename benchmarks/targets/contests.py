# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all against NumPy's and PyTorch's partial sorts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks import timing
from benchmarks.problems.vectors import BATCHES, ONE_VECTOR, Task
from benchmarks.rivals import sorts
from benchmarks.targets.target import Figure, Record, Records, Run, Target, at_least
from benchmarks.timing import Candidate, Effort, Samples


def measure(task: Task, rounds: int = 11, sample_ms: float = 2.0) -> tuple[Samples, Record]:
    samples = timing.race_python(sorts.calls(task), rounds, sample_ms, min_calls=10, alone=True)
    others = [name for name in samples.names if name.startswith(("np.", "torch."))]
    record: Record = {
        "kind": "kwta",
        "task": task.name,
        "ns": {name: samples.median(name) for name in samples.names},
        "over": {
            rival: {name: samples.ratio(rival, name) for name in samples.names if name not in others}
            for rival in others
        },
        "torch": sorts.torch()[1],
        "disturbed": samples.disturbed,
    }
    if not task.batch:
        loop = timing.race(
            [Candidate(name, b.function, b.context, b) for name, b in sorts.bound(task).items()],
            Effort(min_rounds=rounds, max_rounds=rounds, sample_ms=sample_ms, alone=True),
        )
        record["loop_ns"] = {name: loop.median(name) for name in loop.names}
    return samples, record


def cases(run: Run) -> Iterator[Record]:
    for task in dict.fromkeys(target.cases[0] for target in TARGETS):
        yield {**measure(task, *((1, 0.2) if run.quick else ()))[1], "section": "contest"}


def _over_argpartition(records: Records, task: Task, name: str) -> Figure | None:
    for record in records:
        if record["kind"] == "kwta" and record["task"] == task.name:
            ratio = record["over"]["np.argpartition"][name]
            return Figure(f"{ratio:.1f} ({record['ns'][name] / 1e3:.2f} us)", ratio)
    return None


TARGETS = tuple(
    Target(f"np.argpartition / {name}, {task.name}", at_least(bound),
           partial(_over_argpartition, task=task, name=name), (task,), ("np.argpartition",))
    for task, name, bound in (
        (ONE_VECTOR[0], "cs.kwta", 2),
        (ONE_VECTOR[0], "bound, cold", 3),
        (ONE_VECTOR[0], "bound, warm", 5),
        (BATCHES[0], "cs.kwta", 18),
        (BATCHES[1], "cs.kwta", 18),
    )
)  # fmt: skip
