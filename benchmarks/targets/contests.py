# SPDX-License-Identifier: BSD-3-Clause
"""k-winners-take-all against NumPy's and PyTorch's partial sorts. Run as a program it prints the targets.

    python benchmarks/kwta.py

Every call sees another vector of a batch, so that no branch predictor learns the data. NumPy and PyTorch can only be
called from Python; our compiled calls are raced against them from Python too (`bound` figures: a C function pointer
called through one Python object), which counts that call against us. `loop_ns` is the same call in the compiled loop.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals import peers
from benchmarks.timing import loop as timing
from benchmarks.timing.loop import Candidate, Samples

VECTORS = 64  # different ones, in turn

Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Task:
    """The k largest of each vector of n: one vector a call, or `batch` of them, entries along `axis`."""

    n: int
    k: int
    batch: int = 0  # 0: one vector
    axis: int = -1

    @property
    def name(self) -> str:
        return f"{self.k} of {self.n}" + (f", {self.batch} vectors along axis {self.axis}" if self.batch else "")

    def draw(self) -> list[NDArray[np.float32]]:
        rng = np.random.default_rng(self.n)
        if not self.batch:
            return list(rng.standard_normal((VECTORS, self.n), dtype=np.float32))
        shape = (self.n, self.batch) if self.axis == 0 else (self.batch, self.n)
        return list(rng.standard_normal((4, *shape), dtype=np.float32))


ONE_VECTOR = (Task(1500, 150), Task(1024, 102), Task(4096, 410), Task(64, 6))
BATCHES = (Task(64, 6, 784), Task(64, 6, 784, 0), Task(1500, 150, 64))


def torch() -> tuple[Any, str]:
    """(the module, its version) or (None, why not)."""
    try:
        module = importlib.import_module("torch")
    except ImportError as error:
        return None, f"absent: {error}"
    module.set_num_threads(1)
    return module, module.__version__


def in_turn(function: Callable[[Any], object], arrays: list[Any]) -> Callable[[], object]:
    following = itertools.cycle(arrays).__next__
    return lambda: function(following())


def calls(task: Task) -> Calls:
    """Ours and the rivals, checked against each other. NumPy's methods, which are faster than its functions."""
    cs = peers.import_ours()
    arrays = task.draw()
    axis, k = task.axis, task.k
    for x in arrays[:3]:
        w = cs.kwta(x, k, axis=axis)
        best = np.sort(np.partition(x, -k, axis=axis).take(range(-k, 0), axis=axis), axis=axis)
        moved = np.moveaxis(w.toarray(), axis, -1).reshape(-1, task.n)
        kept = np.sort(moved[np.arange(len(moved))[:, None], w.indices.reshape(-1, k)], axis=-1)
        if not np.array_equal(kept, np.moveaxis(best, axis, -1).reshape(-1, k)):
            raise AssertionError(f"kwta is wrong on {task.name}")

    def kwta(x: Any) -> object:
        return cs.kwta(x, k, axis=axis)

    found: Calls = {
        "np.argpartition": in_turn(lambda x: x.argpartition(-k, axis), arrays),
        "np.partition": in_turn(lambda x: np.partition(x, -k, axis), arrays),
        "cs.kwta": in_turn(kwta, arrays),
        "cs.kwta_dense": in_turn(lambda x: cs.kwta_dense(x, k, axis=axis), arrays),
    }
    if not task.batch:
        for name, bound in bounds(task).items():
            found[name] = bound
    module, _ = torch()
    if module is not None:
        tensors = [module.from_numpy(x) for x in arrays]
        found["torch.topk"] = in_turn(lambda x: module.topk(x, k, axis, sorted=False), tensors)
    return found


def bounds(task: Task) -> dict[str, Any]:
    from complsparse import _core

    matrix = peers.aligned(np.stack(task.draw()))
    return {f"bound, {word}": _core.BoundContest(matrix, task.k, word == "warm") for word in ("cold", "warm")}


def measure(task: Task, rounds: int = 11, sample_ms: float = 2.0) -> tuple[Samples, dict[str, Any]]:
    samples = timing.race_python(calls(task), rounds, sample_ms, min_calls=10, alone=True)
    rivals = [name for name in samples.names if name.startswith(("np.", "torch."))]
    record: dict[str, Any] = {
        "kind": "kwta",
        "task": task.name,
        "ns": {name: samples.median(name) for name in samples.names},
        "over": {
            rival: {name: samples.ratio(rival, name) for name in samples.names if name not in rivals}
            for rival in rivals
        },
        "torch": torch()[1],
        "disturbed": samples.disturbed,
    }
    if not task.batch:
        loop = timing.race(
            [Candidate(name, b.function, b.context, b) for name, b in bounds(task).items()],
            timing.Effort(min_rounds=rounds, max_rounds=rounds, sample_ms=sample_ms, alone=True),
        )
        record["loop_ns"] = {name: loop.median(name) for name in loop.names}
    return samples, record


# Against np.argpartition alone: (task, ours, at least)
TARGETS = (
    (ONE_VECTOR[0], "cs.kwta", 2.0),
    (ONE_VECTOR[0], "bound, cold", 3.0),
    (ONE_VECTOR[0], "bound, warm", 5.0),
    (BATCHES[0], "cs.kwta", 18.0),
    (BATCHES[1], "cs.kwta", 18.0),
)


def cases(folder: Path | None, quick: bool, threads: int, effort: timing.Effort) -> Iterator[dict[str, Any]]:
    """The tasks of `TARGETS`, for `accept.py`."""
    for task in dict.fromkeys(task for task, _, _ in TARGETS):
        yield {**measure(task, *((1, 0.2) if quick else ()))[1], "section": "contest"}


def bounds_of(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str, bool]]:
    """(what, bound, figure, whether it is met) of each target that was measured."""
    measured = {record["task"]: record for record in records if record["kind"] == "kwta"}
    for task, name, bound in TARGETS:
        if task.name in measured:
            record = measured[task.name]
            got = record["over"]["np.argpartition"][name]
            figure = f"{got:.1f} ({record['ns'][name] / 1e3:.2f} us)"
            yield f"np.argpartition / {name}, {task.name}", f">= {bound:g}", figure, got >= bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    peers.set_threads(1)
    records = {task: measure(task, rounds)[1] for task in (*ONE_VECTOR, *BATCHES)}
    for task, record in records.items():
        print(task.name)
        for name, ns in record["ns"].items():
            ratio = record["over"]["np.argpartition"].get(name)
            print(f"  {name:18} {ns:12,.0f} ns" + (f"   {ratio:6.1f}x np.argpartition" if ratio else ""))
        for name, ns in record.get("loop_ns", {}).items():
            print(f"  {name + ', loop':18} {ns:12,.0f} ns")
        if record["disturbed"]:
            print(f"  disturbed samples: {record['disturbed']:.0%}")
    print(f"torch.topk: {torch()[1]}")
    for what, bound, figure, met in bounds_of(list(records.values())):
        print(f"{'met' if met else 'MISSED'}: {what}: {figure}, {bound}")
