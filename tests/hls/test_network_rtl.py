# SPDX-License-Identifier: BSD-3-Clause
"""Exported networks in Verilog: each block alone, its step as printed from the header, in an engine written from the
header's description, and all of them joined; values of the library, clocks of the estimate."""

import functools
import re

import numpy as np
import pytest
from hls_folders import make
from hls_networks import NETWORKS, quantised
from hls_streams import Circuit, inputs_of, wrong_values
from hls_tools import clang, tool

import complsparse as cs
from complsparse.hls.network import pipeline_of

BLOCKS = {"sparse-sparse": 12, "sparse-dense": 7}
CASES = [(name, number) for name, count in BLOCKS.items() for number in range(count)]


def exported(name, folder):
    """The folder, the blocks, and what lies between them."""
    tool("verilator"), tool("g++"), clang()
    net, x, cycles = quantised(name)
    cs.hls.export(net, folder, samples=x, cycles=cycles)
    pipeline = pipeline_of(net, x.shape[1:], cycles, 4.0)
    return folder, pipeline.blocks, inputs_of(net, pipeline, x)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Networks by name, exported once."""
    return functools.cache(lambda name: exported(name, tmp_path_factory.mktemp("network") / "net"))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_block_keeps_to_its_schedule(name, number, network):
    """Back to back the clocks from sample to sample are those of C simulation; stalls change no value."""
    folder, blocks, values = network(name)
    assert len(blocks) == BLOCKS[name]
    circuit = Circuit(blocks[number], folder).built()
    found, clocks = circuit.run(values)
    assert wrong_values(found, values) == 0
    assert set(np.diff(clocks)) == {blocks[number].cycles}
    stalled, later = circuit.run(values, stalls=True)
    assert wrong_values(stalled, values) == 0
    assert later[-1] > clocks[-1]


@pytest.mark.parametrize("fault", ["table", "lanes", "clearing"])
def test_a_faulty_block_is_found(fault, tmp_path):
    folder, blocks, values = exported("sparse-dense", tmp_path / "net")
    circuit = Circuit(blocks[0], folder)
    if fault == "table":
        path = circuit.table
        text = path.read_text()
        path.write_text(text[:40] + f"{int(text[40], 16) ^ 4:x}" + text[41:])
    else:
        path = circuit.step
        text = path.read_text()
        old, new = ("x[7:0]", "x[15:8]") if fault == "lanes" else ("= sums[", "= 1 | sums[")
        assert old in text
        path.write_text(text.replace(old, new))
    found, _ = circuit.built().run(values)
    assert wrong_values(found, values) > 0


# --- the whole network ------------------------------------------------------------------------------------------------

RESULT = re.compile(
    r"RTL, (back to back|random stalls): (\d+) samples, (\d+) outputs, (\d+) wrong; "
    r"at most (\d+) clocks from sample to sample, the first after (\d+)"
)


def simulate(folder):
    """The lines of `make rtl`, and what it did."""
    tool("verilator"), tool("make"), tool("g++")
    done = make(folder, "rtl", f"CLANG={clang()}", "RTLFLAGS=-O0")
    lines = [(line[1], *map(int, line.groups()[1:])) for line in RESULT.finditer(done.stdout)]
    assert len(lines) == 2, done.stdout + done.stderr
    return lines, done


@pytest.mark.parametrize("name", [name for name in NETWORKS if "narrow" not in name])
def test_the_network_equals_the_library_in_the_clocks_of_the_estimate(name, tmp_path):
    net, x, cycles = quantised(name)
    estimate = cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    (fast, stalled), done = simulate(tmp_path / "net")
    assert done.returncode == 0
    assert "warning" not in done.stderr.lower()
    outputs = net(x).size
    assert fast[:5] == ("back to back", 6, outputs, 0, estimate.cycles_per_sample)
    assert stalled[:4] == ("random stalls", 6, outputs, 0)
    assert stalled[4:] >= fast[4:]


def edited(name, old, new):
    def edit(folder):
        path = folder / "rtl" / name
        text = path.read_text()
        assert len(re.findall(old, text)) >= 1, old
        path.write_text(re.sub(old, new, text, count=1))

    return edit


BROKEN = {
    "memories that hold one sample": edited("memory.v", "taken < SLOTS", "taken < 1"),
    "memories that never say that they are full": edited("memory.v", "taken < SLOTS", "1"),
    "a sample that is read too early": edited("memory.v", "whole != 0 && ", ""),
    "sums in another order": edited("network.v", r"(sums0\[\S+),(\s+)(sums0\[\S+),", r"\3,\2\1,"),
    "another layer's table": edited("block3.v", r"\"rtl/table3\.hex", '"rtl/table5.hex'),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_simulation_of_a_network_rejects(fault, tmp_path):
    net, x, cycles = quantised("sparse-dense")
    estimate = cs.hls.export(net, tmp_path / "net", samples=x, cycles=cycles)
    BROKEN[fault](tmp_path / "net")
    (fast, stalled), done = simulate(tmp_path / "net")
    assert done.returncode != 0
    if fault == "memories that hold one sample":
        assert fast[3] == stalled[3] == 0
        assert fast[4] > estimate.cycles_per_sample
    else:
        assert fast[3] + stalled[3] > 0 or fast[1] < 6
