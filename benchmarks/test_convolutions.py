# SPDX-License-Identifier: BSD-3-Clause
"""Sparse convolutions beside dense ones of PyTorch and ONNX Runtime, where they are installed, and beside columns that
are written out: a row each, in one group for each layer and pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.problems.convolutions import GSC, RESNET_1X1, RESNET_3X3, SMOKE, STEPPING, TAPS
from benchmarks.rivals import Ours
from benchmarks.rivals.convolutions import DENSE
from benchmarks.targets import convolutions
from benchmarks.timing import Samples

LAYERS = (SMOKE, *RESNET_3X3, *RESNET_1X1, *STEPPING, *GSC)
CALLS = ("ours NCHW", "ours NHWC", *DENSE, "columns + matmul")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = [
        pytest.param(layer, block, call, id=f"{layer.name}-{block}-{call}".replace(" ", "_"),
                     marks=[] if layer == SMOKE else [pytest.mark.full])
        for layer in LAYERS
        for block in (1, 4, 8, 16, TAPS)
        for call in CALLS
    ]  # fmt: skip
    metafunc.parametrize(("layer", "block", "call"), cases)


@pytest.fixture(scope="module")
def races() -> dict[Any, Samples]:
    """Of one layer and pattern: all take part in one race, and each shows its own samples."""
    return {}


def test_convolution(
    layer: Any,
    block: int | str,
    call: str,
    ours: Ours,
    smoke: bool,
    races: dict[Any, Samples],
    replay: Callable[..., None],
) -> None:
    if (layer, block) not in races:
        races.clear()
        races[layer, block] = convolutions.race(layer, block, 16, *((1, 0.05) if smoke else ()))
    samples = races[layer, block]
    if call not in samples.names:
        pytest.skip(f"not run: {call.split()[0]} is not installed")
    pattern = "one of 16 channels a tap" if block == TAPS else f"({block}, 1)"
    replay(samples, call, f"{layer.name}, {pattern}", {"disturbed": samples.disturbed})
