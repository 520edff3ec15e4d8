# SPDX-License-Identifier: BSD-3-Clause
"""Networks that pool in the step of the convolution: the bits of its functions, called one by one."""

import numpy as np
import pytest

import complsparse as cs
from complsparse import nn


def filters(rng, M, C, kernel, block=1, dtype=np.float32):
    """In groups of `block` of one pattern."""
    pattern = np.repeat(rng.random((M // block, C, *kernel)) < 0.3, block, axis=0)
    return cs.from_filters((rng.standard_normal(pattern.shape) * pattern).astype(dtype))


def images(rng, n, C, size, layout="NCHW", dtype=np.float32):
    x = rng.standard_normal((n, C, *size) if layout == "NCHW" else (n, *size, C)).astype(dtype)
    x[rng.random(x.shape) < 0.4] = 0
    return x


def check(layers, x, joined=None):
    """joined: whether the pool is a part of the convolution's step; None: as the plan likes."""
    net = nn.Sequential(layers)
    found, wanted = net(x), net.apply(x)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(found), ~numbers)
    assert found[numbers].tobytes() == wanted[numbers].tobytes()
    if joined is not None and found.size:
        kernels = ", ".join(row.kernel for row in net.profile(x).rows)
        assert ("+ pool" in kernels) is joined, kernels


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("block", [1, 4, 8])
@pytest.mark.parametrize("window", [2, (2, 3), 3, (1, 4)])
@pytest.mark.parametrize("size", [(30, 30), (9, 11), (13, 70), (6, 5)])
def test_pools_of_planes(isa, layout, block, window, size):
    rng = np.random.default_rng([block, *size])
    bias, activation = rng.standard_normal(24).astype(np.float32), rng.choice([None, "relu", "gelu"])
    W = filters(rng, 24, 3, (3, 3), block)
    convolution = nn.Conv2d(W, bias=bias, activation=activation, layout=layout)
    check([convolution, nn.MaxPool2d(window, layout=layout)], images(rng, 3, 3, size, layout))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [4, 8])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 5), (4, 1)])
@pytest.mark.parametrize("padding", [0, 1, ((2, 0), (0, 3))])
def test_windows_in_registers(isa, dtype, block, kernel, padding):
    """Of 2 x 2 outputs whose filters share patterns, around images of odd and even sizes."""
    rng = np.random.default_rng([block, *kernel])
    W = filters(rng, 16, 3, kernel, block, dtype)
    for size in ((28, 31), (33, 16), (7, 40)):
        for activation in (None, "relu6"):
            convolution = nn.Conv2d(W, padding=padding, bias=rng.standard_normal(16), activation=activation)
            check([convolution, nn.MaxPool2d(2)], images(rng, 2, 3, size, dtype=dtype))


def test_which_pools_are_part_of_a_convolution():
    rng = np.random.default_rng(1)
    convolution, x = nn.Conv2d(filters(rng, 64, 1, (5, 5), 4)), images(rng, 2, 1, (32, 32))
    check([convolution, nn.MaxPool2d(2)], x, True)
    check([convolution, nn.MaxPool2d((2, 7))], x, True)
    check([convolution, nn.MaxPool2d((14, 28))], x, True)
    check([convolution, nn.MaxPool2d(2, stride=1)], x, False)
    check([convolution, nn.MaxPool2d(2, padding=1)], x, False)
    check([convolution, nn.MaxPool2d(2, dilation=2)], x, False)
    check([convolution, nn.MaxPool2d(3, ceil_mode=True)], x, False)
    check([convolution, nn.AvgPool2d(2)], x, False)


def test_outputs_that_others_read_too_are_written():
    rng = np.random.default_rng(2)
    graph = nn.Graph()
    x = graph.input("x", (None, 1, 32, 32))
    y = graph.add(nn.Conv2d(filters(rng, 64, 1, (5, 5), 4)), x)
    graph.output(y, "y")
    graph.output(graph.add(nn.MaxPool2d(2), y), "pooled")
    one = images(rng, 2, 1, (32, 32))
    for found, wanted in zip(graph(one), graph.apply(one), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("finite_bias", [False, True])
def test_what_is_not_finite_and_signs_of_zeros(isa, dtype, activation, block, finite_bias):
    rng = np.random.default_rng(3)
    x = images(rng, 2, 2, (20, 20), dtype=dtype)
    x.ravel()[rng.integers(x.size, size=60)] = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0]), 60)
    bias = np.array([np.inf, -np.inf, np.nan, 0, -0.0, 1, -1, 0], dtype)
    if finite_bias:
        bias[:3] = -2
    convolution = nn.Conv2d(filters(rng, 8, 2, (3, 3), block, dtype), bias=bias, activation=activation)
    check([convolution, nn.MaxPool2d(2)], x)


@pytest.mark.parametrize("axis", [1, (1, 2, 3)])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("window", [2, (3, 2)])
@pytest.mark.parametrize("block", [1, 8])
def test_pools_of_winners(isa, axis, layout, activation, window, block):
    """Of pixels and of images; rows of outputs that fill no window are left out."""
    rng = np.random.default_rng(4)
    axis = 3 if axis == 1 and layout == "NHWC" else axis
    W = filters(rng, 16, 32, (3, 3), block)
    layers = [
        nn.KWinners(3 if axis in (1, 3) else 40, axis=axis),
        nn.Conv2d(W, bias=rng.standard_normal(16), padding=1, activation=activation, layout=layout),
        nn.MaxPool2d(window, layout=layout),
    ]
    check(layers, images(rng, 3, 32, (13, 11), layout))


@pytest.mark.parametrize("n", [1, 3])
def test_the_same_bits_for_every_number_of_threads(n, threads):
    rng = np.random.default_rng(5)
    x = images(rng, n, 4, (58, 43))
    found = []
    for count in (1, 2, 3, 4):
        with threads(count):
            layers = [nn.Conv2d(filters(np.random.default_rng(6), 32, 4, (3, 3), 4)), nn.MaxPool2d(2)]
            found.append(nn.Sequential(layers)(x))
    for other in found[1:]:
        assert other.tobytes() == found[0].tobytes()


# --- 8 bits -----------------------------------------------------------------------------------------------------------


def check_of_8_bits(rng, x_dtype, out_dtype, layout, size, window, *, padding=0, joined=None):
    """A network of one convolution, with a pool or without, against the functions one by one."""
    pattern = np.repeat(np.repeat(rng.random((3, 2, 3, 3)) < 0.5, 8, axis=0), 4, axis=1)
    weights = cs.quantize(cs.from_filters((rng.standard_normal(pattern.shape) * pattern).astype(np.float32)))
    least, most = np.iinfo(x_dtype).min, np.iinfo(x_dtype).max
    shape = (2, 8, *size) if layout == "NCHW" else (2, *size, 8)
    zero_point = int(rng.integers(least, most + 1))
    x = ((rng.integers(least, most + 1, shape) - zero_point) / 64).astype(np.float32)
    convolution = nn.QConv2d(
        weights, x_dtype=x_dtype, x_scale=1 / 64, x_zero_point=zero_point, padding=padding,
        bias=rng.standard_normal(24), activation=rng.choice([None, "relu", "relu6"]), out_scale=0.03, layout=layout,
        out_zero_point=int(rng.integers(-100, 28)) + (0 if out_dtype == "int8" else 100), out_dtype=out_dtype,
    )  # fmt: skip
    pools = [] if window is None else [nn.MaxPool2d(window, layout=layout)]
    net = nn.Sequential([nn.Quantize(1 / 64, zero_point, x_dtype), convolution, *pools])
    found, wanted = net(x), net.apply(x)
    assert found.dtype == wanted.dtype == out_dtype
    np.testing.assert_array_equal(found, wanted)
    if joined is not None:
        kernels = [row.kernel for row in net.profile(x).rows]
        assert ("+ pool + requantize" in kernels[1]) is joined, kernels


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("x_dtype", "out_dtype"), [("uint8", "uint8"), ("int8", "uint8"), ("uint8", "int8")])
@pytest.mark.parametrize("window", [None, 2, (1, 2), (3, 2), (2, 3), 3])
@pytest.mark.parametrize("size", [(30, 30), (9, 11), (14, 70), (6, 5)])
def test_outputs_of_8_bits_in_the_same_step(isa, layout, x_dtype, out_dtype, window, size):
    rng = np.random.default_rng([*size, len(layout), len(isa)])
    check_of_8_bits(rng, x_dtype, out_dtype, layout, size, window, padding=int(rng.integers(2)))


@pytest.mark.skipif("avx512vnni" not in cs.isa_levels(), reason="tiles of other widths join other pools")
def test_pools_of_sums_become_outputs_of_8_bits():
    """Where the plan joins all three."""
    rng = np.random.default_rng(2)
    check_of_8_bits(rng, "uint8", "uint8", "NCHW", (14, 14), 2, joined=True)
    check_of_8_bits(rng, "uint8", "int8", "NCHW", (12, 12), 2, padding=1, joined=True)
    check_of_8_bits(rng, "uint8", "uint8", "NCHW", (14, 14), None, joined=False)


def test_numbers_of_every_length_become_8_bits(isa):
    """Quantising, whose last numbers fill no vector: halves, what saturates, what is not finite."""
    rng = np.random.default_rng(3)
    special = np.array([np.nan, np.inf, -np.inf, 0.25, -0.25, 0.75, 63.75, 64, -1e30, 3e38], np.float32)
    for n in (*range(1, 40), 64, 100):
        x = (rng.integers(-300, 300, (3, n)) / 4).astype(np.float32)
        x[rng.random(x.shape) < 0.3] = rng.choice(special)
        for dtype, zero_point in (("uint8", 77), ("int8", -3), ("uint8", 0), ("int8", 127)):
            net = nn.Sequential([nn.Quantize(0.5, zero_point, dtype)])
            np.testing.assert_array_equal(net(x), net.apply(x))
