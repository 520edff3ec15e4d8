# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a packing: the sparse matrix, and the sets that its rows are overlaid into."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from complsparse._pictures.axes import check_matplotlib, checked_axes, new_axes

MAX_ROWS, MAX_COLUMNS = 64, 64  # of a matrix; the rest is left out, and the title says so
MAX_LABELLED_COLUMNS = 40  # wider, and a cell is too small for a number
MAX_CURVES = 96
LEAST_PANEL = 24  # cells; the words need them
CELL_INCHES, GAP_CELLS = 0.17, 7
INK, PAPER, EMPTY, OTHER = "#24292f", "#ffffff", "#f0f1f3", "#c3c9d0"
# Hues that stay apart for most eyes, in an order in which neighbours differ.
HUES = (0.575, 0.075, 0.42, 0.93, 0.76, 0.14, 0.50, 0.01)


def _colour(set_index: int, member: int, members: int) -> tuple[float, float, float]:
    """The hue tells the set, the shade the member."""
    hue = HUES[set_index % len(HUES)]
    share = member / max(members - 1, 1)
    return colorsys.hls_to_rgb(hue, 0.34 + 0.42 * share, 0.62)


def _ink_on(colour: tuple[float, float, float]) -> str:
    red, green, blue = colour
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.56 else INK


def _fraction(part: int, whole: int, what: str) -> str:
    if part == whole:
        return _count(whole, what)
    return f"{what}s 0 to {part - 1} of {whole}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class _Entries:
    """Where the entries that are shown stand in the matrix and in the sets."""

    def __init__(self, W: Any) -> None:
        packing = W._packing  # of the stored matrix: W.T shares it
        n_rows, n_columns = packing.shape
        rows = np.repeat(np.arange(n_rows), np.diff(packing.indptr))
        set_of, kernel_id = packing.slots
        shown = (rows < MAX_ROWS) & (packing.indices < MAX_COLUMNS)
        self.rows, self.columns = rows[shown], packing.indices[shown].astype(np.int64)
        self.kernel_ids: NDArray[np.int64] = kernel_id[shown]
        self.n_rows, self.n_columns = min(n_rows, MAX_ROWS), min(n_columns, MAX_COLUMNS)
        # Sets without a shown entry would be blank lines.
        self.set_numbers, self.sets = np.unique(set_of[shown], return_inverse=True)
        # Slots of these sets that belong to rows beyond the picture: not empty.
        line = np.full(len(packing.sets[0]) - 1, -1)
        line[self.set_numbers] = np.arange(len(self.set_numbers))
        others = ~shown & (line[set_of] >= 0) & (packing.indices < MAX_COLUMNS)
        self.other_columns, self.other_sets = packing.indices[others].astype(np.int64), line[set_of[others]]
        self.sizes = np.diff(packing.sets[0])[self.set_numbers][self.sets]  # members of each entry's set
        self.colours = [_colour(*of) for of in zip(self.sets, self.kernel_ids, self.sizes, strict=True)]


class _Frame:
    """Where the parts of the picture lie, in cells: the matrix on the left, its sets on the right, words around."""

    def __init__(self, entries: _Entries) -> None:
        n_rows, n_sets = entries.n_rows, len(entries.set_numbers)
        # The sets are spread over the height of the matrix, and at most one cell high.
        self.step = max(1.0, min(4.5, (n_rows - 1) / max(n_sets - 1, 1)))
        top = max(0.0, (n_rows - 1 - self.step * (n_sets - 1)) / 2)
        self.set_y = top + self.step * np.arange(n_sets)
        self.height = max(n_rows, top + self.step * max(n_sets - 1, 0) + 1)
        panel = max(entries.n_columns, LEAST_PANEL)
        self.right = panel + GAP_CELLS
        self.labelled = entries.n_columns <= MAX_LABELLED_COLUMNS
        self.unit = 1.0 if self.labelled else 1 / 0.6  # what the words need, in cells
        left, above, beside, below = (m * self.unit for m in (3.2, 5.2, 3.0, 2.6))
        self.x = -left, self.right + panel + beside
        self.y = self.height + below, -above

    @property
    def inches(self) -> tuple[float, float]:
        cell = CELL_INCHES / self.unit
        return (self.x[1] - self.x[0]) * cell, (self.y[0] - self.y[1]) * cell

    def scale_in(self, axes: Any) -> float:
        """How much smaller or larger than in a figure of its own the picture becomes in these axes."""
        box, figure = axes.get_position(), axes.figure.get_size_inches()
        return float(min(box.width * figure[0] / self.inches[0], box.height * figure[1] / self.inches[1]))


def plot(W: Any, ax: Any = None) -> Any:
    """Draws a packing into Axes, or a new figure's; returns the Axes.

    Left the matrix, right its sets. The hue of an entry tells its set, the shade the member of the set that owns the
    slot; the number in a slot is its kernel id. Curves lead from rows to their sets.
    """
    ax = checked_axes(ax, "W.plot()")
    entries = _Entries(W)
    frame = _Frame(entries)
    ax = new_axes(frame.inches, whole=True) if ax is None else ax
    _draw(ax, W, entries, frame)
    return ax


def save(W: Any, path: str, dpi: int = 200) -> None:
    """Writes the picture of a packing to a .png, .svg or .pdf file, without pyplot."""
    check_matplotlib("a picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = _Entries(W)
    frame = _Frame(entries)
    figure = Figure(figsize=frame.inches, facecolor=PAPER)
    FigureCanvasAgg(figure)
    _draw(figure.add_axes((0, 0, 1, 1)), W, entries, frame)
    figure.savefig(path, dpi=dpi, facecolor=PAPER)


def _draw(axes: Any, W: Any, entries: _Entries, frame: _Frame) -> None:
    n_rows, n_columns, right, set_y = entries.n_rows, entries.n_columns, frame.right, frame.set_y
    axes.set_xlim(frame.x)
    axes.set_ylim(frame.y)
    axes.set_aspect("equal")
    axes.axis("off")
    scale = frame.scale_in(axes)
    points = 72 * CELL_INCHES / frame.unit * scale  # of one cell
    _empty_rows(axes, 0, np.arange(n_rows), n_columns)
    _empty_rows(axes, right, set_y, n_columns)
    _squares(axes, entries.columns, entries.rows, entries.colours, 2)
    _squares(axes, right + entries.other_columns, set_y[entries.other_sets], OTHER, 2)
    _squares(axes, right + entries.columns, set_y[entries.sets], entries.colours, 2)
    _curves(axes, entries, set_y, right)
    if frame.labelled:
        for x, s, kernel_id, colour in zip(
            entries.columns, entries.sets, entries.kernel_ids, entries.colours, strict=True
        ):
            place = right + x + 0.5, set_y[s] + 0.52
            axes.text(*place, str(kernel_id), size=0.52 * points, color=_ink_on(colour), ha="center", va="center")
    for y, number in zip(set_y, entries.set_numbers, strict=True):
        if frame.step >= 1.5 or len(set_y) <= 24:
            label: dict[str, Any] = {"size": min(6.5 * scale, 0.62 * points), "color": INK, "va": "center"}
            axes.text(right + n_columns + 0.5, y + 0.5, f"set {number}", ha="left", **label)
    _words(axes, W, entries, frame, scale)


def _squares(axes: Any, x: NDArray[Any], y: NDArray[Any], colours: Any, layer: int) -> None:
    from matplotlib.collections import PolyCollection

    low, high = 0.06, 0.94  # of a cell: a white line stays between neighbours
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    squares = np.column_stack([x, y])[:, None, :] + corners
    axes.add_collection(PolyCollection(list(squares), facecolors=colours, edgecolors="none", zorder=layer))


def _empty_rows(axes: Any, left: float, top: NDArray[Any], n_columns: int) -> None:
    x, y = np.meshgrid(left + np.arange(n_columns), top)
    _squares(axes, x.ravel(), y.ravel(), EMPTY, 1)


def _curves(axes: Any, entries: _Entries, set_y: NDArray[Any], right: int) -> None:
    """From each row to the sets that hold its entries, in the colour that the row has there."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ends = set_y[entries.sets] + (entries.kernel_ids + 1) / (entries.sizes + 1)
    members = zip(entries.rows, entries.sets, ends, entries.colours, strict=True)
    pairs = {(int(row), int(s)): (y, colour) for row, s, y, colour in members}
    if len(pairs) > MAX_CURVES:
        return
    start, end = entries.n_columns + 0.3, right - 0.3
    middle = (start + end) / 2
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    for (row, _), (y1, colour) in pairs.items():
        y0 = row + 0.5
        curve = Path([(start, y0), (middle, y0), (middle, y1), (end, y1)], codes)
        axes.add_patch(PathPatch(curve, facecolor="none", edgecolor=colour, linewidth=1.1, alpha=0.9, zorder=1))


def _words(axes: Any, W: Any, entries: _Entries, frame: _Frame, scale: float) -> None:
    n_rows, n_columns = W._packing.shape
    right, unit, below = frame.right, frame.unit, frame.height + 1.1 * frame.unit
    sizes = f"{_count(W.nnz, 'non-zero')} of {_count(n_rows, 'row')} in {_count(W.n_sets, 'set')}"
    title = f"{sizes}: {100 * W.packing_efficiency:.0f}% full"
    axes.text(0, -3.4 * unit, title, size=10 * scale, color=INK, weight="bold", ha="left", va="center")
    shape = f"{_fraction(entries.n_rows, n_rows, 'row')}, {_fraction(entries.n_columns, n_columns, 'column')}"
    heading: dict[str, Any] = {"size": 8 * scale, "color": INK, "va": "center", "ha": "left"}
    axes.text(0, -1.2 * unit, f"sparse matrix: {shape}", **heading)
    shown = len(entries.set_numbers)
    sets = _count(shown, "set") if shown == W.n_sets else f"{shown} of {W.n_sets} sets"
    axes.text(right, -1.2 * unit, f"{W.strategy} packing: {sets}", **heading)
    note: dict[str, Any] = {"size": 6.5 * scale, "color": "#5b636c", "va": "center", "ha": "left"}
    axes.text(0, below, "colour: the set of an entry; shade: its row within the set", **note)
    legend = ["number: kernel id, the row that owns the slot"] if frame.labelled else []
    legend += ["light grey: empty slot", "dark grey: slot of a row that is not shown"]
    axes.text(right, below, "; ".join(legend[: None if len(entries.other_sets) else -1]), **note)
