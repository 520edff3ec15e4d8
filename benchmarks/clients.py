# SPDX-License-Identifier: BSD-3-Clause
"""Trained networks that packages ship, with 90% of their weights pruned by magnitude, against dense ones in ONNX
Runtime, on one thread: `python benchmarks/clients.py [NAME ...]`. Packages that are not installed are named.

The share is that of MatMul, Gemm, Conv, GRU and LSTM in the time of ONNX Runtime, from its own profile. Accuracy of the
pruned networks is not claimed: they are not trained further.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    import _from_file  # noqa: F401

from benchmarks import rivals, timing
from benchmarks.problems.clients import CLIENTS, Client, Inputs, Missing, pruned

PRODUCTS = {
    "products": ("MatMul", "Gemm", "Conv", "FusedMatMul", "FusedGemm", "FusedConv", "QLinearMatMul"),
    "recurrent": ("GRU", "LSTM", "DynamicQuantizeLSTM"),
}


def session(model: bytes, profile: Path | None = None) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def shares(model: bytes, inputs: Inputs) -> dict[str, float]:
    """Of the kinds of products in the time of all nodes."""
    with tempfile.TemporaryDirectory() as folder:
        made = session(model, Path(folder) / "profile")
        for _ in range(20):
            made.run(None, inputs)
        events = json.loads(Path(made.end_profiling()).read_text())
    times: dict[str, int] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            times[kind] = times.get(kind, 0) + event["dur"]
    return {
        what: sum(times.get(kind, 0) for kind in kinds) / max(1, sum(times.values()))
        for what, kinds in PRODUCTS.items()
    }


def calls_of(client: Client, sparsity: float) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    import onnx

    cs = rivals.import_ours()
    model, inputs = onnx.load(client.path()), client.inputs(np.random.default_rng(0))
    theirs = session(model.SerializeToString())
    calls: dict[str, Callable[[], Any]] = {"ONNX Runtime": lambda: theirs.run(None, inputs)}
    xs = [inputs[given.name] for given in theirs.get_inputs()]
    for name, given in (("dense", model), ("pruned", pruned(model, sparsity))):
        net = cs.onnx.load(given)
        found, wanted = net(*xs), session(given.SerializeToString()).run(None, inputs)
        for y, expected in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True):
            if np.max(np.abs(y - expected)) > 1e-4 * max(1, np.max(np.abs(expected))):
                raise AssertionError(f"differs from ONNX Runtime by {np.max(np.abs(y - expected))}")
        plan = net.plan(*(x.shape for x in xs))
        given_xs = [np.ascontiguousarray(x, dtype) for x, dtype in zip(xs, plan.x_dtypes, strict=True)]
        calls[name] = lambda plan=plan, given_xs=given_xs: plan(*given_xs)
    return calls, shares(model.SerializeToString(), inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trained networks of packages, pruned.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--sparsity", type=float, default=0.9)
    args = parser.parse_args()
    rivals.set_threads(1)
    print(f"{'':24}{'products':>9}{'GRU, LSTM':>10}{'ONNX Runtime':>14}{'dense':>17}{'pruned':>17}")
    for name in args.names or [name for name in CLIENTS if not name.endswith("int8")]:
        try:
            calls, of = calls_of(CLIENTS[name], args.sparsity)
        except Missing as reason:
            print(f"{name:24}{reason}")
            continue
        samples = timing.race_python(calls, args.rounds, 5.0, 1, alone=True)
        columns = [f"{name:24}{of['products']:9.0%}{of['recurrent']:10.0%}"]
        columns.append(f"{samples.median('ONNX Runtime') / 1e6:11.3f} ms")
        for ours in ("dense", "pruned"):
            columns.append(f"{samples.median(ours) / 1e6:8.3f} ms {samples.ratio('ONNX Runtime', ours):4.2f}x")
        print(" ".join(columns), flush=True)


if __name__ == "__main__":
    main()
