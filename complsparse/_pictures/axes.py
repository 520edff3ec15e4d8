# SPDX-License-Identifier: BSD-3-Clause
"""Where pictures are drawn: Matplotlib is imported when the first one is, and only then."""

from __future__ import annotations

import importlib.util
from typing import Any


def check_matplotlib(caller: str) -> None:
    """Raises ImportError, naming who asked and what to install, where Matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(f"{caller} needs matplotlib: pip install 'complsparse[plot]'")


def checked_axes(ax: Any, caller: str) -> Any:
    """The caller's Axes, or None; TypeError for anything else."""
    check_matplotlib(caller)
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes, not {type(ax).__name__}")
    return ax


def new_axes(size: tuple[float, float], whole: bool = False) -> Any:
    """The Axes of a new figure of pyplot, which notebooks show; `whole`: they fill it."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=size, facecolor="white")
    return figure.add_axes((0, 0, 1, 1)) if whole else figure.add_subplot()
