# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions whose sums become 8-bit outputs while they are in registers, margins left out: every bit against sums in
int64 that are requantised in int64."""

import hypothesis.strategies as st
import numpy as np
import pytest
from byte_images import (
    activations,
    as_layout,
    as_nchw,
    exact_convolution,
    filters_with_scale,
    requantized,
    units_of_filters,
)
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core, nn
from complsparse._quantized.requantize import factors

DTYPES = (np.uint8, np.int8)
KNOWN = _core.cost_constants()


@pytest.fixture(autouse=True)
def _costs():
    _core.set_cost_constants({"image_chunk_tile": 1e9})  # no chunks where planes serve
    yield
    _core.set_cost_constants(KNOWN)


def check(rng, F, x, out_dtype, scale, layout="NCHW", activation=None, **geometry):
    """Any zero points and bias; outputs that have memory of their own, and those that end where other numbers begin."""
    W = filters_with_scale(F, scale)
    zero_point, out_zero_point = int(activations(rng, (), x.dtype)), int(rng.integers(0, 100))
    steps = W.scale.astype(np.float64)
    bias = rng.integers(-2000, 2000, len(F)) * steps
    sums = exact_convolution(
        x, F, geometry.get("stride", 1), geometry.get("padding", 0), geometry.get("dilation", 1), zero_point
    )
    sums -= zero_point * F.astype(np.int64).sum((1, 2, 3))[:, None, None]
    sums += np.rint(bias / steps).astype(np.int64)[:, None, None]
    wanted = requantized(sums, *factors(steps), out_zero_point, out_dtype)
    if activation == "relu":
        wanted = np.maximum(wanted, out_zero_point)
    how = {"x_scale": 1.0, "x_zero_point": zero_point, "bias": bias, "out_scale": 1.0, "out_zero_point": out_zero_point}
    how |= {"out_dtype": out_dtype, "layout": layout, "activation": activation, **geometry}
    y = cs.qconv2d(as_layout(x, layout), W, **how)
    assert_array_equal(as_nchw(y, layout), wanted)
    room = np.full(y.size + 130, 7, out_dtype)
    cs.qconv2d(as_layout(x, layout), W, out=room[65:-65].reshape(y.shape), **how)
    assert_array_equal(as_nchw(room[65:-65].reshape(y.shape), layout), wanted)
    assert (room[:65] == 7).all()
    assert (room[-65:] == 7).all()
    room = np.full((*y.shape[:-1], 2 * y.shape[-1]), 7, out_dtype)
    cs.qconv2d(as_layout(x, layout), W, out=room[..., ::2], **how)
    assert_array_equal(as_nchw(room[..., ::2], layout), wanted)
    assert (room[..., 1::2] == 7).all()


def scales(rng, filters, largest):
    """Powers of two, which have halves in every row, and others."""
    powers = 2.0 ** rng.integers(-12, largest, filters)
    return np.where(rng.random(filters) < 0.5, powers, powers * rng.uniform(0.5, 1, filters)).astype(np.float32)


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation, padding = draw(st.integers(1, 2)), draw(st.integers(0, 3))
    reach = dilation * (kernel - 1) + 1
    size = [draw(st.integers(max(1, reach - 2 * padding), 70)) for _ in range(2)]
    filters, channels = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    height, density = draw(st.sampled_from([1, 4, 8])), draw(st.sampled_from([0, 0.06, 0.3, 1]))
    F = units_of_filters(rng, (filters, channels, kernel, kernel), height, density)
    x = activations(rng, (draw(st.integers(1, 3)), channels, *size), draw(st.sampled_from(DTYPES)))
    scale = scales(rng, filters, draw(st.sampled_from([-8, 0])))
    return rng, F, x, scale, {"stride": stride, "padding": padding, "dilation": dilation}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    problems(),
    st.sampled_from(DTYPES),
    st.sampled_from(["NCHW", "NCHW", "NHWC"]),
    st.sampled_from([None, "relu"]),
    st.integers(1, 3),
)
def test_any_problem(problem, out_dtype, layout, activation, n_threads):
    rng, F, x, scale, geometry = problem
    with cs.num_threads(n_threads):
        check(rng, F, x, out_dtype, scale, layout, activation, **geometry)


@pytest.mark.parametrize("height", [1, 4, 8])
def test_every_width(isa, height):
    """Tiles that begin and end at any pixel of a row; rows of one pixel to more than a tile."""
    rng = np.random.default_rng(height)
    F = units_of_filters(rng, (24, 8, 3, 3), height, 0.3)
    for width in (1, 2, 7, 15, 16, 17, 31, 33, 48, 64, 65, 111, 113, 130):
        x = activations(rng, (2, 8, 5, width), np.uint8)
        check(rng, F, x, np.uint8, scales(rng, 24, -8), padding=1)


@pytest.mark.parametrize("channels", [260, 512])
def test_blocks_of_channels(isa, channels):
    """More channels than a block has, and filters of unequal counts, whose last entries are tails."""
    rng = np.random.default_rng(channels)
    F = units_of_filters(rng, (36, channels, 3, 3), 1, 0.1) * (rng.random((36, 1, 1, 1)) < 0.8).astype(np.int8)
    F[5] = units_of_filters(rng, (1, channels, 3, 3), 1, 0.4)
    x = activations(rng, (1, channels, 14, 9), np.int8)
    check(rng, F, x, np.int8, scales(rng, 36, -8), padding=1)


@pytest.mark.parametrize("strip", [1, 2])
def test_strips_and_bands(threads, strip):
    """Images beyond a part of L2, whose strips begin within them and are interleaved by themselves."""
    rng = np.random.default_rng(strip)
    F = units_of_filters(rng, (16, 64, 3, 3), 8, 0.1)
    x = activations(rng, (2, 64, 100, 90), np.uint8)
    for count in (1, 2, 3):
        with threads(count):
            check(rng, F, x, np.uint8, scales(rng, 16, -8), padding=1, stride=strip)


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
