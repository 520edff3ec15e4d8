# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._pictures.axes import check_matplotlib
from complsparse._pictures.bars import OTHERS, OURS


def draw_curves(rows: Sequence[dict[str, Any]], path: Any) -> None:
    """Loss and accuracy by epoch."""
    check_matplotlib("plot")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), facecolor="white", layout="constrained")
    left = figure.add_subplot()
    right = left.twinx()
    epochs = [row["epoch"] for row in rows]
    left.plot(epochs, [row["loss"] for row in rows], color=OTHERS, lw=2)
    right.plot(epochs, [100 * row["accuracy"] for row in rows], color=OURS, lw=2)
    left.set(xlabel="epoch", ylabel="loss in training", ylim=(0, None))
    right.set_ylabel("right on the test fold, %", color=OURS)
    right.set_ylim(0, 100)
    right.grid(axis="y", alpha=0.3)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    last = 100 * rows[-1]["accuracy"]
    left.set_title(f"{last:.1f}% after {epochs[-1]} epochs", fontsize="medium", loc="left")
    figure.savefig(path, dpi=120)


def draw_confusion(said: NDArray[Any], heard: NDArray[Any], words: Sequence[str], path: Any) -> None:
    """How many clips of each word were heard as which, in percent of the word's clips."""
    check_matplotlib("plot")
    from matplotlib.figure import Figure

    counts = np.zeros((len(words), len(words)))
    np.add.at(counts, (said, heard), 1)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [word.strip("_") for word in words]
    figure = Figure(figsize=(6.5, 6), facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    for i, j in zip(*np.nonzero(shares >= 0.5), strict=True):
        axes.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", fontsize=8,
                  color="white" if shares[i, j] > 55 else "black")  # fmt: skip
    axes.set(xlabel="heard", ylabel="said")
    right = 100 * np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(
        f"{right:.1f}% of {int(counts.sum()):,} clips right; percent of each word", fontsize="medium", loc="left"
    )
    figure.savefig(path, dpi=120)
