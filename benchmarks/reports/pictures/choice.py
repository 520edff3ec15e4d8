# SPDX-License-Identifier: BSD-3-Clause
"""Which pattern for which sparsity and batch."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from benchmarks.reports.pictures.style import (
    INK,
    SOFT,
    heading,
    subtitle,
)
from benchmarks.reports.results import MKL_DENSE, MKL_SPARSE, OURS, Results

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
    heading(figure, "Choose your pattern", f"{shape}, balanced, float32. {subtitle(results)}", 0.45)
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
