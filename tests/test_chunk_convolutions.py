# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions of 8-bit numbers on tile registers: every bit against sums in int64, round the edges of tiles."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from at_once import is_right_everywhere
from byte_images import (
    DTYPES,
    activations,
    as_layout,
    as_nchw,
    check_outputs,
    exact_convolution,
    problems,
    units_of_filters,
)
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core, nn

KNOWN = _core.cost_constants()
FREE = {"image_chunk_tile": 0.0, "image_block_tile": 0.0}
DEAR = {"image_chunk_tile": 1e9}


def has_chunks():
    return any(row["layout"] == "chunks" and row["runnable"] for row in cs.microkernels())


needs_chunks = pytest.mark.skipif(not has_chunks(), reason="no tile registers")


@pytest.fixture(autouse=True)
def _costs():
    _core.set_cost_constants(FREE)  # whatever the pattern
    yield
    _core.set_cost_constants(KNOWN)


GEOMETRIES = (  # kernel, stride, padding, dilation
    (1, 1, 0, 1),
    (3, 1, 1, 1),
    (3, 1, 0, 1),
    (2, 2, 1, 1),
    (3, 2, 1, 1),
    (3, 1, 2, 2),
    (3, 3, 2, 2),
    (5, 1, 4, 1),
)


@needs_chunks
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("height", [1, 8, 16, 32])
def test_sums(geometry, height):
    """Filters, channels and images round the edges of tiles, chunks, blocks and panels."""
    kernel, stride, padding, dilation = geometry
    rng = np.random.default_rng([*geometry, height])
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    shapes = (
        (1, 1, (5, 6)), (15, 3, (7, 7)), (16, 4, (5, 16)), (17, 5, (5, 17)), (33, 16, (9, 7)),
        (64, 6, (8, 15)), (65, 12, (6, 31)), (130, 20, (14, 14)), (20, 64, (6, 33)),
    )  # fmt: skip
    for (filters, channels, size), density in itertools.product(shapes, (0.1, 1)):
        F = units_of_filters(rng, (filters, channels, kernel, kernel), height, density)
        W = cs.from_filters(F)
        for dtype, layout in itertools.product(DTYPES, ("NCHW", "NHWC")):
            x = activations(rng, (2, channels, *size), dtype)
            wanted = exact_convolution(x, F, stride, padding, dilation, 0)
            y = cs.conv2d(as_layout(x, layout), W, layout=layout, **options)
            assert y.dtype == np.int32
            assert_array_equal(as_nchw(y, layout), wanted)


@needs_chunks
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems([1, 4, 8, 16, 32], 40), st.sampled_from(DTYPES), st.sampled_from(["NCHW", "NHWC"]), st.integers(1, 3))
def test_outputs_of_8_bits(problem, out_dtype, layout, n_threads):
    rng, F, x, geometry = problem
    with cs.num_threads(n_threads):
        check_outputs(rng, F, x, out_dtype, out_scale=9.0, layout=layout, **geometry)


def kernel_names(net, x):
    return " ".join(row.kernel for row in net.profile(x).rows)


@needs_chunks
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("window", [2, (3, 2), (1, 4)])
def test_pools(layout, window):
    """Networks whose pools are the convolution's: the bits of other ways."""
    rng = np.random.default_rng(5)
    mask = np.repeat(np.repeat(rng.random((3, 5, 3, 3)) < 0.3, 16, axis=0), 4, axis=1)
    layers = [
        nn.Conv2d(cs.from_filters((mask * rng.standard_normal(mask.shape)).astype(np.float32)), padding=1,
                  bias=rng.standard_normal(48).astype(np.float32), activation="relu", layout=layout),
        nn.MaxPool2d(window, layout=layout),
    ]  # fmt: skip
    for size in ((12, 12), (9, 30), (7, 70)):
        x = as_layout(rng.standard_normal((3, 20, *size)).astype(np.float32), layout)
        found = []
        for costs in (FREE, DEAR):
            _core.set_cost_constants(costs)
            net = nn.Sequential(layers).quantize(x)
            assert ("chunks" in kernel_names(net, x)) == (costs is FREE)
            found.append(net(x))
        assert_array_equal(*found)


@needs_chunks
def test_strips_and_threads(threads):
    """Images beyond a part of L2."""
    rng = np.random.default_rng(6)
    F = units_of_filters(rng, (48, 64, 3, 3), 16, 0.1)
    W, x = cs.from_filters(F), activations(rng, (1, 64, 100, 90), np.int8)
    wanted = exact_convolution(x, F, 1, 1, 1, 0)
    for count in (1, 2, 3):
        with threads(count):
            assert_array_equal(cs.conv2d(x, cs.from_filters(F), padding=1), wanted)
            assert_array_equal(cs.conv2d(x, W, padding=1), wanted)


@needs_chunks
def test_callers_at_once_and_forks():
    rng = np.random.default_rng(7)
    F = units_of_filters(rng, (64, 16, 3, 3), 16, 0.2)
    W, x = cs.from_filters(F), activations(rng, (1, 16, 14, 14), np.uint8)
    wanted = exact_convolution(x, F, 1, 1, 1, 0)
    assert is_right_everywhere(lambda: np.array_equal(cs.conv2d(x, W, padding=1), wanted))


@needs_chunks
@pytest.mark.parametrize("height", [16, 32])
def test_what_the_cost_model_takes(height):
    """Chunks where sixteen filters share many channels, and other ways where none do."""
    _core.set_cost_constants(KNOWN)
    rng = np.random.default_rng(8)
    for shared in (height, 1):
        F = units_of_filters(rng, (512, 512, 3, 3), shared, 1 / 16)
        net = nn.Sequential([nn.Conv2d(cs.from_filters(F.astype(np.float32)), padding=1)])
        x = rng.standard_normal((1, 512, 7, 7)).astype(np.float32)
        assert ("chunks" in kernel_names(net.quantize(x), x)) == (shared == height)
