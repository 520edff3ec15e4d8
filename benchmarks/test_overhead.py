# SPDX-License-Identifier: BSD-3-Clause
"""The cost of a call on an 8x8 matrix, beside np.matmul's."""

from __future__ import annotations

import pytest

from benchmarks import rivals
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.targets import overhead


@of_sides(overhead.NAMES)
@pytest.mark.parametrize("n", [None, 8], ids=["vector", "matrix"])
def test_overhead(side: str, n: int | None, ours: rivals.Ours, smoke: bool, latest: Latest, replay: Replay) -> None:
    samples, record = latest(("overhead", n), lambda: overhead.measure(n, *((1, 0.05) if smoke else ())))
    group = f"overhead of a call, 8x8, {'vector' if n is None else f'{n} columns'}"
    show_sample(replay, side, group, {"kind": "overhead", **record}, samples, first=overhead.NAMES[0])
