# SPDX-License-Identifier: BSD-3-Clause
"""Sparse convolutions beside dense ones of PyTorch and ONNX Runtime, where they are installed, and beside columns that
are written out: a row each, in one group for each layer and pattern."""

from __future__ import annotations

import pytest

from benchmarks.problems.convolutions import GSC, RESNET_1X1, RESNET_3X3, SMOKE, STEPPING, TAPS, Layer
from benchmarks.rivals import Ours
from benchmarks.rivals.convolutions import NAMES
from benchmarks.rows import Latest, Replay, of_sides, show_sample
from benchmarks.targets import convolutions

LAYERS = (SMOKE, *RESNET_3X3, *RESNET_1X1, *STEPPING, *GSC)
CASES = [
    pytest.param(layer, block, id=f"{layer.name}-{block}".replace(" ", "_"),
                 marks=[] if layer == SMOKE else [pytest.mark.full])
    for layer in LAYERS
    for block in (1, 4, 8, 16, TAPS)
]  # fmt: skip


@of_sides(NAMES)
@pytest.mark.parametrize(("layer", "block"), CASES)
def test_convolution(
    side: str, layer: Layer, block: int | str, ours: Ours, smoke: bool, latest: Latest, replay: Replay
) -> None:
    samples, record = latest(
        ("convolution", layer, block), lambda: convolutions.measure(layer, block, 16, *((1, 0.05) if smoke else ()))
    )
    pattern = "one of 16 channels a tap" if block == TAPS else f"({block}, 1)"
    show_sample(replay, side, f"{layer.name}, {pattern}", record, samples, first=NAMES[0])
