# SPDX-License-Identifier: BSD-3-Clause
"""The GSC speech network, dense and sparse, beside dense ones of PyTorch and ONNX Runtime, where they are installed: a
row each, in one group for each batch size."""

from __future__ import annotations

import pytest

from benchmarks.rivals import Ours
from benchmarks.rivals.speech import NAMES
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.targets import speech


@of_sides(NAMES)
@pytest.mark.parametrize("n", [1, *(pytest.param(n, marks=pytest.mark.full) for n in speech.BATCHES[1:])])
def test_gsc(side: str, n: int, ours: Ours, threads: int, smoke: bool, latest: Latest, replay: Replay) -> None:
    samples, record = latest(("gsc", n, threads), lambda: speech.measure(n, threads, *((1, 0.05) if smoke else ())))
    show_sample(replay, side, f"GSC speech network, batch {n}", record, samples, first=NAMES[0])
