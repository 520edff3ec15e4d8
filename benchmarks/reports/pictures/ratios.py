# SPDX-License-Identifier: BSD-3-Clause
"""How much faster ours is: a dot for every matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.reports.pictures.style import (
    FAINT,
    GROUP_COLOURS,
    GROUP_NAMES,
    INK,
    LOSS_SIDE,
    SOFT,
    subtitle,
)
from benchmarks.reports.results import OURS, Results
from benchmarks.timing import geometric_mean


def _times(value: float, _: Any = None) -> str:
    return f"{value:g}x"


def _swarm(positions: np.ndarray, near: float, step: float, limit: float) -> np.ndarray:
    """Offsets that keep dots apart: one nearer than `near` to those before it moves aside, a `step` at a time."""
    offsets = np.zeros(len(positions))
    taken: list[int] = []
    for i in np.argsort(positions):
        taken = [j for j in taken if positions[i] - positions[j] < near]
        used = {round(offsets[j] / step) for j in taken}
        places = (place for k in range(1, len(positions) + 1) for place in (k, -k))
        offsets[i] = step * (0 if 0 not in used else next(place for place in places if place not in used))
        taken.append(int(i))
    largest = np.abs(offsets).max(initial=0.0)
    return offsets * (limit / largest if largest > limit else 1.0)


def ratios(results: Results) -> Any:
    """One panel per (layout, dtype) and rival: rows are N, dots are matrices, the bar is the geometric mean."""
    products = [c for c in results.products() if OURS in c["peers"] and c["threads"] == 1]
    rows = [
        ("float32", "feature-major"),
        ("float32", "batch-major"),
        ("float64", "feature-major"),
    ]
    rows = [r for r in rows if any((c["dtype"], c["layout"]) == r for c in products)]
    columns = [*results.rivals(products), "SciPy"]
    if not rows:
        return None
    counts = [len({c["n"] for c in products if (c["dtype"], c["layout"]) == r}) for r in rows]
    width = 1.2 + 3.9 * len(columns)
    height = sum(0.55 * n + 0.75 for n in counts) + 1.4
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(width, height), squeeze=False, sharex="col",
        gridspec_kw={"height_ratios": counts, "hspace": 0.32, "wspace": 0.10},
    )  # fmt: skip
    figure.subplots_adjust(left=0.75 / width, right=1 - 0.1 / width, top=1 - 1.15 / height, bottom=0.85 / height)
    groups: dict[str, None] = {}
    for i, (dtype, layout) in enumerate(rows):
        for j, rival in enumerate(columns):
            cases = [c for c in products if (c["dtype"], c["layout"]) == (dtype, layout)]
            _ratio_panel(axes[i, j], cases, rival)
            groups |= dict.fromkeys(c["group"] for c in cases)
            if i == 0:
                what = "SciPy's CSR, both called from Python" if rival == "SciPy" else rival
                axes[i, j].annotate(f"{what} / ours", (0, 1), xytext=(0, 22), textcoords="offset points",
                                    xycoords="axes fraction", fontweight="bold", fontsize=11)  # fmt: skip
            if j == 0:
                title = f"{dtype}, x {layout}"
                axes[i, j].annotate(title, (0, 1), xytext=(0, 6), textcoords="offset points", xycoords="axes fraction",
                                    color=SOFT, fontsize=9.5)  # fmt: skip
            else:
                axes[i, j].set_yticklabels([])
    for axis in axes[-1]:
        axis.set_xlabel("time of the rival / our time")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=_group_colour(g), markersize=6, label=GROUP_NAMES.get(g, g))
        for g in groups
    ]
    handles.append(Line2D([], [], marker="|", linestyle="", color=INK, markersize=13, markeredgewidth=2.2,
                          label="geometric mean"))  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.55 / width, 0),
                  handletextpad=0.2, columnspacing=1.4)  # fmt: skip
    height_above = 1.15 / height
    figure.text(0.75 / width, 1 - height_above + 0.80 / height, "How much faster?", fontsize=14, fontweight="bold")
    figure.text(0.75 / width, 1 - height_above + 0.56 / height, subtitle(results), fontsize=9.5, color=SOFT)
    return figure


def _group_colour(group: str) -> str:
    return GROUP_COLOURS.get(group, SOFT)


def _case_ratio(case: dict[str, Any], rival: str) -> float | None:
    if rival != "SciPy":
        return case["peers"].get(rival, {}).get("ratio")
    python = case.get("python_ns", {})
    theirs = [ns for name, ns in python.items() if name.startswith("scipy")]
    return min(theirs) / python["public"] if theirs and "public" in python else None


def _ratio_panel(axis: Axes, cases: Sequence[dict[str, Any]], rival: str) -> None:
    batches = sorted({c["n"] for c in cases})
    found = {n: [(r, c["group"]) for c in cases if c["n"] == n and (r := _case_ratio(c, rival))] for n in batches}
    every = [r for row in found.values() for r, _ in row]
    axis.set_xscale("log")
    if every:
        before = axis.get_xlim() if axis.get_autoscalex_on() is False else (np.inf, -np.inf)
        axis.set_xlim(min(0.7, min(every) / 1.25, before[0]), max(1.6, max(every) * 1.25, before[1]))
    span = float(np.diff(np.log(axis.get_xlim()))[0])
    for y, n in enumerate(batches):
        if not found[n]:
            continue
        values = np.array([r for r, _ in found[n]])
        offsets = _swarm(np.log(values) / span, near=0.018, step=0.09, limit=0.30)
        colours = [_group_colour(group) for _, group in found[n]]
        axis.scatter(values, y + offsets, s=15, c=colours, alpha=0.8, linewidths=0, zorder=3)
        mean = geometric_mean(values.tolist())
        axis.plot([mean, mean], [y - 0.36, y + 0.36], color=INK, linewidth=2.2, zorder=4, solid_capstyle="butt")
        axis.annotate(f"{mean:.2f}", (mean, y - 0.36), xytext=(0, 1), textcoords="offset points", ha="center",
                      va="bottom", fontsize=8.5, fontweight="bold", zorder=5,
                      bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8})  # fmt: skip
    low, high = axis.get_xlim()
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= t <= high]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(_times))
    axis.axvspan(1e-6, 1, color=LOSS_SIDE, zorder=0, linewidth=0)
    axis.axvline(1, color=SOFT, linewidth=1, zorder=1)
    axis.grid(axis="x", color=FAINT, linewidth=0.6, zorder=0)
    axis.set_axisbelow(True)
    axis.set_ylim(len(batches) - 0.45, -0.68)
    axis.set_yticks(range(len(batches)), [f"N = {n}" for n in batches])
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.spines["left"].set_visible(False)
