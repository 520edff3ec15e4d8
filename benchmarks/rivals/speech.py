# SPDX-License-Identifier: BSD-3-Clause
"""The GSC speech network: ours, dense and sparse, and dense ones of PyTorch and ONNX Runtime, as the command line of
the package runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rivals.ours import import_ours

Calls = dict[str, Callable[[], Any]]
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse-sparse": ("sparse_sparse", {}),
    "sparse-sparse, 8 of 64": ("sparse_sparse", {"winners": (8, 8, 150)}),
    "sparse-sparse, (1,1)": ("sparse_sparse", {"masks": "fine"}),
    "sparse-sparse, published order": ("sparse_sparse", {"order": "published"}),
    "sparse-sparse, global contests": ("sparse_sparse", {"winners": "global"}),
    "sparse": ("sparse", {}),
    "sparse, (1,1)": ("sparse", {"masks": "fine"}),
}
DENSE = ("dense", "narrow")
RIVALS = ("ONNX Runtime", "OpenVINO", "torch", "torch channels_last")
NAMES = (*OURS, *DENSE, *(f"{kind}, {name}" for kind in DENSE for name in RIVALS))


def words(n: int) -> Any:
    return np.random.default_rng(n).standard_normal((n, 1, 32, 32), dtype=np.float32)


def planned(kind: str, options: dict[str, Any], x: Any) -> Callable[[], Any]:
    """A network of ours, bound to its output."""
    plan = import_ours().nn.gsc_network(kind, rng=0, **options).plan(x.shape)
    y = np.empty(plan.out_shapes[0], dtype=np.float32)
    return lambda: plan(x, out=y)


def calls(n: int, threads: int) -> Calls:
    """Everybody that is there, for a batch of n words; the dense ones checked against one another."""
    cs, x = import_ours(), words(n)
    from complsparse._cli import dense_networks

    found = {name: planned(kind, options, x) for name, (kind, options) in OURS.items()}
    for kind in DENSE:
        found[kind] = planned(kind, {}, x)
        y = found[kind]()
        for name, runner in dense_networks.runners(cs.nn.gsc_network(kind, rng=0), x, threads):
            runner.call()
            if not np.allclose(runner.result(), y, rtol=0, atol=1e-4 * np.abs(y).max()):
                raise AssertionError(f"{name} and ours differ on the {kind} network")
            found[f"{kind}, {name}"] = runner.call
    return found
