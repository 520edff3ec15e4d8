# SPDX-License-Identifier: BSD-3-Clause
"""Time against the number of columns: are there widths that take longer than wider ones?"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from benchmarks.reports.pictures.style import FAINT, PEER_COLOURS, heading, subtitle
from benchmarks.reports.results import MKL_SPARSE, OURS, Results

LINES = {"feature-major": "-", "batch-major": (0, (4, 1.5))}


def batch_sizes(results: Results) -> Any:
    """One panel for each matrix; both orders of x, a rival beside them."""
    records = results.kind("batch sizes")
    names = list(dict.fromkeys(r["problem"] for r in records))[:4]
    if not names:
        return None
    width, height = 1.0 + 3.6 * len(names), 4.9
    figure, axes = plt.subplots(1, len(names), figsize=(width, height), squeeze=False)
    figure.subplots_adjust(left=0.75 / width, right=1 - 0.15 / width, top=1 - 1.25 / height, bottom=1.05 / height,
                           wspace=0.22)  # fmt: skip
    for axis, name in zip(axes[0], names, strict=True):
        top = 0.0
        for record in (r for r in records if r["problem"] == name):
            for peer, key in ((MKL_SPARSE, "mkl_ns"), (OURS, "ns")):
                us = [ns / 1e3 for ns in record[key]]
                top = max([top, *us]) if peer == OURS else top
                axis.plot(record["n"][: len(us)], us, linewidth=2 if peer == OURS else 1.1,
                          linestyle=LINES[record["layout"]], color=PEER_COLOURS[peer])  # fmt: skip
        axis.set(title=name.replace("_", " "), xlabel="N, columns of x", xlim=(0, None), ylim=(0, 1.6 * top))
        axis.set_xticks([1, 16, 32, 48, 64, 96, 128])
        axis.grid(color=FAINT, linewidth=0.6)
        axis.set_axisbelow(True)
    axes[0, 0].set_ylabel("microseconds")
    handles = [
        Line2D([], [], linewidth=2 if peer == OURS else 1.1, linestyle=line, color=PEER_COLOURS[peer],
               label=f"{peer}, {order}")
        for peer in (OURS, MKL_SPARSE) for order, line in LINES.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.6 / width, 0))
    heading(figure, "Does a wider batch ever take less time?", f"float32. {subtitle(results)}", 0.45)
    return figure
