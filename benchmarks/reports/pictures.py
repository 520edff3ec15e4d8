# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the performance report: ratios, roofline, crossover, time against density, choice of a pattern."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.reports.tables import MKL_DENSE, MKL_SPARSE, OURS, Results
from benchmarks.timing.loop import geometric_mean

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

INK, SOFT, FAINT = "#22262b", "#6f7780", "#d9dde1"
LOSS_SIDE = "#fbeeea"
# Distinct in lightness too: legible in grey and to colour-blind eyes.
BY_N = {1: "#0b3c6f", 16: "#1f8a9e", 64: "#e0912f", 256: "#b8336a"}
GROUP_NAMES = {"random": "random 90-98%", "dlmc": "pruned networks (DLMC)", "lyra": "Lyra, blocks",
               "large": "4096 x 4096", "network": "layer shapes, random", "small": "small",
               "balanced": "balanced patterns"}  # fmt: skip
GROUP_COLOURS = {"random": "#1f6fb2", "dlmc": "#d9822b", "lyra": "#3a9a5b", "large": "#8a4fa3", "network": "#5f6b76",
                 "small": "#b0b7bd", "balanced": "#c2416b"}  # fmt: skip
PEER_COLOURS = {OURS: "#0b3c6f", MKL_SPARSE: "#d9822b", "MKL dense": "#6f7780", "OpenBLAS dense": "#b0b7bd"}

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT,
    "xtick.color": SOFT, "ytick.color": SOFT, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "figure.dpi": 100, "savefig.dpi": 160, "legend.frameon": False, "legend.fontsize": 9,
}  # fmt: skip


def draw(results: Results, folder: Path) -> list[str]:
    """Draw what the results allow; the names of the files."""
    drawn = []
    with plt.rc_context(STYLE):
        for name, make in PICTURES.items():
            figure = make(results)
            if figure is not None:
                figure.savefig(folder / name, facecolor="white", bbox_inches="tight", pad_inches=0.15)
                plt.close(figure)
                drawn.append(name)
    return drawn


def _subtitle(results: Results, threads: int = 1) -> str:
    machine = results.machine
    isa = machine.get("complsparse", {}).get("isa")
    many = "one thread" if threads == 1 else f"{threads} threads"
    return f"{machine.get('cpu')}, ISA level {isa}, {many}, MKL {_mkl_version(machine)}"


def _mkl_version(machine: dict[str, Any]) -> str:
    words = str((machine.get("mkl") or {}).get("version", "")).split()
    return words[words.index("Version") + 1].removesuffix("-Product") if "Version" in words else "absent"


def _heading(figure: Any, title: str, subtitle: str, above: float = 0.28) -> None:
    """Two lines, the lower one `above` inches over the axes whatever the height of the figure."""
    height = figure.get_size_inches()[1]
    top = figure.subplotpars.top
    left = figure.subplotpars.left
    figure.text(left, top + (above + 0.28) / height, title, fontsize=14, fontweight="bold", color=INK)
    figure.text(left, top + above / height, subtitle, fontsize=9.5, color=SOFT)


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
    figure.text(0.75 / width, 1 - height_above + 0.56 / height, _subtitle(results), fontsize=9.5, color=SOFT)
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
    _heading(figure, "What the core allows, and what we reach", f"float32, feature-major x. {_subtitle(results)}")
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
    _heading(figure, title, f"1024 x 1024, independent random entries, float32. {_subtitle(results)}", 0.42)
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


def _least_squares(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(intercept, slope)"""
    slope, intercept = np.polyfit(*zip(*points), 1)
    return float(intercept), float(slope)


def scaling(results: Results) -> Any:
    """Time against density on linear axes, one panel per N: a library that skips zeros draws a line to the origin."""
    records = sorted(results.kind("sweep"), key=lambda r: r["n"])
    if not records:
        return None
    width, height = 1.0 + 3.9 * len(records), 4.9
    figure, axes = plt.subplots(1, len(records), figsize=(width, height), squeeze=False)
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.15 / width, top=1 - 1.25 / height, bottom=1.05 / height, wspace=0.22
    )
    for axis, record in zip(axes[0], records):
        _scaling_panel(axis, record)
    axes[0, 0].set_ylabel("microseconds")
    handles = [
        Line2D([], [], marker="o", markersize=5, linewidth=2.2 if peer == OURS else 1.4, color=PEER_COLOURS[peer],
               label=peer)
        for peer in (OURS, MKL_SPARSE)
    ]  # fmt: skip
    if any(_dense_is_drawn(record) for record in records):
        handles.append(Line2D([], [], linewidth=1.4, linestyle=(0, (5, 2)), color=PEER_COLOURS[MKL_DENSE],
                              label=MKL_DENSE))  # fmt: skip
    handles.append(Line2D([], [], linewidth=1, linestyle=(0, (1, 2)), color=PEER_COLOURS[OURS],
                          label="least squares through ours"))  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.6 / width, 0))
    shape = " x ".join(map(str, records[0]["shape"]))
    _heading(figure, "Does time follow density?",
             f"{shape}, balanced (1, 1) patterns, float32, 80% to 98% sparse. {_subtitle(results)}", 0.45)  # fmt: skip
    return figure


# A dense line higher than this over the others is told in words.
DENSE_SHOWN = 1.7


def _sparse_top(record: dict[str, Any]) -> float:
    return 1.12e-3 * max(ns for p in record["points"] if p["height"] == 1 for ns in p["ns"].values())


def _dense_is_drawn(record: dict[str, Any]) -> bool:
    return "dense" in record and record["dense"]["ns"] / 1e3 < DENSE_SHOWN * _sparse_top(record)


def _scaling_panel(axis: Axes, record: dict[str, Any]) -> None:
    points = sorted((p for p in record["points"] if p["height"] == 1), key=lambda p: p["density"])
    lines = {
        peer: [(100 * p["density"], p["ns"][peer] / 1e3) for p in points if peer in p["ns"]]
        for peer in (MKL_SPARSE, OURS)
    }
    top = _sparse_top(record)
    dense = record["dense"]["ns"] / 1e3 if "dense" in record else None
    right = max(x for x, _ in lines[OURS]) * 1.06
    for peer, line in lines.items():
        if line:
            axis.plot(*zip(*line), marker="o", markersize=4.5, linewidth=2.2 if peer == OURS else 1.4,
                      color=PEER_COLOURS[peer], zorder=4 if peer == OURS else 3)  # fmt: skip
    intercept, slope = _least_squares(lines[OURS])
    x = np.array([0.0, right])
    axis.plot(x, intercept + slope * x, color=PEER_COLOURS[OURS], linewidth=1, linestyle=(0, (1, 2)), zorder=2)
    fit = next(f for f in record["fits"] if f["peer"] == OURS and f["height"] == 1)
    notes = [(f"R² {fit['r_squared']:.4f}, intercept {fit['share']:.1%} of the 80% time", PEER_COLOURS[OURS])]
    if dense is not None and _dense_is_drawn(record):
        top = max(top, 1.12 * dense)
        axis.axhline(dense, color=PEER_COLOURS[MKL_DENSE], linewidth=1.4, linestyle=(0, (5, 2)), zorder=2)
    elif dense is not None:  # its line would press the others flat
        notes.append((f"{MKL_DENSE}: {dense:,.0f} us, off the scale", PEER_COLOURS[MKL_DENSE]))
    top *= 1.05 + 0.06 * len(notes)
    # The lines rise from the lower left: the upper left is free.
    for i, (text, colour) in enumerate(notes):
        axis.annotate(text, (0.015, 0.985 - 0.075 * i), xycoords="axes fraction", fontsize=9, color=colour, va="top",
                      bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"})  # fmt: skip
    axis.set(xlim=(0, right), ylim=(min(0.0, 1.1 * intercept), top), title=f"N = {record['n']}", xlabel="sparsity")
    # As many labels as fit: 97 and 98% stand close together.
    shown = [p for p in points if p["set_size"] in (5, 8, 10, 16, 33)] or points
    axis.set_xticks([100 * p["density"] for p in shown], [f"{100 * (1 - 1 / p['set_size']):.3g}%" for p in shown],
                    fontsize=8.5)  # fmt: skip
    axis.grid(color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)


WINNER_COLOURS = {OURS: "#1f6fb2", MKL_SPARSE: "#d9822b", MKL_DENSE: "#6f7780"}


def choice(results: Results) -> Any:
    """Who wins, and by how much: sparsity from left to right, batch size and block height downwards."""
    records = sorted(results.kind("choice"), key=lambda r: r["n"])
    if not records:
        return None
    heights = sorted({p["height"] for p in records[0]["points"]})
    sizes = sorted({p["set_size"] for p in records[0]["points"]})
    cell_width, cell_height, gap = 0.92, 0.36, 0.35
    rows = len(records) * (len(heights) + gap)
    left, right, above, below = 1.55, 0.2, 1.25, 1.0
    width, height = left + right + cell_width * len(sizes), above + below + cell_height * rows
    figure, axis = plt.subplots(figsize=(width, height))
    figure.subplots_adjust(left=left / width, right=1 - right / width, top=1 - above / height, bottom=below / height)
    for i, record in enumerate(records):
        start = i * (len(heights) + gap)
        for j, block in enumerate(heights):
            y = start + j
            axis.annotate(f"({block}, 1)", (0, y + 0.5), xytext=(-6, 0), textcoords="offset points", ha="right",
                          va="center", fontsize=9, color=SOFT, annotation_clip=False)  # fmt: skip
            for point in (p for p in record["points"] if p["height"] == block):
                _choice_cell(axis, sizes.index(point["set_size"]), y, point, record)
        axis.annotate(f"N = {record['n']}", (0, start + len(heights) / 2), xytext=(-96, 0), textcoords="offset points",
                      ha="left", va="center", fontweight="bold", fontsize=10, annotation_clip=False)  # fmt: skip
    axis.set(xlim=(0, len(sizes)), ylim=(rows - gap, 0))
    axis.set_xticks([i + 0.5 for i in range(len(sizes))], [f"{100 * (1 - 1 / size):.3g}%" for size in sizes])
    axis.xaxis.tick_top()
    axis.tick_params(length=0, labelcolor=INK)
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    handles = [
        Line2D([], [], marker="s", linestyle="", markersize=9, color=colour, label=peer)
        for peer, colour in WINNER_COLOURS.items()
    ]
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), title="fastest", alignment="left",
                  bbox_to_anchor=((left - 0.1) / width, 0.32 / height),
                  title_fontproperties={"weight": "bold", "size": 9})  # fmt: skip
    note = (
        "In each cell: the faster rival's time over ours. A frame: ours wins, and is the fastest of the three blocks."
    )
    figure.text(left / width, 0.12 / height, note, fontsize=8.5, color=SOFT)
    shape = " x ".join(map(str, records[0]["shape"]))
    _heading(figure, "Choose your pattern", f"{shape}, balanced, float32. {_subtitle(results)}", 0.45)
    return figure


def _choice_cell(axis: Axes, x: int, y: float, point: dict[str, Any], record: dict[str, Any]) -> None:
    times = dict(point["ns"])
    if "dense" in record:
        times[MKL_DENSE] = record["dense"]["ns"]
    winner = min(times, key=lambda peer: times[peer])
    rival = min(ns for peer, ns in times.items() if peer != OURS)
    lead = rival / times[OURS]
    # The stronger the lead of whoever wins, the deeper the colour.
    depth = float(np.clip(0.35 + 0.45 * abs(np.log2(lead)) / 2, 0.35, 1.0))
    axis.add_patch(Rectangle((x + 0.03, y + 0.05), 0.94, 0.9, color=_tint(WINNER_COLOURS[winner], depth), linewidth=0))
    same = [p for p in record["points"] if p["set_size"] == point["set_size"]]
    best = point["ns"][OURS] <= min(p["ns"][OURS] for p in same) and winner == OURS
    if best:
        axis.add_patch(Rectangle((x + 0.05, y + 0.08), 0.90, 0.84, fill=False, edgecolor=INK, linewidth=1.6))
    text = f"{lead:.1f}x" if lead >= 9.95 else f"{lead:.2f}x"
    axis.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=9, fontweight="bold" if best else "normal",
              color="white" if depth > 0.72 else INK)  # fmt: skip


def _tint(colour: str, depth: float) -> tuple[float, ...]:
    return tuple(1 - depth * (1 - part) for part in to_rgb(colour))


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
    _heading(figure, "Do two sparsities multiply?",
             f"times faster than MKL dense, 1024 x 1024, one vector, float32. {_subtitle(results)}", 0.45)  # fmt: skip
    return figure


PICTURES = {"ratios.png": ratios, "roofline.png": roofline, "crossover.png": crossover, "scaling.png": scaling,
            "choice.png": choice, "sparsities.png": sparsities}  # fmt: skip
