# SPDX-License-Identifier: BSD-3-Clause
"""The HLS header's blocks in C simulation, with every kind of integer, against the CPU library and NumPy."""

from fractions import Fraction

import numpy as np
import pytest
from hls_blocks import Contest, Layer, Pool, Requantise, program, results
from hls_tools import INTEGERS, integers

import complsparse as cs
from complsparse._quantized.requantize import ending_of

RNG = np.random.default_rng(14)
CORNERS = ("random", "least", "alternating", "few values")


def activations(shape, kind, unsigned=False):
    low, high, dtype = (0, 255, np.uint8) if unsigned else (-128, 127, np.int8)
    if kind == "random":
        return RNG.integers(low, high, shape, dtype=dtype, endpoint=True)
    if kind == "least":
        return np.full(shape, high if unsigned else low, dtype=dtype)
    if kind == "alternating":
        return np.where(np.arange(shape[-1]) % 2, low, high).astype(dtype) + np.zeros(shape, dtype)
    return RNG.integers(0, 3, shape).astype(dtype)


def weights(rows, columns, density, kind="random"):
    mask = RNG.random((rows, columns)) < density
    values = RNG.integers(-128, 128, (rows, columns)) if kind == "random" else np.full((rows, columns), -128)
    return cs.from_dense((mask * values).astype(np.int8))


def product(x, W):
    """In 64 bits, dense: independent of the library's products."""
    return x.astype(np.int64) @ W.toarray().T.astype(np.int64)


@pytest.fixture(params=INTEGERS)
def kind(request, tmp_path):
    """A function that compiles configurations with one kind of integer."""
    compiler, flags = integers(request.param)

    def build(configurations):
        return program(tmp_path, configurations, compiler, flags)

    return build


SHAPES = [
    Layer(1, 1, 1, 1, 1, 1, vectors=3),
    Layer(5, 7, 5, 5, 7, 3, vectors=3),
    Layer(12, 37, 12, 12, 37, 8, vectors=2, unsigned=True),
    Layer(16, 64, 16, 16, 64, 64, vectors=2),
    Layer(9, 20, 9, 9, 20, 20),
    Layer(12, 37, 12, 12, 37, 8, vectors=2, unsigned=True, selected=True),
    Layer(5, 7, 5, 5, 7, 7, vectors=3, selected=True),
]


def test_sparse_dense(kind):
    built = kind(SHAPES)
    cases, wanted = [], []
    for number, shape in enumerate(SHAPES):
        for corner in CORNERS:
            for density in (0.0, 0.1, 0.4, 1.0):
                W = weights(shape.rows, shape.columns, density, corner)
                x = activations((shape.vectors, shape.columns), corner, shape.unsigned)
                cases.append((number, shape.operands(x, W)))
                wanted.append(product(x, W))
                np.testing.assert_array_equal(cs.linear(x, W), wanted[-1])
    for got, sums in zip(results(built, cases, [w.size for w in wanted]), wanted):
        np.testing.assert_array_equal(got.reshape(sums.shape), sums)


def test_sparse_sparse(kind):
    shapes = [
        Layer(1, 1, 1, 1, 1, 1, winners=1),
        Layer(8, 30, 8, 8, 30, 2, winners=7, vectors=3),
        Layer(8, 30, 8, 8, 30, 4, winners=30, vectors=2, unsigned=True),
        Layer(12, 64, 12, 12, 64, 3, winners=9),
    ]
    built = kind(shapes)
    cases, wanted = [], []
    for number, shape in enumerate(shapes):
        for corner in CORNERS:
            for density in (0.0, 0.2, 1.0):
                W = weights(shape.rows, shape.columns, density, corner)
                x = activations((shape.vectors, shape.columns), corner, shape.unsigned)
                won = cs.kwta(x, shape.winners)
                parts = [part.reshape(shape.vectors, shape.winners) for part in (won.values, won.indices)]
                cases.append((number, shape.operands(parts, W)))
                wanted.append(product(won.toarray(), W))
                np.testing.assert_array_equal(cs.linear(won, W), wanted[-1])
    for got, sums in zip(results(built, cases, [w.size for w in wanted]), wanted):
        np.testing.assert_array_equal(got.reshape(sums.shape), sums)


def first_largest(x, k):
    """Values and places of the k largest, the first of equal ones, in the order of their places."""
    order = np.lexsort((np.arange(len(x)), -x.astype(int)))[:k]
    return x[np.sort(order)], np.sort(order)


@pytest.mark.parametrize("in_one_clock", [True, False], ids=["sorted", "histogram"])
def test_winners(kind, in_one_clock):
    sizes = ((1, 1), (2, 1), (5, 5), (33, 4), (64, 6)) + (() if in_one_clock else ((1500, 150),))
    shapes = [
        Contest(size, winners, relu=relu, unsigned=unsigned, in_one_clock=in_one_clock)
        for size, winners in sizes
        for relu, unsigned in ((False, False), (True, False), (False, True))
    ]
    built = kind(shapes)
    cases, wanted = [], []
    for number, shape in enumerate(shapes):
        for corner in CORNERS:
            x = activations((shape.size,), corner, shape.unsigned)
            cases.append((number, [x]))
            values, places = first_largest(x, shape.winners)
            won = cs.kwta(x, shape.winners)
            np.testing.assert_array_equal(won.values, values)
            np.testing.assert_array_equal(won.indices, places)
            wanted.append((np.where(shape.relu & (values <= 0), 0, values), places))
    found = results(built, cases, [2 * len(values) for values, _ in wanted])
    for got, (values, places) in zip(found, wanted):
        got_values, got_places = got.reshape(2, -1)
        order = np.argsort(got_places) if in_one_clock else np.arange(len(places))
        np.testing.assert_array_equal(got_places[order], places)
        np.testing.assert_array_equal(got_values[order], values)


def test_pools(kind):
    sizes = ((1, 1, 1, 1), (4, 6, 3, 2), (5, 7, 2, 2), (9, 8, 4, 3), (3, 5, 1, 3))
    shapes = [Pool(*size) for size in sizes]
    built = kind(shapes)
    cases, wanted = [], []
    for number, (height, width, channels, window) in enumerate(sizes):
        for corner in CORNERS:
            x = activations((height, width, channels), corner)
            cases.append((number, [x]))
            down, right = height // window, width // window
            tiles = x[: down * window, : right * window].reshape(down, window, right, window, channels)
            wanted.append(tiles.max(axis=(1, 3)))
            ours = cs.max_pool2d(x[None], window, layout="NHWC")[0]
            np.testing.assert_array_equal(ours, wanted[-1])
    for got, pool in zip(results(built, cases, [w.size for w in wanted]), wanted):
        np.testing.assert_array_equal(got.reshape(pool.shape), pool)


# height, width, channels, kernel_height, kernel_width, stride, padding, rows, lanes
IMAGES = [
    (1, 1, 1, 1, 1, 1, 0, 1, 1),
    (6, 5, 3, 3, 3, 1, 1, 8, 5),
    (7, 8, 2, 3, 2, 2, 1, 5, 12),
    (5, 9, 1, 5, 5, 1, 2, 6, 8),
    (8, 6, 4, 1, 1, 1, 0, 4, 4),
    (9, 9, 2, 3, 3, 3, 0, 3, 4),
]


def test_convolutions(kind):
    shapes = []
    for height, width, channels, down, right, stride, padding, rows, lanes in IMAGES:
        columns = channels * down * right
        image = {
            "height": height, "width": width, "channels": channels, "kernel_height": down, "kernel_width": right,
            "stride": stride, "padding": padding,
        }  # fmt: skip
        shapes.append(Layer(rows, columns, rows, rows, columns, lanes, image=image))
    built = kind(shapes)
    cases, wanted = [], []
    for number, (shape, size) in enumerate(zip(shapes, IMAGES)):
        height, width, channels, down, right, stride, padding, rows, _ = size
        for corner, zero in zip(CORNERS, (0, 5, -128, 0)):
            W = weights(rows, channels * down * right, 0.4, corner)
            x = activations((height, width, channels), corner)
            cases.append((number, shape.operands([x, [zero]], W)))
            padded = np.pad(x, ((padding, padding), (padding, padding), (0, 0)), constant_values=zero)
            patches = np.lib.stride_tricks.sliding_window_view(padded, (down, right), axis=(0, 1))
            patches = patches[::stride, ::stride]
            wanted.append(product(patches.reshape(*patches.shape[:2], -1), W))
            if zero == 0:
                ours = cs.conv2d(x[None], W, (down, right), stride=stride, padding=padding, layout="NHWC")[0]
                np.testing.assert_array_equal(ours, wanted[-1])
    for got, pixels in zip(results(built, cases, [w.size for w in wanted]), wanted):
        np.testing.assert_array_equal(got.reshape(pixels.shape), pixels)


def test_requantising(kind):
    """Against exact fractions, which Python rounds to the nearest and a half to the even one."""
    shapes = [Requantise(1, 1), Requantise(9, 4), Requantise(16, 16, unsigned=True), Requantise(12, 5, sum_bits=32)]
    built = kind(shapes)
    cases, wanted = [], []
    for number, shape in enumerate(shapes):
        least, most = shape.limits
        for zero, relu, half in (
            (0, False, False),
            (3, True, False),
            (-1 + (least == 0), False, True),
            (most, True, False),
        ):
            top = 2 ** (shape.sum_bits - 2)
            sums, bias = RNG.integers(-top, top, (2, shape.rows))
            multipliers, shifts = (
                RNG.integers(2**30, 2**31, shape.rows),
                RNG.integers(shape.sum_bits + 24, 63, shape.rows),
            )
            shifts = np.minimum(shifts, shape.sum_bits + 26)
            if half:  # quarters: halves among them
                sums, bias = RNG.integers(-300, 300, (2, shape.rows))
                multipliers, shifts = np.full(shape.rows, 2**30), np.full(shape.rows, 32)
            low = max(least, zero) if relu else least
            cases.append((number, [sums, bias, multipliers, shifts, [zero], [low, most]]))
            exact = [
                round(Fraction(int(s + b) * int(m), 2 ** int(n))) for s, b, m, n in zip(sums, bias, multipliers, shifts)
            ]
            wanted.append(np.clip(np.array(exact) + zero, low, most))
    found = results(built, cases, [w.size for w in wanted])
    for got, values in zip(found, wanted):
        np.testing.assert_array_equal(got, values)
    assert len(np.unique(np.concatenate(found))) > 30


def quantised_weights(rows, columns):
    mask = RNG.random((rows, columns)) < 0.4
    return cs.quantize(cs.from_dense((mask * RNG.standard_normal((rows, columns))).astype(np.float32)))


def requantised(built, number, ending, sums):
    """What the stage makes of sums, a vector in each row."""
    operands = [ending.bias, ending.multipliers, ending.shifts, [ending.zero_point], [ending.least, ending.most]]
    found = results(built, [(number, [row, *operands]) for row in sums], [sums.shape[1]] * len(sums))
    return np.array(found)


# Activation, scale and zero point of the outputs: the second saturates at both ends, the third at its own.
ENDINGS = [(None, 0.5, 3), (None, 0.02, 0), ("relu", 0.3, 5), ("relu6", 0.1, 1)]


def test_layers_equal_qlinear(kind):
    """Of vectors and of winners, in one program with the stage behind them."""
    shapes = [
        Layer(12, 37, 12, 12, 37, 8, vectors=9, unsigned=True),
        Layer(12, 37, 12, 12, 37, 3, vectors=9, winners=11),
        Requantise(12, 5, unsigned=True), Requantise(12, 12),
    ]  # fmt: skip
    built = kind(shapes)
    W, bias = quantised_weights(12, 37), RNG.standard_normal(12)
    for activation, out_scale, out_zero in ENDINGS:
        for number, zero in ((0, 117), (1, 0)):
            x = activations((9, 37), "random", shapes[number].unsigned)
            operands = x
            if number:
                x = cs.kwta(x, 11)
                operands = [part.reshape(9, 11) for part in (x.values, x.indices)]
            numbers = {"x_scale": 0.03, "x_zero_point": zero, "activation": activation, "out_scale": out_scale,
                       "out_zero_point": out_zero, "out_dtype": None}  # fmt: skip
            wanted = cs.qlinear(x, W, bias=bias, **numbers)
            ending = ending_of(W, x.dtype, "qlinear", bias, tuple(numbers.values()))
            (sums,) = results(built, [(number, shapes[number].operands(operands, W))], [9 * 12])
            np.testing.assert_array_equal(requantised(built, 2 + number, ending, sums.reshape(9, 12)), wanted)
            if out_scale == 0.02:
                assert {wanted.min(), wanted.max()} == set(shapes[2 + number].limits)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_equal_qconv2d(kind, stride):
    image = {"height": 7, "width": 6, "channels": 3, "kernel_height": 3, "kernel_width": 3, "stride": stride,
             "padding": 1}  # fmt: skip
    shapes = [Layer(8, 27, 8, 8, 27, 5, image=image, unsigned=True), Requantise(8, 3, unsigned=True)]
    built = kind(shapes)
    W, bias = quantised_weights(8, 27), RNG.standard_normal(8)
    for activation, out_scale, out_zero in ENDINGS:
        x = activations((7, 6, 3), "random", unsigned=True)
        numbers = {"x_scale": 0.03, "x_zero_point": 130, "activation": activation, "out_scale": out_scale,
                   "out_zero_point": out_zero, "out_dtype": None}  # fmt: skip
        wanted = cs.qconv2d(x[None], W, (3, 3), stride=stride, padding=1, bias=bias, layout="NHWC", **numbers)[0]
        ending = ending_of(W, x.dtype, "qconv2d", bias, tuple(numbers.values()))
        (sums,) = results(built, [(0, shapes[0].operands([x, [130]], W))], [wanted.size])
        found = requantised(built, 1, ending, sums.reshape(-1, 8))
        np.testing.assert_array_equal(found, wanted.reshape(-1, 8))
