# SPDX-License-Identifier: BSD-3-Clause
"""The handshake of an exported layer as its simulation shows it: ``python docs/figures/circuit_waveform.py`` writes
docs/hls/waveform.svg. Needs Clang, Verilator and matplotlib."""

import pathlib
import shutil
import subprocess
import tempfile

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import complsparse as cs

HERE = pathlib.Path(__file__).resolve().parent
SIGNALS = ("clock", "in_valid", "in_ready", "beat", "out_valid", "out_ready")
CLOCKS = 20
# A source that pauses once, and a sink that is not ready for a while.
BENCH = """
#include <stdio.h>
#include "Vcomplsparse_layer.h"
#include "Vcomplsparse_layer___024root.h"
int main() {
    static Vcomplsparse_layer circuit;
    for (int clock = -2; clock < 20; ++clock) {
        circuit.reset = clock < 0;
        circuit.clock = 0;
        circuit.in_valid = clock >= 1 && clock != 7;
        circuit.out_ready = clock < 10 || clock > 14;
        circuit.eval();
        if (clock >= 0) {
            printf("%d %d %d %d %d\\n", circuit.in_valid, circuit.in_ready,
                   circuit.rootp->complsparse_layer__DOT__beat, circuit.out_valid, circuit.out_ready);
        }
        circuit.clock = 1;
        circuit.eval();
    }
}
"""


def simulated() -> np.ndarray:
    """A row for each clock: the values before its rising edge."""
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "layer"
        cs.hls.export(cs.random((16, 64), density=1 / 8, dtype=np.int8, rng=0), folder, lanes=16)
        clang = next(filter(None, (shutil.which(f"clang++-{version}") for version in range(21, 14, -1))))
        subprocess.run(["make", "-s", "-C", str(folder), "build/step.v", f"CLANG={clang}"], check=True)
        (folder / "bench.cpp").write_text(BENCH)
        command = ["verilator", "--cc", "--exe", "--build", "--public-flat-rw", "--top-module", "complsparse_layer"]
        command += ["-Wno-fatal", "-Mdir", "bench", "rtl/layer.v", "build/step.v", "bench.cpp"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run(["bench/Vcomplsparse_layer"], cwd=folder, check=True, capture_output=True, text=True)
    return np.array([line.split() for line in done.stdout.splitlines()], dtype=int)


def draw(values: np.ndarray) -> Figure:
    figure = Figure(figsize=(10.5, 3.2))
    axes = figure.add_axes((0.1, 0.08, 0.89, 0.9))
    for row, name in enumerate(SIGNALS):
        base = 1.4 * (len(SIGNALS) - 1 - row)
        axes.text(-0.2, base + 0.35, name, ha="right", va="center", family="monospace")
        if name == "clock":
            places = np.arange(0, CLOCKS + 0.5, 0.5)  # it rises where a clock begins
            axes.step(places, base + 0.8 * (np.arange(1, len(places) + 1) % 2), where="post", color="#334155", lw=1)
            continue
        of = values[:, SIGNALS.index(name) - 1]
        if name == "beat":
            for clock, value in enumerate(of):
                axes.add_patch(matplotlib.patches.Rectangle((clock, base), 1, 0.8, fc="#dbeafe", ec="#334155", lw=0.8))
                axes.text(clock + 0.5, base + 0.37, value, ha="center", va="center", fontsize=9)
            continue
        axes.step(np.arange(CLOCKS + 1), base + 0.8 * np.append(of, of[-1]), where="post", color="#334155", lw=1.4)
    taken, leaves = values[:, 0] & values[:, 1], values[:, 3] & values[:, 4]
    for moves, row, color in ((taken, 1, "#f59e0b"), (leaves, 4, "#10b981")):
        for clock in np.flatnonzero(moves):  # a word moves at the rising edge that ends the clock
            axes.plot(clock + 1, 1.4 * (len(SIGNALS) - 1 - row) + 0.4, "o", color=color, ms=4)
    axes.set_xlim(-0.1, CLOCKS)
    axes.set_ylim(-0.5, 1.4 * len(SIGNALS))
    axes.set_yticks([])
    axes.set_xticks(np.arange(CLOCKS + 1), np.arange(CLOCKS + 1), fontsize=8)
    for edge in ("left", "right", "top"):
        axes.spines[edge].set_visible(False)
    axes.grid(axis="x", color="#e2e8f0")
    return figure


def main() -> None:
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "complsparse", "font.family": "DejaVu Sans"}):
        FigureCanvasSVG(draw(simulated())).print_svg(HERE.parent / "hls" / "waveform.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
