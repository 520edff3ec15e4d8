# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a packing: the sparse matrix, and the sets that its rows are overlaid into."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from complsparse._matrix.matrix import ComplementaryMatrix

MAX_ROWS, MAX_COLUMNS = 64, 64  # of a matrix; the rest is left out, and the title says so
MAX_LABELLED_COLUMNS = 40  # wider, and a cell is too small for a number
MAX_CURVES = 96
LEAST_PANEL = 24  # cells; the words need them
CELL_INCHES, GAP_CELLS = 0.17, 7
INK, PAPER, EMPTY = "#24292f", "#ffffff", "#f0f1f3"
# Hues that stay apart for most eyes, in an order in which neighbours differ.
HUES = (0.575, 0.075, 0.42, 0.93, 0.76, 0.14, 0.50, 0.01)


def example() -> Any:
    """A small matrix whose rows fall into four full sets."""
    rng = np.random.default_rng(7)
    n_sets, members, width = 4, 5, 30
    owner = np.stack([rng.permutation(np.repeat(np.arange(members), width // members)) for _ in range(n_sets)])
    owner[rng.random(owner.shape) < 0.06] = -1  # a few slots stay empty
    sets, columns = np.nonzero(owner >= 0)
    rows = rng.permutation(n_sets * members)[sets * members + owner[sets, columns]]
    values = rng.standard_normal(len(rows)).astype(np.float32)
    matrix = scipy.sparse.coo_array((values, (rows, columns)), shape=(n_sets * members, width))
    return ComplementaryMatrix(matrix, strategy="strict")


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
        self.sizes = np.diff(packing.sets[0])[self.set_numbers][self.sets]  # members of each entry's set
        self.colours = [_colour(*of) for of in zip(self.sets, self.kernel_ids, self.sizes, strict=True)]


def draw(W: Any, path: str, dpi: int = 200) -> None:
    """Writes the picture of a ComplementaryMatrix to a .png, .svg or .pdf file.

    Left the matrix, right its sets. The hue of an entry tells its set, the shade the member of the set that owns the
    slot; the number in a slot is its kernel id. Curves lead from rows to their sets.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    entries = _Entries(W)
    n_rows, n_columns, n_sets = entries.n_rows, entries.n_columns, len(entries.set_numbers)
    # The sets are spread over the height of the matrix, and at most one cell high.
    step = max(1.0, min(4.5, (n_rows - 1) / max(n_sets - 1, 1)))
    top = max(0.0, (n_rows - 1 - step * (n_sets - 1)) / 2)
    set_y = top + step * np.arange(n_sets)
    height = max(n_rows, top + step * max(n_sets - 1, 0) + 1)
    panel = max(n_columns, LEAST_PANEL)
    right = panel + GAP_CELLS
    total = right + panel

    cell = CELL_INCHES if n_columns <= MAX_LABELLED_COLUMNS else CELL_INCHES * 0.6
    margins = (3.2, 5.2, 3.0, 2.6)  # left, top, right, bottom, in cells of the full size
    left_margin, top_margin, right_margin, bottom_margin = (m * CELL_INCHES / cell for m in margins)
    size = (total + left_margin + right_margin) * cell, (height + top_margin + bottom_margin) * cell
    figure = Figure(figsize=size, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-left_margin, total + right_margin)
    axes.set_ylim(height + bottom_margin, -top_margin)
    axes.set_aspect("equal")
    axes.axis("off")

    points = 72 * cell  # of one cell
    _empty_rows(axes, 0, np.arange(n_rows), n_columns)
    _empty_rows(axes, right, set_y, n_columns)
    _squares(axes, entries.columns, entries.rows, entries.colours, 2)
    _squares(axes, right + entries.columns, set_y[entries.sets], entries.colours, 2)
    _curves(axes, entries, set_y, right)
    if n_columns <= MAX_LABELLED_COLUMNS:
        for x, s, kernel_id, colour in zip(
            entries.columns, entries.sets, entries.kernel_ids, entries.colours, strict=True
        ):
            place = right + x + 0.5, set_y[s] + 0.52
            axes.text(*place, str(kernel_id), size=0.52 * points, color=_ink_on(colour), ha="center", va="center")
    for y, number in zip(set_y, entries.set_numbers, strict=True):
        if step >= 1.5 or n_sets <= 24:
            label: dict[str, Any] = {"size": min(6.5, 0.62 * points), "color": INK, "va": "center"}
            axes.text(right + n_columns + 0.5, y + 0.5, f"set {number}", ha="left", **label)
    _words(axes, W, entries, right, height, CELL_INCHES / cell)
    figure.savefig(path, dpi=dpi, facecolor=PAPER)


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


def _words(axes: Any, W: Any, entries: _Entries, right: int, height: float, unit: float) -> None:
    """`unit`: one cell of the full size, in cells of this picture."""
    n_rows, n_columns = W._packing.shape
    sizes = f"{_count(W.nnz, 'non-zero')} of {_count(n_rows, 'row')} in {_count(W.n_sets, 'set')}"
    title = f"{sizes}: {100 * W.packing_efficiency:.0f}% full"
    axes.text(0, -3.4 * unit, title, size=10, color=INK, weight="bold", ha="left", va="center")
    shape = f"{_fraction(entries.n_rows, n_rows, 'row')}, {_fraction(entries.n_columns, n_columns, 'column')}"
    heading: dict[str, Any] = {"size": 8, "color": INK, "va": "center", "ha": "left"}
    axes.text(0, -1.2 * unit, f"sparse matrix: {shape}", **heading)
    sets = _fraction(len(entries.set_numbers), W.n_sets, "set")
    axes.text(right, -1.2 * unit, f"{W.strategy} packing: {sets}", **heading)
    note: dict[str, Any] = {"size": 6.5, "color": "#5b636c", "va": "center", "ha": "left"}
    axes.text(0, height + 1.1 * unit, "colour: the set of an entry; shade: its row within the set", **note)
    number = "number: kernel id, the row that owns the slot; grey: empty slot"
    axes.text(
        right, height + 1.1 * unit, number if entries.n_columns <= MAX_LABELLED_COLUMNS else "grey: empty slot", **note
    )
