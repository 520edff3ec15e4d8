# SPDX-License-Identifier: BSD-3-Clause
"""Time against sparsity, and where sparse begins to win."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.reports.pictures.style import (
    FAINT,
    PEER_COLOURS,
    SOFT,
    heading,
    subtitle,
)
from benchmarks.reports.results import OURS, Results


def crossover(results: Results) -> Any:
    """Time against sparsity, one panel per N."""
    cases = [c for c in results.kind("crossover") if c["threads"] == 1]
    if len({c["sparsity"] for c in cases}) < 3:
        return None
    batches = sorted({c["n"] for c in cases})
    width, height = 1.0 + 3.7 * len(batches), 4.5
    figure, axes = plt.subplots(1, len(batches), figsize=(width, height), squeeze=False)
    figure.subplots_adjust(
        left=0.7 / width, right=1 - 0.15 / width, top=1 - 1.15 / height, bottom=0.95 / height, wspace=0.2
    )
    names = [OURS, *results.rivals(cases)]
    for axis, n in zip(axes[0], batches):
        chosen = sorted((c for c in cases if c["n"] == n), key=lambda c: c["sparsity"])
        for name in names:
            # Evenly spread in the share that is left: what a product costs is proportional to it.
            points = [(100 - c["sparsity"], c["peers"][name]["ns"] / 1e3) for c in chosen if name in c["peers"]]
            if points:
                axis.plot(*zip(*points), marker="o", markersize=4, linewidth=2.2 if name == OURS else 1.4,
                          color=PEER_COLOURS.get(name, SOFT), label=name, zorder=4 if name == OURS else 3)  # fmt: skip
        axis.set(xscale="log", yscale="log", title=f"N = {n}", xlabel="sparsity")
        axis.invert_xaxis()
        shown = [s for s in (0, 50, 80, 90, 95, 98, 99) if any(c["sparsity"] == s for c in chosen)]
        axis.xaxis.set_major_locator(FixedLocator([100 - s for s in shown]))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda left, _: f"{100 - left:g}%"))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.grid(color=FAINT, linewidth=0.6)
        axis.set_axisbelow(True)
        _mark_crossing(axis, chosen, [name for name in names if name.endswith("dense")])
    axes[0, 0].set_ylabel("microseconds")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower left", ncols=len(labels), bbox_to_anchor=(0.6 / width, 0))
    title = "From which sparsity on does sparse win?"
    heading(figure, title, f"1024 x 1024, independent random entries, float32. {subtitle(results)}", 0.42)
    return figure


def _mark_crossing(axis: Axes, cases: Sequence[dict[str, Any]], dense: Sequence[str]) -> None:
    """Where our line meets the fastest dense one, interpolated on the logarithmic axes."""
    points = [
        (np.log(100 - c["sparsity"]), np.log(c["peers"][OURS]["ns"] / best))
        for c in cases
        if OURS in c["peers"] and (best := min((c["peers"][d]["ns"] for d in dense if d in c["peers"]), default=0))
    ]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if y0 > 0 >= y1:
            left = float(np.exp(x0 + (x1 - x0) * y0 / (y0 - y1)))
            axis.axvline(left, color=PEER_COLOURS[OURS], linewidth=1, linestyle=(0, (2, 3)), zorder=2)
            side = -1 if left < 4 else 1  # near the right edge the figure stands before the line
            axis.annotate(f"{100 - left:.0f}%", (left, 0.02), xycoords=("data", "axes fraction"), xytext=(4 * side, 0),
                          textcoords="offset points", ha="left" if side > 0 else "right", fontsize=9.5,
                          fontweight="bold", color=PEER_COLOURS[OURS])  # fmt: skip
            return
