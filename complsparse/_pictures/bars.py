# SPDX-License-Identifier: BSD-3-Clause
"""Bars, one below the other, with what they say beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from complsparse._pictures.axes import check_matplotlib

OURS, OTHERS = "#2166ac", "#b3bac1"


class Bar(NamedTuple):
    name: str
    value: float
    text: str
    stands_out: bool


def draw_bars(bars: Sequence[Bar], title: str, what: str, path: Any) -> None:
    """Writes the picture to a file."""
    check_matplotlib("plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.42 * len(bars) + 1.3), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    colours = [OURS if bar.stands_out else OTHERS for bar in bars]
    drawn = axes.barh([bar.name for bar in bars], [bar.value for bar in bars], color=colours)
    axes.bar_label(drawn, [bar.text for bar in bars], padding=4, fontsize=9)
    longest = max((len(bar.text) for bar in bars), default=0)
    axes.margins(x=0.22 if longest < 25 else 0.3, y=0.6 / max(1, len(bars)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(what)
    axes.set_title(title, fontsize="medium", loc="left")
    figure.savefig(path, dpi=150)
