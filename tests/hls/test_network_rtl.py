# SPDX-License-Identifier: BSD-3-Clause
"""Every block of exported networks in Verilog: its step as printed from the header, in an engine written from the
header's description, with the values of the library and the clocks of the estimate."""

import numpy as np
import pytest
from hls_networks import quantised
from hls_streams import Circuit, inputs_of, wrong_values
from hls_tools import clang, tool

import complsparse as cs
from complsparse.hls.network import pipeline_of

BLOCKS = {"sparse-sparse": 11, "sparse-dense": 6}
CASES = [(name, number) for name, count in BLOCKS.items() for number in range(count)]


def exported(name, folder):
    """The blocks, what lies between them, and the clips."""
    tool("verilator"), tool("g++"), clang()
    net, x, cycles = quantised(name)
    cs.hls.export(net, folder, samples=x, cycles=cycles)
    pipeline = pipeline_of(net, x.shape[1:], cycles, 4.0)
    return pipeline.blocks, inputs_of(net, pipeline, x)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_block_keeps_to_its_schedule(name, number, tmp_path):
    """Back to back the clocks from sample to sample are those of C simulation; stalls change no value."""
    blocks, values = exported(name, tmp_path / "net")
    assert len(blocks) == BLOCKS[name] + (blocks[-1].kind == "bias")
    circuit = Circuit(blocks[number], tmp_path / "net").built()
    found, clocks = circuit.run(values)
    assert wrong_values(found, values) == 0
    assert set(np.diff(clocks)) == {blocks[number].cycles}
    stalled, later = circuit.run(values, stalls=True)
    assert wrong_values(stalled, values) == 0
    assert later[-1] > clocks[-1]


@pytest.mark.parametrize("fault", ["table", "lanes", "clearing"])
def test_a_faulty_block_is_found(fault, tmp_path):
    blocks, values = exported("sparse-sparse", tmp_path / "net")
    circuit = Circuit(blocks[0], tmp_path / "net")
    if fault == "table":
        path = circuit.folder / "table.hex"
        text = path.read_text()
        path.write_text(text[:40] + f"{int(text[40], 16) ^ 4:x}" + text[41:])
    else:
        path = circuit.folder / "step.v"
        text = path.read_text()
        old, new = ("x[7:0]", "x[15:8]") if fault == "lanes" else ("= sums[", "= 1 | sums[")
        assert old in text
        path.write_text(text.replace(old, new))
    found, _ = circuit.built().run(values)
    assert wrong_values(found, values) > 0
