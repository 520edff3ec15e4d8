# SPDX-License-Identifier: BSD-3-Clause
"""Layers of known networks, sparse beside dense ones of PyTorch and ONNX Runtime: a row for each side."""

from __future__ import annotations

import pytest

from benchmarks import problems
from benchmarks.rivals import Ours, convolutions, linears
from benchmarks.rows import Latest, Replay, show_sample
from benchmarks.targets import known_layers

SMOKE = {"BERT linears, (16,1)", "MobileNetV2 depthwise, dense", "MediaPipe, 1x1"}  # the first layer of each


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = problems.data_folder(metafunc.config.getoption("--data"))
    found = []
    for row in known_layers.ROWS:
        if row.needs_data and folder is None:
            skip = pytest.mark.skip(reason="no folder of real layers: give --data DIR or set COMPLSPARSE_DATA")
            found.append(pytest.param(row, None, "", id=row.name.replace(" ", "_"), marks=skip))
            continue
        cases = list(row.cases(folder))
        for case in cases:
            marks = [] if row.name in SMOKE and case is cases[0] else [pytest.mark.full]
            sides = linears.NAMES if row.name.startswith("BERT") else convolutions.NAMES
            for side in sides:
                name = f"{row.name}-{case.name}-{side}".replace(" ", "_")
                found.append(pytest.param(row, case, side, id=name, marks=marks))
    metafunc.parametrize(("row", "case", "side"), found)


def test_layer(
    row: known_layers.Row,
    case: known_layers.Case,
    side: str,
    ours: Ours,
    smoke: bool,
    latest: Latest,
    replay: Replay,
) -> None:
    samples, record = latest(
        (row.name, case.name), lambda: known_layers.measure(case, row, *((1, 0.05) if smoke else ()))
    )
    first = next(name for name in samples.names if name.startswith("ours"))
    show_sample(replay, side, f"{row.name}: {case.name}", record, samples, first=first)
