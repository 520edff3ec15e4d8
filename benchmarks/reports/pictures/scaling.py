# SPDX-License-Identifier: BSD-3-Clause
"""Time against density: a line through the origin?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmarks.reports.pictures.style import (
    FAINT,
    PEER_COLOURS,
    heading,
    subtitle,
)
from benchmarks.reports.results import MKL_DENSE, MKL_SPARSE, OURS, Results


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
    heading(figure, "Does time follow density?",
             f"{shape}, balanced (1, 1) patterns, float32, 80% to 98% sparse. {subtitle(results)}", 0.45)  # fmt: skip
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
