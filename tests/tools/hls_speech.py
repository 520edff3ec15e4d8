# SPDX-License-Identifier: BSD-3-Clause
"""The speech network as a circuit: ``python tests/tools/hls_speech.py [BLOCK]...`` simulates each block's Verilog on
two clips of noise, and all of it (``network``) on four; it records clocks, and the cells that Yosys makes of blocks."""

import json
import pathlib
import re
import sys
import tempfile
import time

import numpy as np
from hls_folders import make
from hls_resources import SYNTHESIS, cells_of, version
from hls_streams import Circuit, inputs_of, wrong_values
from hls_tools import clang

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


def of_block(net, block, values, folder):
    """What its simulation found, and its cells."""
    circuit = Circuit(block, folder).built()
    found, clocks = circuit.run(values)
    counts = of_linear(net, block, folder) if block.kind.startswith("linear") else circuit.cells()
    return {"clocks": int(np.diff(clocks)[0]), "wrong": wrong_values(found, values), **counts}


def of_network(folder):
    """What `make rtl` found: all blocks at work at a time."""
    printed = make(folder, "rtl", f"CLANG={clang()}").stdout
    pattern = (
        r"RTL, {}: (\d+) samples, \d+ outputs, (\d+) wrong; at most (\d+) clocks from sample to sample, "
        r"the first after (\d+)"
    )
    (fast,), (stalled,) = (re.findall(pattern.format(mode), printed) for mode in ("back to back", "random stalls"))
    samples, wrong, clocks, latency = map(int, fast)
    found = {"samples": samples, "wrong": wrong, "clocks": clocks, "latency": latency}
    return {**found, "wrong under stalls": int(stalled[1])}


def main():
    """Records the blocks that are named, or all; `network` is all of them together."""
    net, noise = speech_network("sparse_sparse")
    pipeline = pipeline_of(net, noise.shape[1:], CYCLES, 4.0)
    names = {f"{block.layer} {block.kind}": block for block in pipeline.blocks if block.kind != "bias"}
    record = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"blocks": {}}
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "net"
        cs.hls.export(net, folder, samples=noise[:4], cycles=CYCLES)
        values = inputs_of(net, pipeline, noise[:2])
        for name in sys.argv[1:] or [*names, "network"]:
            start = time.time()
            if name == "network":
                record["network"] = of_network(folder)
            else:
                record["blocks"][name] = of_block(net, names[name], values, folder)
            print(name, record["blocks"].get(name, record.get(name)), file=sys.stderr)
            print(f"{time.time() - start:.0f} s", file=sys.stderr, flush=True)
            blocks = {name: record["blocks"][name] for name in names if name in record["blocks"]}
            record |= {"tool": version(), "command": SYNTHESIS, "blocks": blocks}
            RECORDED.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
