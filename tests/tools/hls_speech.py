# SPDX-License-Identifier: BSD-3-Clause
"""The speech network as a circuit: ``python tests/tools/hls_speech.py [BLOCK]...`` simulates each block's Verilog on
two clips of noise, and records its clocks and the cells that Yosys makes of it."""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from hls_resources import SYNTHESIS, cells_of, version
from hls_streams import Circuit, inputs_of, wrong_values

import complsparse as cs
from complsparse import nn
from complsparse.hls.network import pipeline_of

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "hls" / "speech.json"
CYCLES = 2400
MOST_SETS, SLICE = 12, 4  # sets of a layer that is counted whole; those of a slice of a larger one


def speech_network(kind):
    """The network, and what it was calibrated with."""
    noise = np.random.default_rng(0).standard_normal((8, 1, 32, 32), dtype=np.float32)
    return nn.gsc_network(kind, rng=0).quantize(noise), noise


def of_linear(net, block, folder):
    """Cells of the layer as `export` writes it, whose winners come one by one. Of many sets a slice is counted, times
    the slices: sets share nothing but the winners."""
    W = next(node.layer.W for node in net._nodes if node.name == block.layer)
    slices = 1
    if W.n_sets > MOST_SETS:
        slices, rows = W.n_sets // SLICE, W.row_order[: SLICE * W.set_size]
        W = cs.from_scipy(W.tocsr()[np.sort(rows)])
        assert W.n_sets == SLICE
    found = cells_of(W, {"winners": block.constants["winners"]}, folder / f"layer{block.number}")
    del found["clocks"]
    return {"slices": slices, **{kind: slices * count for kind, count in found.items()}}


def main():
    net, noise = speech_network("sparse_sparse")
    record = json.loads(RECORDED.read_text())["blocks"] if RECORDED.exists() else {}
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "net"
        cs.hls.export(net, folder, samples=noise[:2], cycles=CYCLES)
        pipeline = pipeline_of(net, noise.shape[1:], CYCLES, 4.0)
        values = inputs_of(net, pipeline, noise[:2])
        names = {f"{block.layer} {block.kind}" for block in pipeline.blocks}
        for block in sorted(pipeline.blocks, key=lambda block: block.sums):
            name = f"{block.layer} {block.kind}"
            if block.kind == "bias" or (sys.argv[1:] and name not in sys.argv[1:]):
                continue
            start = time.time()
            circuit = Circuit(block, folder).built()
            found, clocks = circuit.run(values)
            wrong = wrong_values(found, values)
            print(name, wrong, clocks, round(time.time() - start), file=sys.stderr, flush=True)
            counts = of_linear(net, block, folder) if block.kind.startswith("linear") else circuit.cells()
            record[name] = {"clocks": int(np.diff(clocks)[0]), "wrong": wrong, **counts}
            print(record[name], round(time.time() - start), file=sys.stderr, flush=True)
            blocks = {name: record[name] for name in (f"{b.layer} {b.kind}" for b in pipeline.blocks) if name in record}
            text = json.dumps({"tool": version(), "command": SYNTHESIS, "blocks": blocks}, indent=1)
            RECORDED.write_text(text + "\n")
    assert names >= set(record)


if __name__ == "__main__":
    main()
