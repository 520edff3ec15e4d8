# SPDX-License-Identifier: BSD-3-Clause
"""Cells of slices of 16 filters, over set size, lanes and winners: ``python tests/tools/hls_sweep.py [POINT]...``.

A slice is a set of 16 rows, or as many smaller ones as 16 rows make; with sets of one row it is the dense circuit.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
from hls_resources import SYNTHESIS, cells_of, version

import complsparse as cs

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "hls" / "sweep.json"
ROWS = 16
# Columns of the kernels: filters of ResNet-50's four stages, and of an inverted residual of MobileNetV2.
KERNELS = {f"{side}x{side}, {channels} channels": channels * side * side for side in (1, 3)
           for channels in (64, 128, 256, 512)} | {"1x1, 384 channels": 384}  # fmt: skip
FIRST = ("1x1, 64 channels", "3x3, 64 channels")


def points():
    """Name: kernel, set size and design."""
    found = {}

    def add(kernel, set_size, **design):
        words = ", ".join(f"{name} {value}" for name, value in design.items())
        found[f"{kernel}; set size {set_size}; {words}"] = kernel, set_size, design

    for kernel in FIRST:
        for set_size in (2, 4, 8, 16):
            add(kernel, set_size, lanes=16, route="activations")
        for lanes in (8, 32, 64):
            add(kernel, 16, lanes=lanes, route="activations")
        for winners in (4, 8, 16, 32):
            add(kernel, 16, winners=winners)
        for ports in (2, 4, 8):
            add(kernel, 16, winners=16, parallel_winners=ports)
        for lanes in (4, 8, 16):
            add(kernel, 1, lanes=lanes)
    for set_size in (2, 4, 8, 16):
        add(FIRST[0], set_size, lanes=16, route="products")
    add(FIRST[0], 16, lanes=16, route="activations", ids="runtime")
    add(FIRST[0], 16, lanes=16, route="products", ids="runtime")
    for kernel, columns in KERNELS.items():
        if kernel not in FIRST:
            add(kernel, 16, lanes=16, route="activations")
            add(kernel, 16, winners=columns // 8, parallel_winners=4)
            add(kernel, 1, lanes=16)
    return found


POINTS = points()


def matrix(kernel, set_size):
    columns = KERNELS[kernel]
    if set_size == 1:
        return cs.from_dense(np.random.default_rng(0).integers(1, 127, (ROWS, columns)).astype(np.int8))
    return cs.random((ROWS, columns), density=1 / set_size, dtype=np.int8, rng=0)


def cells(point, folder):
    kernel, set_size, design = POINTS[point]
    W = matrix(kernel, set_size)
    assert W.set_size == set_size
    return cells_of(W, design, folder)


def main():
    found = json.loads(RECORDED.read_text())["points"] if sys.argv[1:] and RECORDED.exists() else {}
    for point in sys.argv[1:] or POINTS:
        with tempfile.TemporaryDirectory() as folder:
            found[point] = cells(point, pathlib.Path(folder) / "layer")
        print(point, found[point], file=sys.stderr, flush=True)
        ordered = {name: found[name] for name in POINTS if name in found}
        document = {"tool": version(), "command": SYNTHESIS, "rows": ROWS, "points": ordered}
        RECORDED.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
