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


def cells(name, folder):
    """Clocks a vector, and cells for UltraScale+ by kind."""
    rows, entries, design = LAYERS[name]
    estimate = cs.hls.export(matrix(rows, entries), folder, **design)
    done = make(folder, "build/step.v", f"CLANG={clang()}")
    assert done.returncode == 0, done.stderr
    script = (
        "read_verilog rtl/layer.v build/step.v; "
        "synth_xilinx -family xcup -nowidelut -top complsparse_layer -flatten; tee -q -o build/cells.json stat -json"
    )
    subprocess.run([tool("yosys"), "-q", "-p", script], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    found = json.loads((pathlib.Path(folder) / "build" / "cells.json").read_text())["design"]["num_cells_by_type"]
    counts = {of: sum(n for cell, n in found.items() if re.fullmatch(kind, cell)) for of, kind in CELLS.items()}
    return {"clocks": estimate.cycles_per_vector, **counts}


def main():
    version = subprocess.run([tool("yosys"), "-V"], capture_output=True, text=True, check=True).stdout.split(" (")[0]
    found = json.loads(RECORDED.read_text())["layers"] if sys.argv[1:] else {}
    for name in sys.argv[1:] or LAYERS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = cells(name, pathlib.Path(folder) / "layer")
        print(name, found[name], file=sys.stderr, flush=True)
    how = "synth_xilinx -family xcup -nowidelut"
    found = {name: found[name] for name in LAYERS if name in found}
    RECORDED.write_text(json.dumps({"tool": version, "command": how, "layers": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
