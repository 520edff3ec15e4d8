# SPDX-License-Identifier: BSD-3-Clause
"""The figures of docs/theory.md: ``python docs/figures/theory.py`` writes them to docs/images.

What they show is packed and multiplied by the library, not typed in; the examples are those of the page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, PathPatch, Rectangle
from matplotlib.path import Path as Curve
from numpy.typing import NDArray

import complsparse as cs
from complsparse._pictures.packing import EMPTY, INK, PAPER

IMAGES = Path(__file__).resolve().parents[1] / "images"
SOFT, LINE = "#5b636c", "#c3c8ce"
# Of Okabe and Ito's palette for colour-blind eyes. Nothing is told by colour alone: numbers stand beside it.
MEMBER_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")

A = np.array(
    [
        [0, 0, 0, 4, 0, 0, 6, 0],
        [0, 0, 3, 0, 0, 5, 0, 0],
        [0, 0, 0, -5, 0, 0, 3, 0],
        [0, 1, 0, 0, 0, 0, 0, 2],
        [-1, 0, 0, 0, 0, 0, 0, 5],
        [7, 0, 0, 0, 0, 2, 0, 0],
        [0, 2, 0, 0, -1, 0, 0, 0],
        [0, 0, -2, 0, 1, 0, 0, 0],
    ]
)
X = np.array([2, 1, 3, 1, 5, 4, 2, 3])
X_SPARSE = np.array([2, 0, 0, 1, 0, 0, 0, 3])


def balanced_owners(rng: np.random.Generator, set_size: int, groups: int) -> NDArray[np.int64]:
    """The member that owns each column of one set: a permutation of the members in every group."""
    return np.concatenate([rng.permutation(set_size) for _ in range(groups)])


def ink_on(colour: Any) -> str:
    """The one of the two inks that contrasts more, by the luminance of WCAG 2."""

    def luminance(of: Any) -> float:
        rgb = np.array(matplotlib.colors.to_rgb(of))
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))

    ground, ink = luminance(colour) + 0.05, luminance(INK) + 0.05
    return PAPER if 1.05 / ground > ground / ink else INK


class Sheet:
    """A drawing in cells: x to the right, y down."""

    def __init__(self, width: float, height: float, cell: float) -> None:
        self.figure = Figure(figsize=(width * cell, height * cell), facecolor=PAPER)
        FigureCanvasSVG(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(height, 0)
        self.axes.axis("off")
        self.points = 72 * cell
        self.boxes: dict[Any, list[Any]] = {}

    def cell(self, x: float, y: float, text: Any = "", fill: Any = EMPTY, **options: Any) -> None:
        """`edge`: a light cell with a border of the colour, for the second set. `width`, `size`, `weight`."""
        width, edge = options.get("width", 1), options.get("edge", False)
        self.box(x + 0.05, y + 0.05, width - 0.1, 0.9, fill, edge)
        if text != "":
            ink = INK if edge else ink_on(fill)
            size = options.get("size", 0.5) * self.points
            # Below the centre of the line, because digits have no descenders.
            self.axes.text(x + width / 2, y + 0.53, str(text).replace("-", "−"), size=size, color=ink, ha="center",
                           va="center", weight=options.get("weight", "normal"), zorder=4)  # fmt: skip

    def box(self, x: float, y: float, width: float, height: float, fill: Any, edge: bool = False) -> None:
        key = (*matplotlib.colors.to_rgba(fill), edge)
        self.boxes.setdefault(key, []).append(
            [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        )

    def save(self, path: Path, **options: Any) -> None:
        """One path per colour, for smaller files."""
        for (*colour, edge), boxes in self.boxes.items():
            path_of_all = Curve.make_compound_path(*(Curve(box, closed=True) for box in boxes))
            face = matplotlib.colors.to_rgba(colour[:3], 0.16) if edge else colour
            border = colour if edge else "none"
            self.axes.add_patch(PathPatch(path_of_all, facecolor=face, edgecolor=border, linewidth=1.3, zorder=2))
        self.figure.savefig(path, facecolor=PAPER, **options)

    def text(self, x: float, y: float, words: str, size: float = 8.5, **options: Any) -> None:
        options = {"color": INK, "ha": "left", "va": "center", "linespacing": 1.35} | options
        self.axes.text(x, y, words, size=size, **options)

    def curve(self, start: tuple[float, float], end: tuple[float, float], colour: Any, upright: bool = False) -> None:
        (x0, y0), (x1, y1) = start, end
        bends = ((x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)) if upright else (((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1))
        path = Curve([start, *bends, end], [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
        self.axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.4, zorder=1))

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=SOFT, linewidth=1.2,
                                            shrinkA=0, shrinkB=0, zorder=3))  # fmt: skip

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor="none", edgecolor=INK, linewidth=1.3, zorder=3))


def where(W: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set and kernel id of each row of a strict packing."""
    sets = np.repeat(np.arange(W.n_sets), np.diff(W.set_ptr))
    kernel_ids = np.arange(len(W.row_order)) - W.set_ptr[sets]
    rows = np.argsort(W.row_order)
    return sets[rows], kernel_ids[rows]


def two_sparsities() -> Sheet:
    sheet = Sheet(31, 12.9, 0.255)
    panels = (
        ("dense", np.ones_like(A), X, SOFT),
        ("sparse weights", A, X, MEMBER_COLOURS[0]),
        ("sparse weights and activations", A, X_SPARSE, MEMBER_COLOURS[0]),
    )
    for i, (title, weights, x, colour) in enumerate(panels):
        left, top = 1.6 + 10 * i, 3.0
        sheet.text(left, 0.7, title, weight="bold", size=8.5)
        sheet.text(left - 0.3, 2, "x", ha="right", style="italic")
        for c in range(8):
            sheet.cell(left + c, 1.5, x[c], LINE if x[c] else EMPTY)
            for r in range(8):
                value = weights[r, c]
                fill = EMPTY if not value else colour if x[c] else matplotlib.colors.to_rgba(colour, 0.15)
                sheet.cell(left + c, top + r, value if value and x[c] and weights is A else "", fill)
        products = np.count_nonzero(weights[:, x != 0])
        sheet.text(left + 4, top + 8.9, f"{products} multiplications", weight="bold", ha="center", size=9.5)
    return sheet


def overlay() -> Sheet:
    W = cs.from_dense(A, strategy="strict")
    sets, kernel_ids = where(W)
    sheet = Sheet(30, 16.2, 0.26)
    left, right, height = 3.2, 17.2, 7.6
    top = 4.1
    sheet.text(left, top - 0.8, "8 sparse rows", weight="bold")
    for s in range(W.n_sets):
        base = 1.5 + height * s
        sheet.text(
            right, base - 0.8, f"set {s}: {W.set_ptr[s + 1] - W.set_ptr[s]} rows that share no column", weight="bold"
        )
        sheet.text(right - 0.4, base + 5.35, "overlaid", ha="right", color=SOFT)
        sheet.text(right + 8.4, base + 5.35, "one dense row")
        sheet.arrow((right + 4, base + 4.1), (right + 4, base + 4.75))
        for c in range(8):
            kernel_id = W.kernel_ids[s, c]
            sheet.cell(right + c, base + 4.85, W.values[s, c], MEMBER_COLOURS[kernel_id], edge=bool(s))
        sheet.frame(right - 0.02, base + 4.82, 8.04, 1.06)
    for r in range(8):
        s, kernel_id = sets[r], kernel_ids[r]
        colour, y = MEMBER_COLOURS[kernel_id], 1.5 + height * s + kernel_id
        sheet.text(left - 0.3, top + r + 0.5, f"row {r}", ha="right")
        sheet.text(right + 8.4, y + 0.5, f"kernel id {kernel_id}")
        sheet.curve((left + 8.2, top + r + 0.5), (right - 0.2, y + 0.5), colour)
        for c in range(8):
            for x, at in ((left, top + r), (right, y)):
                if A[r, c]:
                    sheet.cell(x + c, at, A[r, c], colour, edge=bool(s))
                else:
                    sheet.cell(x + c, at)
    return sheet


def steps() -> Sheet:
    W = cs.from_dense(A, strategy="strict")
    sheet = Sheet(26.6, 16.5, 0.285)
    labels = (
        (1.4, "x", "the activations:\nthe same for each set"),
        (4.2, "Combine", "each column has one\nowner; done once"),
        (7.0, "Multiply", "slot × activation,\none dense row"),
        (10.2, "Route", "the kernel id names\nthe output"),
        (14.2, "Sum", "per output"),
    )
    for y, name, words in labels:
        sheet.text(0.4, y + 0.1, name, weight="bold", size=10)
        sheet.text(0.4, y + 1.35, words, color=SOFT, size=8, va="center")
    y = np.zeros(8, dtype=int)
    for s in range(W.n_sets):
        left = 8.1 + 9.5 * s
        sheet.text(left, 0.6, f"set {s}", weight="bold")
        filled = np.zeros(4, dtype=int)
        for c in range(8):
            kernel_id = W.kernel_ids[s, c]
            row, colour = W.row_order[W.set_ptr[s] + kernel_id], MEMBER_COLOURS[kernel_id]
            product = W.values[s, c] * X[c]
            place = left + 2 * kernel_id + 1.15 * filled[kernel_id]  # two products to an output, room for a plus
            sheet.cell(left + c, 1.4, X[c], LINE)
            sheet.text(left + c + 0.5, 2.9, "×", ha="center", color=SOFT, size=9)
            sheet.cell(left + c, 3.8, W.values[s, c], colour, edge=bool(s))
            sheet.text(left + c + 0.5, 5.25, f"id {kernel_id}", ha="center", color=SOFT, size=6.5)
            sheet.text(left + c + 0.5, 6.15, "=", ha="center", color=SOFT, size=9)
            sheet.cell(left + c, 6.9, product, colour, edge=bool(s), size=0.46)
            sheet.curve((left + c + 0.5, 7.95), (place + 0.42, 12.0), colour, upright=True)
            sheet.cell(place, 12.1, product, colour, edge=bool(s), width=0.85, size=0.42)
            filled[kernel_id] += 1
            y[row] += product
        for kernel_id in range(4):
            row = W.row_order[W.set_ptr[s] + kernel_id]
            x = left + 2 * kernel_id
            sheet.text(x + 1, 12.6, "+", ha="center", size=8)
            sheet.cell(x, 14.0, y[row], MEMBER_COLOURS[kernel_id], edge=bool(s), width=2, size=0.6, weight="bold")
            sheet.text(x + 1, 15.7, f"y[{row}]", ha="center", size=9)
            sheet.arrow((x + 1, 13.2), (x + 1, 13.9))
    assert np.array_equal(y, A @ X)
    return sheet


STRICT_SPLIT = np.random.default_rng(156).random((10, 14)) < 0.24


def strict_split() -> Sheet:
    D = STRICT_SPLIT * np.arange(1, 11)[:, None]  # each value is its row, plus one
    packings = {strategy: cs.from_dense(D, strategy=strategy) for strategy in ("strict", "split")}
    split_rows = packings["split"].values - 1
    sets_of = [np.flatnonzero((split_rows == r).any(axis=1)) for r in range(10)]
    shown = sorted(range(10), key=lambda r: -len(sets_of[r]))[:3]  # the rows that are spread most
    colours = dict(zip(sorted(shown), MEMBER_COLOURS, strict=False))
    sheet = Sheet(40.5, 18.3, 0.2)
    left, right, top = 2.8, 20.5, 2.4

    def entry(x: float, y: float, row: int) -> None:
        sheet.cell(x, y, row, colours.get(row, "#d7dbe0"), weight="bold" if row in colours else "normal")

    sheet.text(left, 1.3, "10 rows, 14 columns", weight="bold")
    for r in range(10):
        sheet.text(left - 0.3, top + r + 0.5, str(r), ha="right", size=7)
        for c in range(14):
            if D[r, c]:
                entry(left + c, top + r, r)
            else:
                sheet.cell(left + c, top + r)
    counts = np.count_nonzero(D, axis=0)
    fullest = int(counts.argmax())
    sheet.frame(left + fullest, top, 1, 10)
    sheet.text(left + fullest + 0.5, top + 10.8, f"{counts.max()} entries", ha="center", size=7.5)
    words = "The number in a cell is its row.\nThree rows are coloured; the fullest\ncolumn has a frame."
    sheet.text(left, top + 13.2, words, color=SOFT, size=8)
    y = top
    for strategy, W in packings.items():
        sheet.text(
            right, y - 1.1, f"{strategy}: {W.n_sets} sets, {100 * W.packing_efficiency:.0f}% full", weight="bold"
        )
        for s in range(W.n_sets):
            sheet.text(right + 14.4, y + 0.5, f"set {s}", size=7.5)
            for c in range(14):
                if W.values[s, c]:
                    entry(right + c, y, W.values[s, c] - 1)
                else:
                    sheet.cell(right + c, y)
            y += 1
        y += 3.2
    return sheet


def balanced() -> Sheet:
    rng = np.random.default_rng(12)
    owners = balanced_owners(rng, 16, 2)
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.97, 16))
    small = 0.5
    sheet = Sheet(30, 21.2, 0.265)
    left, top = 4.4, 1.9
    mask = np.zeros((16, 32), dtype=bool)
    mask[owners, np.arange(32)] = True
    W = cs.from_dense(mask)
    assert W.balanced
    assert (W.n_sets, W.set_size) == (1, 16)
    sheet.text(left, 0.6, "one set: 16 rows, two groups of 16 columns", weight="bold")
    for c in range(32):
        for r in range(16):
            fill = shades[r] if mask[r, c] else EMPTY
            sheet.box(left + small * c + 0.02, top + small * r + 0.02, small - 0.04, small - 0.04, fill)
    for group in range(2):
        sheet.frame(left + 8 * group, top, 8, 8)
        sheet.text(left + 8 * group + 4, top - 0.45, f"group {group}", ha="center", size=7.5, color=SOFT)
    sheet.text(left - 0.3, top + 0.25, "row 0", ha="right", size=7.5)
    sheet.text(left - 0.3, top + 7.75, "row 15", ha="right", size=7.5)
    sheet.text(
        left + 16.6, top + 4, "In each group every row and\nevery column has one entry:\na permutation.", size=8.5
    )
    base = top + 9.8
    takes = np.argsort(owners[:16])  # the column that each lane takes
    sheet.text(left, base - 0.8, "group 0 in lanes", weight="bold")
    for i in range(16):
        sheet.cell(left + i, base, i, shades[owners[i]], size=0.42)
        sheet.curve((left + i + 0.5, base + 1.05), (left + owners[i] + 0.5, base + 4.35), shades[owners[i]], True)
        sheet.cell(left + i, base + 4.4, takes[i], shades[i], size=0.42)
        sheet.cell(left + i, base + 6.2, "w", LINE, size=0.42)
        sheet.cell(left + i, base + 8.0, i, shades[i], size=0.42)
        for y, sign in ((5.8, "×"), (7.6, "+=")):
            sheet.text(left + i + 0.5, base + y, sign, ha="center", size=7.5, color=SOFT)
    rows = (
        (0.5, "16 columns of x: one load"),
        (2.7, "one permute"),
        (4.9, "the column that each lane takes"),
        (6.7, "16 weights: one load"),
        (8.5, "16 sums, one per row:\none multiply-add"),
    )
    for y, words in rows:
        sheet.text(left + 16.6, base + y, words, size=8.5)
    sheet.text(left - 0.3, base + 0.5, "column", ha="right", size=8)
    sheet.text(left - 0.3, base + 8.5, "lane = row", ha="right", size=8)
    return sheet


def blocks() -> Sheet:
    rng = np.random.default_rng(2)
    owners = balanced_owners(rng, 4, 4)
    members = np.zeros((4, 16), dtype=bool)
    members[owners, np.arange(16)] = True
    W = cs.from_dense(np.repeat(members, 4, axis=0), strategy="strict")
    assert (W.block, W.n_sets, W.set_size) == ((4, 1), 4, 4)  # four sets of rows: one of members
    sheet = Sheet(37, 19.2, 0.21)
    left, top = 4.6, 2.2
    sheet.text(left, 1.2, "16 rows: 4 members of 4 rows, blocks (4, 1)", weight="bold")
    for r in range(16):
        for c in range(16):
            sheet.cell(left + c, top + r, fill=MEMBER_COLOURS[r // 4] if owners[c] == r // 4 else EMPTY)
    for member in range(4):
        sheet.text(left - 0.4, top + 4 * member + 2, f"member {member}", ha="right", size=7.5)
        sheet.frame(left, top + 4 * member, 16, 4)
    x0 = left + 18
    sheet.text(x0, 1.2, "the pattern", weight="bold")
    for c in range(16):
        sheet.cell(x0 + 0.82 * c, top, owners[c], MEMBER_COLOURS[owners[c]], width=0.82, size=0.42)
    sheet.text(x0, top + 1.8, "one kernel id per column, for 4 weights")
    column = int(np.flatnonzero(owners == 1)[0])
    y = top + 6.6
    sheet.text(x0, y - 1.2, "what one fetched activation does", weight="bold")
    sheet.cell(x0, y + 1.5, f"x[{column}]", LINE, width=2.6)
    for i in range(4):
        sheet.curve((x0 + 2.7, y + 2), (x0 + 5.1, y + i + 0.5), SOFT)
        sheet.cell(x0 + 5.2, y + i, "w", MEMBER_COLOURS[1])
        sheet.arrow((x0 + 6.4, y + i + 0.5), (x0 + 7.8, y + i + 0.5))
        sheet.cell(x0 + 8, y + i, f"y[{4 + i}]", LINE, width=2.4)
    sheet.text(x0, y + 5.6, "4 multiplications with one x,\nadded to 4 independent sums")
    return sheet


FIGURES: dict[str, Callable[[], Sheet]] = {
    "theory-two-sparsities": two_sparsities,
    "theory-overlay": overlay,
    "theory-steps": steps,
    "theory-strict-split": strict_split,
    "theory-balanced": balanced,
    "theory-blocks": blocks,
}


def draw(folder: Path, suffix: str = ".svg") -> None:
    # Paths for letters: the same everywhere. A fixed salt and no date: the same bytes each time.
    style = {"svg.fonttype": "path", "svg.hashsalt": "complsparse", "font.family": "DejaVu Sans"}
    with matplotlib.rc_context(style):
        for name, make in FIGURES.items():
            metadata = {"Date": None} if suffix == ".svg" else None
            make().save(folder / (name + suffix), dpi=130, metadata=metadata)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES, *sys.argv[2:])
