# SPDX-License-Identifier: BSD-3-Clause
"""GFLOP/s against intensity, under the measured roofs."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.reports.pictures.style import (
    BY_N,
    FAINT,
    INK,
    SOFT,
    heading,
    subtitle,
)
from benchmarks.reports.results import MKL_SPARSE, OURS, Results


def roofline(results: Results) -> Any:
    """GFLOP/s against intensity under the measured roofs of one core, float32."""
    roof = results.machine.get("roof")
    cases = [
        c
        for c in results.products()
        if c["dtype"] == "float32" and c["threads"] == 1 and c["layout"] == "feature-major" and OURS in c["peers"]
    ]
    if not roof or not cases:
        return None
    width, height = 10.5, 6.6
    figure, axis = plt.subplots(figsize=(width, height))
    figure.subplots_adjust(left=0.75 / width, right=1 - 1.75 / width, top=1 - 1.0 / height, bottom=0.9 / height)
    intensity = np.array([c["flops"] / c["csr_bytes"] for c in cases])
    rates = [p["gflops"] for c in cases for p in (c["peers"][OURS], c["peers"].get(MKL_SPARSE)) if p]
    peak = roof["fma_gflops"]["float32"]
    low_x, high_x = intensity.min() / 1.6, intensity.max() * 2.0
    low_y, high_y = min(rates) / 1.8, peak * 1.7
    axis.set(xscale="log", yscale="log", xlim=(low_x, high_x), ylim=(low_y, high_y))

    for level, shade in (("L1", 0.0), ("L2", 0.15), ("L3", 0.3), ("DRAM", 0.45)):
        rate = roof["load_gbytes"][level]
        colour = str(0.25 + shade)
        x = np.array([low_x, min(peak / rate, high_x)])
        axis.plot(x, rate * x, color=colour, linewidth=1.3, zorder=2)
        _along(axis, f"{level}  {rate:.0f} GB/s", x, rate * x, colour)
    fed = {level: roof["fma_load_gflops"]["float32"][level] for level in ("L1", "L2", "L3")}
    at_peak = [level for level in fed if fed[level] > 0.9 * peak]
    text = f"{peak:.0f} GFLOP/s\nmultiply-add" + (f",\nfed from {at_peak[-1]} too" if at_peak else "")
    _ceiling(axis, peak, text, INK, "-")
    for level in fed:
        if level not in at_peak:
            _ceiling(axis, fed[level], f"{fed[level]:.0f} each fed by\na load from {level}", SOFT, (0, (4, 3)))
    if gathered := 2 * roof.get("gather_gelements", {}).get("L1", 0.0):
        axis.plot([low_x, 0.6], [gathered] * 2, color=BY_N[1], linewidth=1.0, linestyle=(0, (1, 2)), zorder=2)
        axis.annotate(f"{gathered:.1f} each x gathered from L1", (0.6, gathered), xytext=(4, 0), fontsize=8.5,
                      textcoords="offset points", va="center", color=BY_N[1])  # fmt: skip

    for case, x in zip(cases, intensity):
        rival = case["peers"].get(MKL_SPARSE)
        if rival:
            axis.plot([x, x], [rival["gflops"], case["peers"][OURS]["gflops"]], color=FAINT, linewidth=0.7, zorder=2.5)
            axis.scatter(x, rival["gflops"], s=13, facecolors="white", edgecolors="#8d959d", linewidths=0.9, zorder=3)
    batches = sorted({c["n"] for c in cases})
    for n in batches:
        chosen = [(x, c["peers"][OURS]["gflops"]) for c, x in zip(cases, intensity) if c["n"] == n]
        axis.scatter(
            *zip(*chosen), s=24, color=BY_N.get(n, SOFT), alpha=0.9, linewidths=0.4, edgecolors="white", zorder=4
        )
    handles = [
        Line2D([], [], marker="o", linestyle="", color=BY_N.get(n, SOFT), markersize=6, label=f"ours, N = {n}")
        for n in batches
    ]
    handles.append(Line2D([], [], marker="o", linestyle="", markerfacecolor="white", markeredgecolor="#8d959d",
                          markersize=5, label="MKL sparse, same case"))  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.65 / width, 0),
                  handletextpad=0.2, columnspacing=1.4)  # fmt: skip
    axis.set_xlabel("intensity, flop per byte of W (CSR), x and y")
    axis.set_ylabel("GFLOP/s on stored entries")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(plain)
    axis.xaxis.set_major_locator(
        FixedLocator([t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low_x <= t <= high_x])
    )
    axis.yaxis.set_major_locator(
        FixedLocator([t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low_y <= t <= high_y])
    )
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.grid(color=FAINT, linewidth=0.5, zorder=0)
    heading(figure, "What the core allows, and what we reach", f"float32, feature-major x. {subtitle(results)}")
    return figure


def _along(axis: Axes, text: str, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    """A label that lies on its line, at the first place inside the picture."""
    low_x, high_x = axis.get_xlim()
    low_y, _ = axis.get_ylim()
    start = max(low_x * 1.05, low_y * 1.15 * x[0] / y[0])
    if start >= min(x[-1], high_x) / 1.5:
        return
    axis.text(start, start * y[0] / x[0] * 1.06, text, fontsize=8.5, color=colour, rotation=_slope(axis),
              rotation_mode="anchor", va="bottom", ha="left", zorder=5,
              bbox={"boxstyle": "round,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.75})  # fmt: skip


def _slope(axis: Axes) -> float:
    """The angle, in degrees on paper, of a line of slope 1 in these logarithmic axes."""
    (low_x, high_x), (low_y, high_y) = axis.get_xlim(), axis.get_ylim()
    box = axis.get_position()
    width, height = axis.figure.get_size_inches()
    per_x = box.width * width / np.log(high_x / low_x)
    per_y = box.height * height / np.log(high_y / low_y)
    return float(np.degrees(np.arctan2(per_y, per_x)))


def _ceiling(axis: Axes, rate: float, text: str, colour: str, dashes: Any) -> None:
    axis.axhline(rate, color=colour, linewidth=1.3 if dashes == "-" else 1.0, linestyle=dashes, zorder=2)
    axis.annotate(text, (1, rate), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                  va="center", fontsize=8.5, color=colour, annotation_clip=False)  # fmt: skip
