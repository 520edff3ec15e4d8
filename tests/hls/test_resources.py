# SPDX-License-Identifier: BSD-3-Clause
"""Cells that Yosys makes of exported layers, beside those on record, and what the record says about dense layers."""

import json

import pytest
from hls_resources import LAYERS, RECORDED, cells, product_cells

RECORD = json.loads(RECORDED.read_text())["layers"]
PRODUCT = json.loads(RECORDED.read_text())["product without a DSP"]
# Other versions of Yosys differ by up to 35 % on the same Verilog; this one, on another machine, by nothing.
TOLERANCE = 0.4
QUICK = ("activations routed, 16 lanes, ids fixed, set size 16", "sparse-sparse, 1 winner a clock, set size 16")


def test_the_record_has_every_layer():
    assert list(RECORD) == list(LAYERS)


@pytest.mark.parametrize("layer", QUICK)
def test_cells_are_those_on_record(layer, tmp_path):
    found = cells(layer, tmp_path / "layer")
    recorded = RECORD[layer]
    assert found["clocks"] == recorded["clocks"]
    assert found["DSP"] == recorded["DSP"]
    for kind in ("LUT", "FF"):
        assert abs(found[kind] - recorded[kind]) <= TOLERANCE * recorded[kind], (kind, found, recorded)


def test_a_multiplier_serves_a_set():
    sparse = RECORD["sparse-dense, 8 lanes, ids fixed, set size 16"]
    dense = RECORD["dense, 8 lanes, 16 rows"]
    assert sparse["clocks"] == dense["clocks"]
    assert 16 * sparse["DSP"] == dense["DSP"]


def test_a_product_without_a_dsp(tmp_path):
    assert product_cells(tmp_path)["LUT"] == pytest.approx(PRODUCT["LUT"], rel=TOLERANCE)


@pytest.mark.parametrize("route", ["sparse-dense", "activations routed"])
def test_dense_equivalents(route):
    """At equal clocks, set size 16, fixed ids: an eighth of the DSPs, and fewer LUTs when a DSP counts as a product."""
    sparse, dense = RECORD[f"{route}, 16 lanes, ids fixed, set size 16"], RECORD["dense, 16 lanes, 16 rows"]
    assert sparse["clocks"] == dense["clocks"]
    assert 8 * sparse["DSP"] <= dense["DSP"]
    equivalents = [cells["LUT"] + PRODUCT["LUT"] * cells["DSP"] for cells in (sparse, dense)]
    assert 5 * equivalents[0] < equivalents[1]


def test_routing_costs_more_luts_than_the_dense_layer_has():
    """The loss that the page tells of."""
    sparse = RECORD["sparse-dense, 8 lanes, ids fixed, set size 16"]
    assert sparse["LUT"] > RECORD["dense, 8 lanes, 16 rows"]["LUT"]
    assert RECORD["sparse-dense, 64 lanes, ids fixed, set size 16"]["LUT"] < sparse["LUT"]


def test_activations_that_are_routed_save_luts_and_dsps():
    """At equal clocks, beside products that are routed and beside the dense layer."""
    selected = RECORD["activations routed, 16 lanes, ids fixed, set size 16"]
    routed = RECORD["sparse-dense, 16 lanes, ids fixed, set size 16"]
    dense = RECORD["dense, 16 lanes, 16 rows"]
    assert selected["clocks"] == routed["clocks"] == dense["clocks"]
    assert selected["DSP"] == routed["DSP"] == dense["DSP"] / 16
    assert 4.5 * selected["LUT"] < routed["LUT"]
    assert 7 * selected["LUT"] < dense["LUT"]
