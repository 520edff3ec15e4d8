# SPDX-License-Identifier: BSD-3-Clause
"""Draws docs/hls/cells.png from the sweep on record: ``python docs/figures/circuit_cells.py``."""

import json
import pathlib

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).resolve().parent
RECORD = json.loads((HERE.parents[1] / "tests" / "hls" / "sweep.json").read_text())
KINDS = ("LUT", "FF", "DSP", "BRAM", "clocks")
COLORS = {"1x1, 64 channels": "C0", "3x3, 64 channels": "C1"}


def of(kernel, set_size, **design):
    words = ", ".join(f"{name} {value}" for name, value in design.items())
    return RECORD["points"][f"{kernel}; set size {set_size}; {words}"]


def lines(kernel):
    """By panel: what is varied, and series of (label, style, places, cells)."""
    selected = {"route": "activations"}
    sizes, lanes, dense = (2, 4, 8, 16), (8, 16, 32, 64), (4, 8, 16)
    winners, ports = (4, 8, 16, 32), (1, 2, 4, 8)
    yield (
        "rows in a set (16 lanes)",
        [
            ("sparse-dense", "o-", sizes, [of(kernel, size, lanes=16, **selected) for size in sizes]),
            ("dense", "s--", (1,), [of(kernel, 1, lanes=16)]),
        ],
    )
    yield (
        "lanes (16 rows in a set)",
        [
            ("sparse-dense", "o-", lanes, [of(kernel, 16, lanes=n, **selected) for n in lanes]),
            ("dense", "s--", dense, [of(kernel, 1, lanes=n) for n in dense]),
        ],
    )
    yield (
        "winners (one in a clock)",
        [
            ("sparse-sparse", "^-", winners, [of(kernel, 16, winners=k) for k in winners]),
        ],
    )
    wide = [of(kernel, 16, winners=16, **({"parallel_winners": p} if p > 1 else {})) for p in ports]
    yield "winners in a clock (of 16)", [("sparse-sparse", "^-", ports, wide)]


def main():
    figure, axes = plt.subplots(len(KINDS), 4, figsize=(11, 11), sharex="col", sharey="row", layout="constrained")
    for kernel, color in COLORS.items():
        for column, (what, series) in enumerate(lines(kernel)):
            for row, kind in enumerate(KINDS):
                axis = axes[row, column]
                for label, style, places, cells in series:
                    values = [point[kind] for point in cells]
                    hollow = {"markerfacecolor": "white"} if label == "dense" else {}
                    axis.plot(places, values, style, color=color, label=f"{label}, {kernel}", **hollow)
                axis.set_xscale("log", base=2)
                if kind == "BRAM":
                    axis.set_ylim(-1, 30)
                else:
                    axis.set_yscale("log")
                axis.grid(alpha=0.3)
                axis.xaxis.set_major_formatter("{x:.0f}")
                if column == 0:
                    axis.set_ylabel("clocks a vector" if kind == "clocks" else kind)
            axes[-1, column].set_xlabel(what)
    handles = {label: h for a in axes[0] for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel(f"slices of 16 rows; {RECORD['tool']}, {RECORD['command']}; not placed", fontsize=9)
    figure.savefig(HERE.parent / "hls" / "cells.png", dpi=80)


if __name__ == "__main__":
    main()
