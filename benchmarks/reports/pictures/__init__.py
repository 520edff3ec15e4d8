# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the performance report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks.reports.pictures.batch_sizes import batch_sizes
from benchmarks.reports.pictures.choice import choice
from benchmarks.reports.pictures.crossover import crossover
from benchmarks.reports.pictures.ratios import ratios
from benchmarks.reports.pictures.roofline import roofline
from benchmarks.reports.pictures.scaling import scaling
from benchmarks.reports.pictures.sparsities import sparsities
from benchmarks.reports.pictures.style import STYLE
from benchmarks.reports.results import Results

PICTURES: dict[str, Callable[[Results], Any]] = {
    "ratios.png": ratios,
    "roofline.png": roofline,
    "crossover.png": crossover,
    "scaling.png": scaling,
    "choice.png": choice,
    "sparsities.png": sparsities,
    "batch_sizes.png": batch_sizes,
}


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
