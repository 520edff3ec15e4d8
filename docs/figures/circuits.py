# SPDX-License-Identifier: BSD-3-Clause
"""The block diagram of the page on circuits: ``python docs/figures/circuits.py`` writes docs/hls/blocks.svg."""

import itertools
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

EDGE, STATE, LOGIC = "#334155", "#dbeafe", "#fef3c7"
# Left, bottom, width, height, text, colour.
BOXES = {
    "x": (1.9, 3.1, 1.6, 0.9, "word of x\nregister", STATE),
    "table": (1.9, 1.1, 1.6, 1.2, "table\nweights, ids\nROM or memory", STATE),
    "products": (4.4, 2.9, 1.7, 1.1, "multiply\nsets × lanes", LOGIC),
    "route": (6.8, 2.9, 1.7, 1.1, "route\nid = member?", LOGIC),
    "sum": (9.2, 2.9, 1.7, 1.1, "sum\neach member", LOGIC),
    "sums": (9.2, 1.1, 1.7, 1.0, "sums\nset × member", STATE),
    "y": (11.6, 2.9, 1.7, 1.1, "sums by row\nregister", STATE),
}


def draw(folder: Path) -> None:
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "complsparse", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(10.5, 3.6))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, 15)
        axes.set_ylim(0.3, 5.1)
        axes.axis("off")
        for left, bottom, width, height, text, colour in BOXES.values():
            axes.add_patch(Rectangle((left, bottom), width, height, facecolor=colour, edgecolor=EDGE, linewidth=1.2))
            axes.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=9)

        def arrow(*points: tuple[float, float], text: str = "", above: float = 0.13) -> None:
            for start, end in itertools.pairwise(points):
                last = end == points[-1]
                style = "-|>" if last else "-"
                axes.add_patch(
                    FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, color=EDGE, shrinkA=0, shrinkB=0)
                )
            middle = ((points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2 + above)
            axes.text(*middle, text, ha="center", va="bottom", fontsize=8.5)

        arrow((0.2, 3.55), (1.9, 3.55), text="in_x")
        arrow((3.5, 3.55), (4.4, 3.55))
        arrow((0.2, 1.7), (1.9, 1.7), text="group counter,\nor in_index")
        arrow((3.5, 2.0), (3.95, 2.0), (3.95, 3.2), (4.4, 3.2))
        axes.text(4.05, 2.35, "weights", fontsize=8.5, ha="left")
        arrow((3.5, 1.5), (7.65, 1.5), (7.65, 2.9))
        axes.text(5.6, 1.58, "ids", fontsize=8.5, ha="center")
        arrow((6.1, 3.45), (6.8, 3.45))
        arrow((8.5, 3.45), (9.2, 3.45))
        arrow((9.7, 2.1), (9.7, 2.9))
        arrow((10.4, 2.9), (10.4, 2.1))
        axes.text(10.5, 2.4, "cleared with the\nlast word", fontsize=8.5, va="center")
        arrow((10.9, 3.45), (11.6, 3.45))
        arrow((13.3, 3.45), (14.8, 3.45), text="out_y")
        for left, width, text in (
            (1.7, 2.0, "stage 1"),
            (4.2, 9.3, "stage 2: the step of the header, and its registers"),
        ):
            axes.plot([left, left + width], [4.4, 4.4], color=EDGE, linewidth=0.8)
            axes.text(left + width / 2, 4.48, text, ha="center", va="bottom", fontsize=9)
        FigureCanvasSVG(figure).print_svg(folder / "blocks.svg", metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).resolve().parents[1] / "hls")
