# SPDX-License-Identifier: BSD-3-Clause
"""What pruning to a pattern costs: the table and the pictures of docs/guide/patterns.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, PercentFormatter

import complsparse as cs
from benchmarks.reports.pictures.style import FAINT, INK, SOFT

SET_SIZES = (8, 16, 20, 32)
BLOCKS = ((1, 1), (4, 1), (8, 1), (16, 1))
METHODS = ("assignment", "greedy")
BY_BLOCK = {(1, 1): "#0b3c6f", (4, 1): "#1f8a9e", (8, 1): "#e0912f", (16, 1): "#b8336a"}
BY_MEMBER = ("#0b3c6f", "#1f8a9e", "#e0912f", "#b8336a")
TRAINED = "onnx/version-slim-320.onnx", "base_net.12.3.weight"


class Loss(NamedTuple):
    set_size: int
    block: tuple[int, int]
    kept: dict[str, cs.PruneReport]  # by method


# --- matrices ---------------------------------------------------------------------------------------------------------


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a protocol buffer message."""
    place = 0

    def integer() -> int:
        nonlocal place
        number = shift = 0
        while True:
            byte = message[place]
            place += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while place < len(message):
        key = integer()
        if key & 7 == 0:
            yield key >> 3, integer()
        else:
            length = integer() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            yield key >> 3, message[place : place + length]
            place += length


def onnx_weight(path: Path, name: str) -> np.ndarray:
    """The float32 weights of this name in an ONNX file, one row per filter."""
    for graph in (value for number, value in _fields(path.read_bytes()) if number == 7):
        for tensor in (value for number, value in _fields(graph) if number == 5):
            fields = list(_fields(tensor))
            if (8, name.encode()) in fields:
                dims = [value for number, value in fields if number == 1]
                raw = next(value for number, value in fields if number == 9)
                return np.frombuffer(raw, "<f4").reshape(dims[0], -1)
    raise KeyError(f"{path} has no weights named {name!r}")


def matrices(folder: Path | None) -> dict[str, np.ndarray]:
    found = {"random, normal, 1024 x 1024": np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)}
    if folder is None or not (folder / TRAINED[0]).is_file():
        print("not pruned: the trained layer; its folder is absent (--data or COMPLSPARSE_DATA names it)")
        return found
    trained = onnx_weight(folder / TRAINED[0], TRAINED[1])
    return found | {f"trained, 1 x 1 convolution, {trained.shape[0]} x {trained.shape[1]}": trained}


def losses(A: np.ndarray) -> list[Loss]:
    found = []
    for block in BLOCKS:
        for set_size in SET_SIZES:
            kept = {method: cs.prune(A, set_size=set_size, block=block, method=method)[1] for method in METHODS}
            found.append(Loss(set_size, block, kept))
    return found


# --- tables -----------------------------------------------------------------------------------------------------------


def table(found: list[Loss]) -> str:
    """Kept shares of |A|, in percent; in brackets the worst row."""
    lines = ["| block | set size | assignment | greedy | unconstrained |", "| --- | ---: | ---: | ---: | ---: |"]
    for loss in found:
        shares = [loss.kept[method].kept for method in METHODS] + [loss.kept["greedy"].unconstrained]
        cells = [f"{100 * share.magnitude:.1f} ({100 * share.worst_row:.1f})" for share in shares]
        lines.append(f"| {loss.block[0]} x {loss.block[1]} | {loss.set_size} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- pictures ---------------------------------------------------------------------------------------------------------


def draw_losses(found: dict[str, list[Loss]], path: Path) -> None:
    width, height = 5.2 * len(found) + 0.4, 4.6
    figure, axes = plt.subplots(1, len(found), figsize=(width, height), sharey=True, squeeze=False)
    figure.subplots_adjust(left=0.75 / width, right=1 - 0.25 / width, top=1 - 0.8 / height, bottom=0.95 / height,
                           wspace=0.1)  # fmt: skip
    for axis, (name, rows) in zip(axes[0], found.items(), strict=True):
        axis.set_title(name, pad=8)
        free = [loss.kept["greedy"].unconstrained.magnitude for loss in rows if loss.block == (1, 1)]
        axis.plot(SET_SIZES, free, color=SOFT, linestyle=(0, (5, 3)), linewidth=1.4, zorder=2)
        for block, colour in BY_BLOCK.items():
            for method, style, face in (("assignment", "-", colour), ("greedy", (0, (1, 1.6)), "white")):
                shares = [loss.kept[method].kept.magnitude for loss in rows if loss.block == block]
                axis.plot(SET_SIZES, shares, color=colour, linestyle=style, linewidth=1.6, marker="o", markersize=5.5,
                          markerfacecolor=face, markeredgewidth=1.3, zorder=4 if face == colour else 3)  # fmt: skip
        axis.set_xscale("log", base=2)
        axis.set_xticks(SET_SIZES, [f"{size}\n{100 / size:.3g}%" for size in SET_SIZES])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlim(7.3, 35)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.grid(axis="y", color=FAINT, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.set_xlabel("set size, and what it leaves of the entries")
    axes[0, 0].set_ylim(bottom=0)  # of both, after the last line: it fixes the top
    axes[0, 0].set_ylabel("kept share of |A|")
    handles = [Line2D([], [], color=SOFT, linestyle=(0, (5, 3)), label="unconstrained")]
    handles += [
        Line2D([], [], color=colour, marker="o", markersize=5.5, label=f"blocks {block[0]} x {block[1]}")
        for block, colour in BY_BLOCK.items()
    ]
    handles += [
        Line2D([], [], color=INK, marker="o", markersize=5.5, label="assignment"),
        Line2D([], [], color=INK, marker="o", markersize=5.5, markerfacecolor="white", linestyle=(0, (1, 1.6)),
               label="greedy"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.5 / width, 0),
                  handletextpad=0.4, columnspacing=1.3, handlelength=1.8)  # fmt: skip
    figure.text(0.75 / width, 1 - 0.34 / height, "What a pattern keeps", fontsize=14, fontweight="bold")
    figure.savefig(path, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    plt.close(figure)


def draw_patterns(path: Path) -> None:
    """Small patterns of two sets, an entry in the colour of its place in the set."""
    n_rows, n_cols, set_size = 8, 24, 4
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("set_size=4", {}),
        ("set_size=4, balanced=False", {"balanced": False}),
        ("set_size=4, block=(2, 1)", {"block": (2, 1)}),
        ("set_size=8, per_group=2", {"set_size": 8, "per_group": 2}),
    )
    colours = ListedColormap(["#eef0f2", *BY_MEMBER])
    width, height = 11.2, 5.2
    figure, axes = plt.subplots(2, 2, figsize=(width, height))
    figure.subplots_adjust(left=0.02, right=0.98, top=1 - 1.02 / height, bottom=0.1 / height, wspace=0.06, hspace=0.24)
    for axis, (name, options) in zip(axes.ravel(), kinds, strict=True):
        arguments = {"set_size": set_size, **options}
        br = arguments.get("block", (1, 1))[0]
        rows = n_rows * br // (2 if br > 1 else 1)
        mask = cs.complementary_mask((rows, n_cols), rng=4, **arguments)
        members = arguments["set_size"] // arguments.get("per_group", 1)
        member = np.arange(rows) // br % members
        axis.imshow(np.where(mask, member[:, None] + 1, 0), cmap=colours, vmin=0, vmax=len(BY_MEMBER), aspect="auto")
        axis.set_xticks(np.arange(-0.5, n_cols), minor=True)
        axis.set_yticks(np.arange(-0.5, rows), minor=True)
        axis.grid(which="minor", color="white", linewidth=2)
        axis.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        for side in axis.spines.values():
            side.set_visible(False)
        for edge in range(0, n_cols + 1, arguments["set_size"]):
            if options.get("balanced", True):
                axis.axvline(edge - 0.5, color=SOFT, linewidth=1.2)
        for edge in range(0, rows + 1, members * br):
            axis.axhline(edge - 0.5, color=INK, linewidth=1.8)
        axis.set_title(name, pad=6, fontsize=10.5)
    figure.text(0.02, 1 - 0.36 / height, "Patterns that pack without a gap", fontsize=14, fontweight="bold")
    note = "colour: the place of a row in its set; thick lines: between sets; thin lines: between groups of columns"
    figure.text(0.02, 1 - 0.62 / height, note, fontsize=9.5, color=SOFT)
    figure.savefig(path, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    plt.close(figure)
