# SPDX-License-Identifier: BSD-3-Clause
"""A step of the recurrent layers of RNNoise "little" and of Lyra, with the weights that they were shipped with, against
dense ones in ONNX Runtime, on one thread: `python benchmarks/voices.py [--data DIR]`, with `--profile` where the time
of ours goes.

Both sides read the same model of ONNX, GRUs one behind the other, with states as inputs and outputs. In int8 the rival
is what `quantize_dynamic` makes of a model whose GRUs are written out as products, since it leaves GRU in float32; ours
is what `net.quantize` makes. Ratios over either are printed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import problems, rivals, timing
from benchmarks.problems.voices import VOICES, Cell, inputs_of, model_of, written_out

DENSE, DENSE_INT8 = "ONNX Runtime", "ONNX Runtime, int8"
SPARSITY = 0.6  # RNNoise has 67% zeros; networks take 70% unless told


def session(model: Any, inputs: dict[str, np.ndarray]) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: made.run(None, inputs)


def in_8_bits(model: Any) -> bytes:
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, path)
        quantize_dynamic(path, small)
        return small.read_bytes()


def calls_of(cells: list[Cell], show: Callable[[Any], None]) -> dict[str, Callable[[], Any]]:
    cs = rivals.import_ours()
    inputs = inputs_of(cells)
    model = model_of(cells, inputs)
    xs = tuple(inputs.values())
    calls = {
        DENSE: session(model.SerializeToString(), inputs),
        DENSE_INT8: session(in_8_bits(written_out(cells, inputs)), inputs),
    }
    net = cs.onnx.load(model, sparsity=SPARSITY)
    drawn = inputs_of(cells, steps=64)
    small = net.quantize([tuple(drawn.values())])
    for name, made in (("ours", net), ("ours, int8", small)):
        plan = made.plan(*(x.shape for x in xs))
        out = tuple(np.empty(shape, np.float32) for shape in plan.out_shapes)
        calls[name] = lambda plan=plan, out=out: plan(*xs, out=out)
        show(made.profile(*xs))
    expected, found = calls[DENSE](), calls["ours"]()
    for y, wanted in zip(found, expected, strict=True):
        if np.max(np.abs(y - wanted)) > 1e-4:
            raise AssertionError(f"differs from ONNX Runtime by {np.max(np.abs(y - wanted))}")
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description='A step of RNNoise "little" and of Lyra.')
    parser.add_argument("--data", help="folder of real matrices; or COMPLSPARSE_DATA")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    folder = problems.data_folder(args.data)
    if folder is None:
        raise SystemExit("there is no folder of data: --data, or COMPLSPARSE_DATA")
    rivals.set_threads(1)
    for name, cells in VOICES.items():
        calls = calls_of(cells(folder), print if args.profile else lambda _: None)
        samples = timing.race_python(calls, args.rounds, 1.0, 1, alone=True)
        print(f"{name}, one step; disturbed samples {samples.disturbed:.0%}")
        for call in calls:
            ratios = "".join(f"  {samples.ratio(rival, call):6.2f}x {rival}" for rival in (DENSE, DENSE_INT8))
            print(f"  {call:20} {samples.median(call) / 1e3:8.1f} us{ratios}")


if __name__ == "__main__":
    main()
