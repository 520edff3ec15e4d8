# SPDX-License-Identifier: BSD-3-Clause
"""Cells that Yosys makes of exported layers: ``python tests/tools/hls_resources.py [LAYER]...`` records them."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from hls_folders import make
from hls_tools import clang, tool

import complsparse as cs

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "hls" / "resources.json"
SYNTHESIS = "synth_xilinx -family xcup -nowidelut"
COLUMNS = 64
# Rows, entries of a row's 64, and the design. A dense layer is one whose sets have one member.
LAYERS = {
    "sparse-dense, 8 lanes, ids fixed, set size 4": (4, 16, {"lanes": 8}),
    "sparse-dense, 8 lanes, ids fixed, set size 8": (8, 8, {"lanes": 8}),
    "sparse-dense, 8 lanes, ids fixed, set size 16": (16, 4, {"lanes": 8}),
    "sparse-dense, 8 lanes, run time, set size 16": (16, 4, {"lanes": 8, "ids": "runtime"}),
    "sparse-dense, 64 lanes, ids fixed, set size 16": (16, 4, {"lanes": 64}),
    "sparse-dense, 16 lanes, ids fixed, set size 16": (16, 4, {"lanes": 16}),
    "activations routed, 16 lanes, ids fixed, set size 16": (16, 4, {"lanes": 16, "route": "activations"}),
    "activations routed, 16 lanes, run time, set size 16": (
        16,
        4,
        {"lanes": 16, "route": "activations", "ids": "runtime"},
    ),
    "sparse-sparse, 1 winner a clock, set size 16": (16, 4, {"winners": 8}),
    "sparse-sparse, 2 winners a clock, set size 16": (16, 4, {"winners": 8, "parallel_winners": 2}),
    "dense, 8 lanes, 4 rows": (4, 64, {"lanes": 8}),
    "dense, 8 lanes, 16 rows": (16, 64, {"lanes": 8}),
    "dense, 16 lanes, 16 rows": (16, 64, {"lanes": 16}),
}
CELLS = {
    "LUT": r"LUT[1-6]",
    "CARRY4": "CARRY4",
    "FF": "FD[CPRS]E",
    "DSP": "DSP48E2",
    "BRAM": "RAMB.*",
    "LUT RAM": r"RAM\d.*",
}


def matrix(rows, entries):
    density = entries / COLUMNS
    if density == 1:
        return cs.from_dense(np.random.default_rng(0).integers(1, 127, (rows, COLUMNS)).astype(np.int8))
    return cs.random((rows, COLUMNS), density=density, dtype=np.int8, rng=0)


def counted(folder, sources, top, before="", options=""):
    """Cells for UltraScale+ by kind, of Verilog in the folder."""
    script = (
        f"read_verilog {sources}; {before}{SYNTHESIS} {options} -top {top} -flatten; tee -q -o cells.json stat -json"
    )
    subprocess.run([tool("yosys"), "-q", "-p", script], check=True, cwd=folder, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)  # fmt: skip
    return by_kind(pathlib.Path(folder) / "cells.json")


def by_kind(path):
    found = json.loads(path.read_text())["design"]["num_cells_by_type"]
    return {of: sum(n for cell, n in found.items() if re.fullmatch(kind, cell)) for of, kind in CELLS.items()}


def product_cells(folder):
    """Of one product of 8 bits and 8 bits where there is no DSP: what a DSP counts for in LUTs."""
    pathlib.Path(folder, "product.v").write_text(
        "module product (input signed [7:0] w, input signed [7:0] x, output signed [15:0] y);\n"
        "  assign y = w * x;\nendmodule\n"
    )
    return counted(folder, "product.v", "product", options="-nodsp")


def cells_of(W, design, folder):
    """Clocks a vector, and cells."""
    estimate = cs.hls.export(W, folder, **design)
    done = make(folder, "cells", f"CLANG={clang()}", f"YOSYS={tool('yosys')}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Yosys")
    return {"clocks": estimate.cycles_per_vector, **by_kind(folder / "build" / "cells.json")}


def cells(name, folder):
    rows, entries, design = LAYERS[name]
    return cells_of(matrix(rows, entries), design, folder)


def version():
    return subprocess.run([tool("yosys"), "-V"], capture_output=True, text=True, check=True).stdout.split(" (")[0]


def main():
    found = json.loads(RECORDED.read_text())["layers"] if sys.argv[1:] else {}
    for name in sys.argv[1:] or LAYERS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = cells(name, pathlib.Path(folder) / "layer")
        print(name, found[name], file=sys.stderr, flush=True)
    found = {name: found[name] for name in LAYERS if name in found}
    with tempfile.TemporaryDirectory() as folder:
        product = product_cells(folder)
    RECORDED.write_text(
        json.dumps(
            {"tool": version(), "command": SYNTHESIS, "product without a DSP": product, "layers": found}, indent=1
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
