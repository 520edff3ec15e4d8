# SPDX-License-Identifier: BSD-3-Clause
"""The cost of a call on an 8x8 matrix, beside np.matmul's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import rivals
from benchmarks.targets import overhead


@pytest.mark.parametrize("n", [None, 8], ids=["vector", "matrix"])
def test_overhead(n: int | None, ours: rivals.Ours, smoke: bool, replay: Callable[..., None]) -> None:
    samples, record = overhead.measure(n, *((1, 0.05) if smoke else ()))
    replay(samples, "cs.matmul(W, x, out=y)", "overhead of a call, 8x8", {"kind": "overhead", **record})
