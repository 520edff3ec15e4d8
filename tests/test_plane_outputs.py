# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions whose sums become 8-bit outputs while they are in registers, margins left out: every bit against sums in
int64 that are requantised in int64."""

import hypothesis.strategies as st
import numpy as np
import pytest
from byte_images import DTYPES, activations, check_outputs, problems, units_of_filters
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core, nn

KNOWN = _core.cost_constants()


@pytest.fixture(autouse=True)
def _costs():
    _core.set_cost_constants({"image_chunk_tile": 1e9})  # no chunks where planes serve
    yield
    _core.set_cost_constants(KNOWN)


def scales(rng, filters, largest):
    """Powers of two, which have halves in every row, and others."""
    powers = 2.0 ** rng.integers(-12, largest, filters)
    return np.where(rng.random(filters) < 0.5, powers, powers * rng.uniform(0.5, 1, filters)).astype(np.float32)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    problems([1, 4, 8], 70),
    st.sampled_from([-8, 0]),
    st.sampled_from(DTYPES),
    st.sampled_from(["NCHW", "NCHW", "NHWC"]),
    st.sampled_from([None, "relu"]),
    st.integers(1, 3),
)
def test_any_problem(problem, largest, out_dtype, layout, activation, n_threads):
    rng, F, x, geometry = problem
    scale = scales(rng, len(F), largest)
    with cs.num_threads(n_threads):
        check_outputs(rng, F, x, out_dtype, scale, layout=layout, activation=activation, **geometry)


@pytest.mark.parametrize("height", [1, 4, 8])
def test_every_width(isa, height):
    """Tiles that begin and end at any pixel of a row; rows of one pixel to more than a tile."""
    rng = np.random.default_rng(height)
    F = units_of_filters(rng, (24, 8, 3, 3), height, 0.3)
    for width in (1, 2, 7, 15, 16, 17, 31, 33, 48, 64, 65, 111, 113, 130):
        x = activations(rng, (2, 8, 5, width), np.uint8)
        check_outputs(rng, F, x, np.uint8, scales(rng, 24, -8), padding=1)


@pytest.mark.parametrize("channels", [260, 512])
def test_blocks_of_channels(isa, channels):
    """More channels than a block has, and filters of unequal counts, whose last entries are tails."""
    rng = np.random.default_rng(channels)
    F = units_of_filters(rng, (36, channels, 3, 3), 1, 0.1) * (rng.random((36, 1, 1, 1)) < 0.8).astype(np.int8)
    F[5] = units_of_filters(rng, (1, channels, 3, 3), 1, 0.4)
    x = activations(rng, (1, channels, 14, 9), np.int8)
    check_outputs(rng, F, x, np.int8, scales(rng, 36, -8), padding=1)


@pytest.mark.parametrize("strip", [1, 2])
def test_strips_and_bands(threads, strip):
    """Images beyond a part of L2, whose strips begin within them and are interleaved by themselves."""
    rng = np.random.default_rng(strip)
    F = units_of_filters(rng, (16, 64, 3, 3), 8, 0.1)
    x = activations(rng, (2, 64, 100, 90), np.uint8)
    for count in (1, 2, 3):
        with threads(count):
            check_outputs(rng, F, x, np.uint8, scales(rng, 16, -8), padding=1, stride=strip)


@pytest.mark.parametrize("channels", [1, 3, 4, 7, 8, 66])
def test_pools_of_several_lines_at_once(isa, channels):
    """Windows of two columns, of lines shorter and longer than a vector, beside the layers one by one."""
    rng = np.random.default_rng(channels)
    F = units_of_filters(rng, (channels, 8, 3, 3), 1, 0.4) * rng.uniform(0.001, 1, (channels, 8, 3, 3))
    layers = [
        nn.Conv2d(cs.from_filters(F.astype(np.float32)), padding=1, bias=rng.standard_normal(channels)),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]
    for size in ((6, 2), (9, 10), (4, 32), (7, 35), (2, 70)):
        x = rng.standard_normal((9, 8, *size)).astype(np.float32)
        net = nn.Sequential(layers).quantize(x)
        assert_array_equal(net(x), net.apply(x))
