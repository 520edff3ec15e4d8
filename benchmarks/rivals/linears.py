# SPDX-License-Identifier: BSD-3-Clause
"""Linear layers over a sequence: ours, and PyTorch and ONNX Runtime with dense weights, called from Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems.known_layers import Linear
from benchmarks.rivals.convolutions import Calls, as_array, bound_node, checked, optional
from benchmarks.rivals.ours import import_ours

NAMES = ("ours", "torch", "onnxruntime")


def _dense(weight: NDArray[Any], x: NDArray[Any]) -> Calls:
    found: Calls = {}
    if (torch := optional("torch")) is not None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        vectors, weights = torch.from_numpy(x), torch.from_numpy(weight)
        found["torch"] = lambda: torch.nn.functional.linear(vectors, weights)
    if (onnx := optional("onnx")) is not None and optional("onnxruntime") is not None:
        node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
        found["onnxruntime"] = bound_node(node, x, np.ascontiguousarray(weight.T))
    return found


def calls(linear: Linear, weight: NDArray[Any]) -> Calls:
    """Everybody that is there, checked against one another."""
    x = linear.vectors()
    f = import_ours().from_dense(weight).plan(linear.sequence, batch_major=True)
    out = np.empty((linear.sequence, linear.outputs), dtype=np.float32)
    found: Calls = {"ours": lambda: f(x, out=out), **_dense(weight, x)}
    checked({name: as_array(call(), name) for name, call in found.items()}, linear.name)
    return found
