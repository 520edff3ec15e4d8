# SPDX-License-Identifier: BSD-3-Clause
"""What the pictures share: colours, fonts, headings."""

from __future__ import annotations

from typing import Any

import matplotlib

from benchmarks.reports.results import MKL_SPARSE, OURS, Results

# Before pyplot is imported: figures are written, not shown.
matplotlib.use("Agg")

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


def subtitle(results: Results, threads: int = 1) -> str:
    machine = results.machine
    isa = machine.get("complsparse", {}).get("isa")
    many = "one thread" if threads == 1 else f"{threads} threads"
    return f"{machine.get('cpu')}, ISA level {isa}, {many}, MKL {_mkl_version(machine)}"


def _mkl_version(machine: dict[str, Any]) -> str:
    words = str((machine.get("mkl") or {}).get("version", "")).split()
    return words[words.index("Version") + 1].removesuffix("-Product") if "Version" in words else "absent"


def heading(figure: Any, title: str, subtitle: str, above: float = 0.28) -> None:
    """Two lines, the lower one `above` inches over the axes whatever the height of the figure."""
    height = figure.get_size_inches()[1]
    top = figure.subplotpars.top
    left = figure.subplotpars.left
    figure.text(left, top + (above + 0.28) / height, title, fontsize=14, fontweight="bold", color=INK)
    figure.text(left, top + above / height, subtitle, fontsize=9.5, color=SOFT)
