# SPDX-License-Identifier: BSD-3-Clause
"""Networks inside ONNX Runtime: as they are, and rewritten, on one thread, by ONNX Runtime's own profile.

    python benchmarks/inside_onnx_runtime.py DATA/sparse_networks/tfl/*.onnx

The time of a network is the sum over its nodes of the shortest time of each: what is left of a busy machine.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import onnxruntime

import complsparse as cs

SHOWN = ("Conv", "SparseConv", "SparseMatMul", "ReorderInput", "ReorderOutput", "Add")


def profiled(model: Any, runs: int) -> collections.Counter[str]:
    """Microseconds by operator."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = 1, True
        options.profile_file_prefix = os.path.join(folder, "profile")
        cs.onnx.register(options)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        inputs = {of.name: rng.random(of.shape, dtype=np.float32) for of in session.get_inputs()}
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
        dense = 0
        for name, model in ways.items():
            found = profiled(model, args.runs)
            total = sum(found.values())
            dense = dense or total
            parts = ", ".join(f"{kind} {found[kind] / 1e3:.2f}" for kind in SHOWN if kind in found)
            print(f"  {name:28} {total / 1e3:6.2f} ms  {dense / total:5.2f}x  ({parts})", flush=True)


if __name__ == "__main__":
    main()
