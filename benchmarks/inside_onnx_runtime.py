# SPDX-License-Identifier: BSD-3-Clause
"""Networks inside ONNX Runtime: as they are, and rewritten, on one thread.

    python benchmarks/inside_onnx_runtime.py DATA/sparse_networks/tfl/*.onnx

Whole calls by turns, the shortest of each; and by ONNX Runtime's own profile the sums of the shortest times of nodes.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import tempfile
import time
from typing import Any

import numpy as np
import onnxruntime

import complsparse as cs

SHOWN = ("Conv", "SparseConv", "DepthwiseConv", "SparseMatMul", "ReorderInput", "ReorderOutput", "Add", "Resize")


def session_of(model: Any, profile: str | None = None) -> tuple[Any, dict[str, Any]]:
    """With inputs of its shapes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    cs.onnx.register(options)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    return session, {of.name: rng.random(of.shape, dtype=np.float32) for of in session.get_inputs()}


def whole_calls(models: list[Any], runs: int) -> list[float]:
    """Milliseconds of the shortest call of each."""
    sessions = [session_of(model) for model in models]
    shortest = [float("inf")] * len(models)
    for _ in range(runs):
        for i, (session, inputs) in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, inputs)
            shortest[i] = min(shortest[i], 1e3 * (time.perf_counter() - start))
    return shortest


def profiled(model: Any, runs: int) -> collections.Counter[str]:
    """Microseconds by operator."""
    with tempfile.TemporaryDirectory() as folder:
        session, inputs = session_of(model, os.path.join(folder, "profile"))
        for _ in range(runs):
            session.run(None, inputs)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    shortest: dict[tuple[str, str], int] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = event["args"]["op_name"], event["name"]
            shortest[key] = min(shortest.get(key, event["dur"]), event["dur"])
    found: collections.Counter[str] = collections.Counter()
    for (kind, _), duration in shortest.items():
        found[kind] += duration
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Networks inside ONNX Runtime, as they are and rewritten.")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--runs", type=int, default=60)
    args = parser.parse_args()
    for file in args.files:
        ways = {"as it is": file}
        for name, every in (("rewritten", False), ("every convolution", True)):
            made = cs.onnx.rewrite(file, sparsity=args.sparsity, all_convolutions=every)
            count = sum(node.domain == "ai.complsparse" for node in made.graph.node)
            ways[f"{name}, {count} nodes"] = made.SerializeToString()
        print(os.path.basename(file))
        calls = whole_calls(list(ways.values()), args.runs)
        for (name, model), call in zip(ways.items(), calls, strict=True):
            found = profiled(model, args.runs)
            parts = ", ".join(f"{kind} {found[kind] / 1e3:.2f}" for kind in SHOWN if kind in found)
            print(f"  {name:28} {call:6.2f} ms  {calls[0] / call:5.2f}x  "
                  f"(nodes {sum(found.values()) / 1e3:.2f}: {parts})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
