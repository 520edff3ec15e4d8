# SPDX-License-Identifier: BSD-3-Clause
"""The cells on record of slices of kernels and of the speech network's blocks: complete, counted again in part, and
what the page says of them."""

import json

import hls_speech
import hls_sweep
import numpy as np
import pytest
from hls_resources import RECORDED

import complsparse as cs
from complsparse import nn

SWEEP = json.loads(hls_sweep.RECORDED.read_text())
NETWORK = json.loads(hls_speech.RECORDED.read_text())["network"]
SPEECH = json.loads(hls_speech.RECORDED.read_text())["blocks"]
PRODUCT = json.loads(RECORDED.read_text())["product without a DSP"]["LUT"]
TOLERANCE = 0.4  # of LUTs and FFs, as in test_resources.py
QUICK = ("1x1, 64 channels; set size 16; winners 4", "3x3, 512 channels; set size 16; lanes 16, route activations")


@pytest.mark.parametrize("point", QUICK)
def test_cells_are_those_on_record(point, tmp_path):
    found, recorded = hls_sweep.cells(point, tmp_path / "layer"), SWEEP["points"][point]
    assert (found["clocks"], found["DSP"]) == (recorded["clocks"], recorded["DSP"])
    for kind in ("LUT", "FF"):
        assert abs(found[kind] - recorded[kind]) <= TOLERANCE * recorded[kind], kind


def test_clocks_on_record_are_those_of_the_estimate():
    assert list(SWEEP["points"]) == list(hls_sweep.POINTS)
    for point, (kernel, set_size, design) in hls_sweep.POINTS.items():
        estimate = cs.hls.estimate(hls_sweep.matrix(kernel, set_size), **design)
        assert SWEEP["points"][point]["clocks"] == estimate.cycles_per_vector


@pytest.mark.parametrize("kernel", hls_sweep.KERNELS)
def test_dense_equivalents(kernel):
    """At equal clocks, set size 16, fixed ids: a sixteenth of the DSPs, and fewer LUTs."""
    sparse = SWEEP["points"][f"{kernel}; set size 16; lanes 16, route activations"]
    dense = SWEEP["points"][f"{kernel}; set size 1; lanes 16"]
    assert sparse["clocks"] == dense["clocks"]
    assert 8 * sparse["DSP"] <= dense["DSP"]
    assert 3 * sparse["LUT"] < dense["LUT"]
    assert 8 * (sparse["LUT"] + PRODUCT * sparse["DSP"]) <= dense["LUT"] + PRODUCT * dense["DSP"]


def test_products_routed_at_run_time_take_more_luts_than_the_dense_circuit():
    """The loss that the page tells of."""
    of = SWEEP["points"]
    routed = of["1x1, 64 channels; set size 16; lanes 16, route products, ids runtime"]
    assert routed["LUT"] > of["1x1, 64 channels; set size 1; lanes 16"]["LUT"]


def test_blocks_of_the_speech_network():
    """Simulated in Verilog without a wrong value, in the clocks of the estimate."""
    noise = np.random.default_rng(0).standard_normal((8, 1, 32, 32), dtype=np.float32)
    net = nn.gsc_network("sparse_sparse", rng=0).quantize(noise)
    estimate = cs.hls.estimate(net, shape=(1, 32, 32), cycles=hls_speech.CYCLES)
    blocks = {f"{block.layer} {block.kind}": block for block in estimate.blocks if block.kind != "bias"}
    assert list(SPEECH) == list(blocks)
    for name, recorded in SPEECH.items():
        assert recorded["clocks"] == blocks[name].cycles
        assert recorded["wrong"] == 0
    assert estimate.cycles_per_sample <= 2400
    assert NETWORK["clocks"] == estimate.cycles_per_sample  # all blocks at work at a time
    assert NETWORK["wrong"] == NETWORK["wrong under stalls"] == 0
    assert {kind: sum(block[kind] for block in SPEECH.values()) for kind in ("LUT", "DSP", "BRAM")} == {
        "LUT": 158_888, "DSP": 628, "BRAM": 74,
    }  # fmt: skip
