# SPDX-License-Identifier: BSD-3-Clause
"""Dense networks in 8-bit integers in ONNX Runtime, as its own tool quantises them: what networks in integers are
compared with.

uint8 activations, int8 weights with a scale for each row, operators of integers: of the tool's formats and types the
fastest on the CPUs measured, or within the noise of it.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from complsparse._cli.dense_networks import ONNXRUNTIME, Runner, onnx_model, present, session_runner
from complsparse.nn import Sequential


def runners(net: Sequential, x: NDArray[Any], calibration: NDArray[Any], threads: int) -> Iterator[tuple[str, Runner]]:
    if ONNXRUNTIME in present():
        yield ONNXRUNTIME, session_runner(onnx_int8_model(net, calibration), x, threads)


def onnx_int8_model(net: Sequential, calibration: NDArray[Any]) -> bytes:
    """The network with its activations as far as these samples reach."""
    tool = importlib.import_module("onnxruntime.quantization")
    samples = iter([{"x": calibration}])

    class Reader(tool.CalibrationDataReader):  # type: ignore[misc,name-defined]
        def get_next(self) -> Any:
            return next(samples, None)

    logging.disable(logging.WARNING)  # advice about models that others made
    try:
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
            given.write_bytes(onnx_model(net))
            tool.quantize_static(
                given, made, Reader(), quant_format=tool.QuantFormat.QOperator, per_channel=True,
                activation_type=tool.QuantType.QUInt8, weight_type=tool.QuantType.QInt8,
            )  # fmt: skip
            return made.read_bytes()
    finally:
        logging.disable(logging.NOTSET)
