# SPDX-License-Identifier: BSD-3-Clause
"""Contests of k winners: ours, NumPy's and PyTorch's partial sorts.

Every call sees another vector of a batch, so that no branch predictor learns the data. NumPy and PyTorch can only be
called from Python; our compiled calls are raced against them from Python too (`bound` figures: a C function pointer
called through one Python object), which counts that call against us.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.problems.vectors import Task
from benchmarks.rivals.case import aligned
from benchmarks.rivals.ours import import_ours

Calls = dict[str, Callable[[], object]]
NAMES = ("cs.kwta", "cs.kwta_dense", "bound, cold", "bound, warm", "np.argpartition", "np.partition", "torch.topk")


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
    cs = import_ours()
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
        found |= bound(task)
    module, _ = torch()
    if module is not None:
        tensors = [module.from_numpy(x) for x in arrays]
        found["torch.topk"] = in_turn(lambda x: module.topk(x, k, axis, sorted=False), tensors)
    return found


def bound(task: Task) -> dict[str, Any]:
    """Ours, bound to the vectors: from a cold start, and with the last contest's threshold as a hint."""
    core = import_ours()._core
    matrix = aligned(np.stack(task.draw()))
    return {f"bound, {word}": core.BoundContest(matrix, task.k, word == "warm") for word in ("cold", "warm")}
