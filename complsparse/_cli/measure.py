# SPDX-License-Identifier: BSD-3-Clause
"""What the command line finds out: packings and products, measured and checked, as records of plain values."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from complsparse import _config
from complsparse._cli.rivals import Reference
from complsparse._core import matmul
from complsparse._files.trust import printable
from complsparse._matrix.advice import break_even
from complsparse._matrix.matrix import ComplementaryMatrix
from complsparse._operands import activations_dtype
from complsparse._progress import progress
from complsparse._typing import Block, Strategy

PROGRAM = "complsparse"
# Below this many non-zeros a product takes less time than its call: shown, but left out of the means.
COUNTED_NNZ = 5000


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        names = (line.partition(":")[2].strip() for line in stream if line.startswith("model name"))
        model = next(names, model)
    configuration = _config.show_config(mode="dicts")
    return {"cpu": model, "cores": os.cpu_count(), "isa": configuration["isa"]["selected"], **configuration["version"]}


# --- packings ---------------------------------------------------------------------------------------------------------


def pack(matrix: Any, strategy: Strategy = "auto", block: Block = "auto", dtype: Any = None) -> tuple[Any, float]:
    """A ComplementaryMatrix and the seconds it took to make it."""
    if isinstance(matrix, ComplementaryMatrix) and strategy == "auto" and block == "auto":
        return matrix if dtype is None else matrix.astype(dtype), matrix._packing.seconds
    start = time.perf_counter()
    packed = ComplementaryMatrix(matrix, strategy=strategy, block=block, dtype=dtype)
    return packed, time.perf_counter() - start


def facts(W: Any) -> dict[str, Any]:
    rows, cols = W.shape
    return {
        "shape": [rows, cols],
        "dtype": str(W.dtype),
        "nnz": int(W.nnz),
        "density": W.nnz / (rows * cols) if rows and cols else 0.0,
        "strategy": W.strategy,
        "n_sets": W.n_sets,
        "lower_bound": W.lower_bound,
        "packing_efficiency": W.packing_efficiency,
        "set_size": W.set_size,
        "slots": W.slots,
        "block": list(W.block),
        "balanced": W.balanced,
        "nbytes": W.nbytes,
    }


def compare_strategies(W: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    both: tuple[Strategy, ...] = ("strict", "split")
    for strategy in both:
        packed, seconds = pack(W, strategy, W.block)
        found[strategy] = {
            "n_sets": packed.n_sets,
            "packing_efficiency": packed.packing_efficiency,
            "set_size": packed.set_size,
            "seconds": seconds,
        }
    return found


def details(W: Any) -> dict[str, Any]:
    """What `describe` prints beyond the facts, as values."""
    found: dict[str, Any] = {"pack_seconds": W._packing.seconds, "strategies": compare_strategies(W)}
    fresh = W.copy()  # asking for choices builds layouts; this matrix is left as it was
    winners = max(1, W.shape[1] // 10)
    try:
        x_dtype = activations_dtype(W)
        found["pays_off"] = break_even(W, fresh)
        found["microkernels"] = list(fresh._choices(x_dtype))
        found["with_winners"] = {"winners": winners, "microkernels": list(fresh._choices(x_dtype, winners))}
    except (TypeError, ValueError) as error:  # a type that does not multiply, or too many rows
        found |= {"pays_off": None, "microkernels": [], "with_winners": None, "no_products": str(error)}
    return {**found, "layouts": fresh._layouts()}


# --- products ---------------------------------------------------------------------------------------------------------


def _operand(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


def _measure(W: Any, batches: Iterable[int], rivals: Any, rounds: int) -> list[dict[str, Any]]:
    """One record per batch size: times of all sides, and whether ours is right."""
    csr = W.tocsr()
    found = []
    for n in batches:
        x = _operand((W.shape[1],) if n == 1 else (W.shape[1], n), W.dtype)
        reference = Reference(csr, x)
        y = np.empty((W.shape[0], *x.shape[1:]), dtype=W.dtype)
        calls, without = rivals.calls(csr, x, reference)
        matmul(W, x, out=y)
        correct = reference.agrees(y)
        everybody = {PROGRAM: lambda x=x, y=y: matmul(W, x, out=y), **calls}
        seconds = rivals.medians(everybody, rounds)
        ours = seconds[PROGRAM]
        found.append(
            {
                "n": n,
                "correct": correct,
                "seconds": seconds,
                "gflops": 2 * W.nnz * n / ours / 1e9,
                "ratios": {name: seconds[name] / ours for name in calls},
                "not_measured": without,
            }
        )
    return found


def _measured_dtype(dtype: Any) -> Any:
    """What a matrix is multiplied in when nobody says; every rival has float32 and float64."""
    return np.dtype(np.float32 if dtype.kind not in "biu" and dtype.itemsize <= 4 else np.float64)


def benchmark(
    examples: Sequence[tuple[str, str, Callable[[], Any]]],
    batches: Iterable[int],
    dtype: str | None,
    rivals: Any,
    rounds: int,
) -> list[dict[str, Any]]:
    """One record per matrix; where no dtype is given, in the type that `_measured_dtype` finds for W."""
    records = []
    with progress("measuring", len(examples)) as step, rivals.limited():
        for name, group, build in examples:
            step(printable(name))
            matrix = build()
            if matrix is None:
                continue
            W, seconds = pack(matrix)
            W = W.astype(np.dtype(dtype) if dtype else _measured_dtype(W.dtype), copy=False)
            record = {"name": name, "group": group, **facts(W), "pack_seconds": seconds}
            records.append({**record, "products": _measure(W, batches, rivals, rounds)})
    return records


def _geometric_mean(values: Sequence[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def means(records: list[dict[str, Any]], names: list[str], batches: Iterable[int]) -> list[dict[str, Any]]:
    """Geometric means over the matrices that are large enough to count, by batch size."""
    found = []
    for n in batches:
        products = [p for r in records if r["nnz"] >= COUNTED_NNZ for p in r["products"] if p["n"] == n]
        ratios = {name: _geometric_mean([p["ratios"][name] for p in products if name in p["ratios"]]) for name in names}
        found.append({"n": n, "matrices": len(products), "ratios": ratios})
    return found
