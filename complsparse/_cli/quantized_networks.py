# SPDX-License-Identifier: BSD-3-Clause
"""Dense networks in 8-bit integers in ONNX Runtime and OpenVINO, as the former's tool quantises them: what networks in
integers are compared with.

uint8 activations, int8 weights with a scale for each row. ONNX Runtime gets operators of integers, which of the tool's
formats and types are the fastest on the CPUs measured, or within the noise of it; OpenVINO gets operators of real
numbers between conversions, which it turns into its own of integers.
"""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from complsparse._cli.dense_networks import (
    ONNXRUNTIME,
    OPENVINO,
    Runner,
    onnx_model,
    openvino_runner,
    present,
    session_runner,
)
from complsparse.nn import Sequential


def runners(net: Sequential, x: NDArray[Any], calibration: NDArray[Any], threads: int) -> Iterator[tuple[str, Runner]]:
    here = present()
    if ONNXRUNTIME not in here:  # whose tool it is
        return
    yield ONNXRUNTIME, session_runner(onnx_int8_model(net, calibration, "QOperator"), x, threads)
    if OPENVINO in here:
        yield OPENVINO, openvino_runner(onnx_int8_model(net, calibration, "QDQ"), x, threads)


def onnx_int8_model(net: Sequential, calibration: NDArray[Any], form: str) -> bytes:
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
            given.write_bytes(onnx_model(net, calibration))
            tool.quantize_static(
                given, made, Reader(), quant_format=tool.QuantFormat[form], per_channel=True,
                activation_type=tool.QuantType.QUInt8, weight_type=tool.QuantType.QInt8,
            )  # fmt: skip
            return made.read_bytes()
    finally:
        logging.disable(logging.NOTSET)
