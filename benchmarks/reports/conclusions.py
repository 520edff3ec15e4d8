# SPDX-License-Identifier: BSD-3-Clause
"""What the report says first: a sentence of figures for each of the pictures that it begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.reports.results import MKL_SPARSE, Results
from benchmarks.timing import geometric_mean

COUNTED_NNZ = 5000  # below, a product is mostly its call
UNSTRUCTURED = ("random", "large", "dlmc")  # groups of matrices as pruning leaves them


def compared(results: Results) -> list[dict[str, Any]]:
    """The products that the comparison is about: float32, feature-major, one thread."""
    return [
        c for c in results.products()
        if (c["dtype"], c["layout"], c["threads"]) == ("float32", "feature-major", 1) and c["nnz"] >= COUNTED_NNZ
    ]  # fmt: skip


def ratios_to(rival: str, cases: list[dict[str, Any]]) -> list[float]:
    return [ratio for c in cases if (ratio := c["peers"].get(rival, {}).get("ratio"))]


def _by_batch(results: Results) -> str:
    cases = [c for c in compared(results) if c["group"] in UNSTRUCTURED]
    means = {}
    for n in sorted({c["n"] for c in cases}):
        if found := ratios_to(MKL_SPARSE, [c for c in cases if c["n"] == n]):
            means[n] = geometric_mean(found)
    if not means:
        return ""
    figures = ", ".join(f"{mean:.2f} times at N = {n}" for n, mean in means.items())
    every = ratios_to(MKL_SPARSE, cases)
    lost = sum(ratio < 1 for ratio in every)
    loses = f"{lost} of {len(every)} products are lost, the worst at {min(every):.2f}" if lost else "none is lost"
    what = "N vectors at a time, matrices as pruning leaves them: as fast as MKL's sparse product"
    return f"{what} {figures} (geometric means); {loses}."


def _of_sparsities(results: Results) -> str:
    best: dict[int, tuple[float, float, float]] = {}
    for record in results.kind("grid"):
        found = [p for p in record["points"] if abs(p["share"] - 0.1) < 1e-9 and "ratio" in p]
        if found and (record["height"] not in best or record["weight_sparsity"] <= 0.951):
            weights = record["weight_sparsity"]
            product = 1 / (1 - weights) / 0.1
            best[record["height"]] = (weights, found[0]["ratio"], product)
    if not best:
        return ""
    parts = [f"{ratio:.0f} products in ({height}, 1) blocks" for height, (_, ratio, _) in best.items()]
    weights, _, product = next(iter(best.values()))
    return (
        f"With {weights:.0%} of the weights and 90% of the activations zero one multiplication of {product:.0f} is "
        f"left: with one vector MKL's dense product takes as long as {', '.join(parts)}."
    )


def _of_patterns(results: Results) -> str:
    cases = compared(results)
    parts = []
    for n in (1, 16):
        figures = []
        for groups, name in ((UNSTRUCTURED, "without structure"), (("balanced",), "in patterns that pack perfectly")):
            found = ratios_to(MKL_SPARSE, [c for c in cases if c["n"] == n and c["group"] in groups])
            if found:
                figures.append(f"{geometric_mean(found):.1f} times as fast {name}")
        if len(figures) == 2:
            parts.append(f"{', '.join(figures)} at N = {n}")
    if not parts:
        return ""
    return f"Where the zeros are matters as much as how many there are: beside MKL's sparse product {'; '.join(parts)}."


# Pictures that the page begins with, in this order, and what each of them says.
FIRST: dict[str, Callable[[Results], str]] = {
    "ratios.png": _by_batch,
    "sparsities.png": _of_sparsities,
    "choice.png": _of_patterns,
}
