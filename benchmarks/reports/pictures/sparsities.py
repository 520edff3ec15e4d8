# SPDX-License-Identifier: BSD-3-Clause
"""Weights and activations, both sparse."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from benchmarks.reports.pictures.style import (
    INK,
    heading,
    subtitle,
)
from benchmarks.reports.results import Results


def sparsities(results: Results) -> Any:
    """Times faster than dense, weights against activations: measured beside what two multiplied sparsities would give.
    One row of panels per block height."""
    records = results.kind("grid")
    heights = list(dict.fromkeys(r["height"] for r in records))
    records = [r for r in records if all("ratio" in p for p in r["points"])]
    if not records:
        return None
    width, height = 10.6, 1.5 + 3.7 * len(heights)
    figure, axes = plt.subplots(len(heights), 2, figsize=(width, height), squeeze=False)
    figure.subplots_adjust(
        left=0.085, right=0.99, top=1 - 1.25 / height, bottom=0.65 / height, wspace=0.13, hspace=0.42
    )
    norm = LogNorm(1, 2500)
    for pair, of in zip(axes, heights):
        mine = sorted((r for r in records if r["height"] == of), key=lambda r: r["weight_sparsity"])
        shares = [p["share"] for p in mine[0]["points"]]
        measured = np.array([[p["ratio"] for p in r["points"]] for r in mine])
        ideal = np.array([[1 / (1 - r["weight_sparsity"]) / share for share in shares] for r in mine])
        for axis, values, title in zip(pair, (measured, ideal), (f"({of}, 1): measured", "the ideal: both multiplied")):
            axis.imshow(values, norm=norm, cmap="YlGnBu", aspect="auto", origin="lower")
            for (i, j), value in np.ndenumerate(values):
                dark = norm(value) > 0.6
                axis.text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if dark else INK, fontsize=9)
            axis.set_title(title)
            axis.set_xticks(range(len(shares)), [f"{1 - s:.0%}" for s in shares])
            axis.set_yticks(range(len(mine)), [f"{r['weight_sparsity']:.0%}" for r in mine])
            axis.spines[:].set_visible(False)
            axis.tick_params(length=0)
        pair[0].set_ylabel("weights that are zero")
    for axis in axes[-1]:
        axis.set_xlabel("activations that are zero")
    heading(figure, "Do two sparsities multiply?",
             f"times faster than MKL dense, 1024 x 1024, one vector, float32. {subtitle(results)}", 0.45)  # fmt: skip
    return figure
