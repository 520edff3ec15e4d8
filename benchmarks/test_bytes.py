# SPDX-License-Identifier: BSD-3-Clause
"""Products and convolutions of 8-bit numbers beside dense rivals on 8-bit numbers: a row for each side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import quantized, rivals, timing
from benchmarks.rivals import int8
from benchmarks.rows import Latest, Replay, of_sides, show_sample

# Of rivals: torch says that its tensors of 8 bits will go.
pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")

LINEAR = ("ORT MatMulInteger", "ORT QLinearMatMul", "torch quantized linear", "torch _int_mm (s8)", "MKL gemm_s8u8s32",
          "matmul", "linear", "qlinear, u8", "float32")  # fmt: skip
CONVOLUTION = ("ORT QLinearConv", "torch conv, NCHW", "torch conv, NHWC")
CASES = [
    pytest.param(
        block, n, id=f"{block[0]}x{block[1]}-N{n}", marks=[] if block == (16, 4) and n == 16 else pytest.mark.full
    )
    for block in quantized.BLOCKS
    for n in (16, 64, 256)
]
UNITS = [f"({height}, 1x4) {layout}, u8" for height, layout in quantized.UNITS]
STAGES = [
    pytest.param(*stage, id=f"{stage[0]}-channels", marks=[] if stage == quantized.STAGES[-1] else pytest.mark.full)
    for stage in quantized.STAGES
]


def race(calls: dict[str, Callable[[], object]], smoke: bool) -> tuple[timing.Samples, dict[str, Any]]:
    return timing.race_python(calls, *((1, 0.05, 1) if smoke else (9, 1.0, 1))), {}


@of_sides(LINEAR)
@pytest.mark.parametrize(("block", "n"), CASES)
def test_linear(side: str, block: tuple[int, int], n: int, ours: rivals.Ours, smoke: bool, latest: Latest,
                replay: Replay) -> None:  # fmt: skip
    def measure() -> tuple[timing.Samples, dict[str, Any]]:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (n, 1024), dtype=np.uint8)
        dense = rng.integers(-127, 128, (1024, 1024), dtype=np.int8)
        calls = int8.onnxruntime_linear(x, dense) | int8.torch_linear(x, dense) | int8.mkl_linear(x, dense)
        return race(calls | quantized.ours((1024, 1024), block, x), smoke)

    samples, record = latest(("bytes", block, n), measure)
    show_sample(replay, side, f"8 bits, 1024 x 1024, blocks of {block}, N = {n}", record, samples, first=LINEAR[0])


@of_sides([*CONVOLUTION, *UNITS])
@pytest.mark.parametrize(("channels", "across"), STAGES)
def test_convolution(side: str, channels: int, across: int, ours: rivals.Ours, smoke: bool, latest: Latest,
                     replay: Replay) -> None:  # fmt: skip
    def measure() -> tuple[timing.Samples, dict[str, Any]]:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (1, channels, across, across), dtype=np.uint8)
        dense = rng.integers(-127, 128, (channels, channels, 3, 3), dtype=np.int8)
        calls = int8.onnxruntime_convolution(x, dense, 1) | int8.torch_convolution(x, dense, 1)
        for height, layout in quantized.UNITS:
            calls |= quantized.our_convolution(channels, height, layout, x)
        return race(calls, smoke)

    samples, record = latest(("bytes", channels), measure)
    show_sample(replay, side, f"8 bits, 3 x 3, {channels} channels", record, samples, first=CONVOLUTION[0])
