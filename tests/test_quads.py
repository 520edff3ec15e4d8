# SPDX-License-Identifier: BSD-3-Clause
"""Products of 8-bit numbers, four columns at a time: every bit against sums in int64."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest
from byte_images import exact_convolution, filters_with_scale, units_of_filters
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core
from complsparse._quantized.requantize import factors, with_bounds

BATCHES = (*range(1, 18), 33, 63, 64, 65, 130)
DTYPES = (np.uint8, np.int8)


def patterned(rng, shape, block, density):
    """Values at the ends of their range among others, in whole blocks but for the edges of the matrix."""
    blocks = [-(-side // of_block) for side, of_block in zip(shape, block, strict=True)]
    mask = np.kron(rng.random(blocks) < density, np.ones(block, dtype=bool))[: shape[0], : shape[1]]
    return np.where(mask, rng.choice([-128, 127, 1, -1, 50, 0], shape), 0).astype(np.int8)


def activations(rng, shape, dtype):
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.2, rng.choice([info.min, info.max], shape), x).astype(dtype)


def exact(D, X):
    return D.astype(np.int64) @ X.astype(np.int64)


@pytest.mark.parametrize("block", [(1, 1), (1, 4), (4, 4), (8, 4)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 64), (37, 130), (96, 513)])
def test_products(isa, shape, block):
    rng = np.random.default_rng(0)
    for density in (0.06, 0.6):
        D = patterned(rng, shape, block, density)
        W = cs.from_dense(D)
        for dtype, n in ((dtype, n) for dtype in DTYPES for n in BATCHES):
            X = activations(rng, (shape[1], n), dtype)
            wanted = exact(D, X)
            for found in (
                W @ X,
                cs.linear(X.T, W).T,
                cs.linear(np.ascontiguousarray(X.T), W).T,
                cs.matmul(W, np.repeat(X, 2, axis=1)[:, ::2]),
                cs.matmul(W, np.repeat(X, 2, axis=0)[::2]),
                cs.matmul(W, X[:, ::-1])[:, ::-1],
            ):
                assert found.dtype == np.int32
                assert_array_equal(found, wanted)
            Z = activations(rng, (n, shape[0]), dtype)
            assert_array_equal(cs.matmul(Z, W), exact(D.T, Z.T).T)


def test_a_bias_and_relu(isa):
    rng = np.random.default_rng(1)
    D = patterned(rng, (24, 40), (4, 4), 0.4)
    W = cs.from_dense(D)
    bias = rng.integers(-(2**20), 2**20, 24, dtype=np.int32)
    for dtype, n in ((dtype, n) for dtype in DTYPES for n in BATCHES):
        X = activations(rng, (n, 40), dtype)
        wanted = exact(D, X.T).T + bias
        assert_array_equal(cs.linear(X, W, bias), wanted)
        out = np.full((n, 24), -7, dtype=np.int32)
        assert cs.linear(X, W, bias, activation="relu", out=out) is out
        assert_array_equal(out, np.maximum(wanted, 0))


def test_vectors_that_lie_anywhere(isa):
    """Rows of bytes at odd addresses and odd distances, and rows that are apart."""
    rng = np.random.default_rng(2)
    D = patterned(rng, (20, 67), (1, 4), 0.3)
    W = cs.from_dense(D)
    for dtype in DTYPES:
        memory = activations(rng, 70 * 100 + 9, dtype)
        for first, step in ((0, 67), (1, 67), (3, 68), (4, 72), (0, 70)):
            X = np.lib.stride_tricks.as_strided(memory[first:], (70, 67), (step, 1))
            assert_array_equal(cs.linear(X, W), exact(D, X.T).T)
            Y = np.lib.stride_tricks.as_strided(memory[first:], (67, 66), (step, 1))
            assert_array_equal(W @ Y, exact(D, Y))


def test_the_largest_sums(isa):
    """Sums next to both ends of int32, and those beyond, modulo 2**32."""
    for columns in (66_000, 70_000):
        D = np.stack([np.full(columns, -128), np.full(columns, 127), np.full(columns, 3)]).astype(np.int8)
        W = cs.from_dense(D)
        for dtype, value in ((np.uint8, 255), (np.int8, -128), (np.int8, 127)):
            X = np.full((columns, 17), value, dtype=dtype)
            assert_array_equal(W @ X, exact(D, X).astype(np.int32))


def test_outputs_of_every_sum(isa):
    """Halves on both sides of zero, factors of every size, sums at the ends of int32: to the bit of integers."""
    rng = np.random.default_rng(4)
    sums = np.concatenate([np.arange(-41, 42), rng.integers(-(2**31), 2**31, 90), [-(2**31), 2**31 - 1, 2**24 + 1]])
    for shift, zero_point, dtype in itertools.product((1, 2, 7, 30, 31, 33, 45, 62), (0, 3, -128), (np.int8, np.uint8)):
        zero_point = zero_point % 256 if dtype is np.uint8 else zero_point
        info = np.iinfo(dtype)
        multipliers = np.concatenate([[0, 1, 2**30, 2**31 - 1], rng.integers(0, 2**31, len(sums) - 4)]).astype(np.int32)
        rng.shuffle(multipliers)
        shifts = np.full(len(sums), shift, dtype=np.int32)
        bias = rng.integers(-9, 10, len(sums)).astype(np.int32)
        rows = np.stack([sums, sums[::-1], np.roll(sums, 7)]).astype(np.int32)
        total = (rows + bias).astype(np.int64)  # modulo 2**32
        halves = [2 * int(s) * int(m) for s, m in zip(total.ravel(), np.tile(multipliers, 3), strict=True)]
        units = [round(Fraction(h, 2 ** (shift + 1))) + zero_point for h in halves]
        wanted = np.array([min(max(u, info.min), info.max) for u in units]).reshape(rows.shape)
        y = np.empty(rows.shape, dtype=dtype)
        ending, scaling = (zero_point, info.min, info.max), with_bounds(multipliers, shifts)
        _core.requantize(rows, y, rows.shape, True, bias, scaling, *ending)
        assert_array_equal(y, wanted)
        for each in (1, 22):  # of which 66 are more than a block
            y = np.empty((len(sums), 3 * each), dtype=dtype)
            _core.requantize(np.repeat(rows.T, each, axis=1), y, y.shape, False, bias, scaling, *ending)
            assert_array_equal(y, np.repeat(wanted.T, each, axis=1))


@given(st.integers(0, 2**32), st.sampled_from([np.int8, np.uint8]))
def test_outputs_next_to_a_half(seed, dtype):
    """Sums whose products with factors of 31 bits lie closest to a half: both sides of it round as integers do."""
    rng = np.random.default_rng(seed)
    n, shift, zero_point, info = 200, int(rng.integers(31, 44)), int(rng.integers(0, 100)), np.iinfo(dtype)
    multipliers = rng.integers(2**30, 2**31, n).astype(np.int32)
    wanted_units = rng.integers(-200, 300, (3, n)) + 0.5
    sums = np.rint(wanted_units * 2.0**shift / multipliers).astype(np.int32) + rng.integers(-1, 2, (3, n), np.int32)
    bias = rng.integers(-9, 10, n).astype(np.int32)
    units = [
        [round(Fraction(int(s) * int(m), 2**shift)) + zero_point for s, m in zip(row, multipliers, strict=True)]
        for row in sums
    ]
    wanted = np.clip(units, info.min, info.max).astype(dtype)
    scaling = with_bounds(multipliers, np.full(n, shift, np.int32))
    ending = (bias, scaling, zero_point, info.min, info.max)
    y = np.empty((3, n), dtype)
    _core.requantize(sums - bias, y, y.shape, True, *ending)
    assert_array_equal(y, wanted)
    rows = np.ascontiguousarray(np.repeat((sums - bias).T, 70, axis=1))
    y = np.empty(rows.shape, dtype)
    _core.requantize(rows, y, y.shape, False, *ending)
    assert_array_equal(y, np.repeat(wanted.T, 70, axis=1))


def test_threads_give_the_same_bits(threads):
    rng = np.random.default_rng(3)
    D = patterned(rng, (700, 512), (4, 4), 0.1)
    X = activations(rng, (512, 130), np.int8)
    for count in (1, 2, 3):
        with threads(count):
            W = cs.from_dense(D)
            assert_array_equal(W @ X, exact(D, X))
            assert_array_equal(cs.linear(np.ascontiguousarray(X.T), W), exact(D, X).T)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ((1, 1), "2[0-9]% filled: "),
        ((1, 4), "100% filled: "),
        ((4, 4), "filled, four rows to"),
        ((8, 4), "rows to a pat"),
    ],
)
def test_the_plan_says_what_it_is(isa, block, words):
    D = np.where(cs.complementary_mask((64, 256), set_size=16, block=block, rng=0), 1, 0).astype(np.int8)
    W = cs.from_dense(D)
    for dtype in DTYPES:
        reasons = [choice["reason"] for choice in W._choices(dtype) if choice["n_last"] >= 16]
        reasons = [reason for reason in reasons if reason.startswith("quads")]
        assert reasons or (block == (1, 1) and isa != "portable")  # other layouts may serve those at every width
        assert all(re.search("quads of columns, .*" + words, reason) for reason in reasons), reasons
    assert "quads" not in [candidate["layout"] for candidate in _core.candidates(W, 64, np.int32)]
    if reasons:
        assert "quads" in [layout["layout"] for layout in W._layouts()]


# --- convolutions -----------------------------------------------------------------------------------------------------


GEOMETRIES = (  # kernel, stride, padding, dilation
    (3, 1, 1, 1),
    (1, 1, 0, 1),
    (5, 1, 2, 1),
    (3, 2, 1, 1),
    (3, 1, 2, 2),
)


@pytest.mark.parametrize("height", [1, 4, 8, 16])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolutions(isa, height, geometry):
    kernel, stride, padding, dilation = geometry
    rng = np.random.default_rng(height)
    for channels, size in ((8, (9, 11)), (6, (7, 20)), (3, (8, 8))):
        F = units_of_filters(rng, (32, channels, kernel, kernel), height, 0.3)
        W = cs.from_filters(F)
        for dtype, layout in itertools.product(DTYPES, ("NCHW", "NHWC")):
            x = activations(rng, (3, channels, *size), dtype)
            wanted = exact_convolution(x, F, stride, padding, dilation, 0)
            given = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
            options = {"stride": stride, "padding": padding, "dilation": dilation, "layout": layout}
            y = cs.conv2d(given, W, **options)
            assert y.dtype == np.int32
            assert_array_equal(y if layout == "NCHW" else y.transpose(0, 3, 1, 2), wanted)


@pytest.mark.parametrize("geometry", [(1, 1, 1), (3, 1, 1), (4, 2, 1), (5, 1, 1), (5, 1, 2), (9, 3, 1)])
def test_images_of_one_channel(isa, geometry):
    """Whose quads are neighbouring pixels, where windows begin and end in their rows."""
    kernel, stride, dilation = geometry
    rng = np.random.default_rng(kernel)
    for size, density, top in itertools.product(((9, 11), (20, 37), (17, 17)), (0.2, 1), (0, 2)):
        F = np.where(rng.random((16, 1, kernel, kernel)) < density, rng.integers(-128, 128, (16, 1, kernel, kernel)), 0)
        W = cs.from_filters(F.astype(np.int8))
        for dtype in DTYPES:
            wide = activations(rng, (3, 1, size[0], 2 * size[1]), dtype)
            for x in (np.ascontiguousarray(wide[..., : size[1]]), wide[..., : size[1]], wide[..., ::2]):
                wanted = exact_convolution(np.pad(x, ((0, 0), (0, 0), (top, 0), (0, 0))), F, stride, 0, dilation, 0)
                options = {"stride": stride, "dilation": dilation, "padding": ((top, 0), (0, 0))}
                assert_array_equal(cs.conv2d(x, W, **options), wanted)
                last = cs.conv2d(x.transpose(0, 2, 3, 1), W, layout="NHWC", **options)
                assert_array_equal(last.transpose(0, 3, 1, 2), wanted)
    # Margins at the sides have no such quads.
    assert_array_equal(cs.conv2d(x, W, padding=1), exact_convolution(x, F, 1, 1, 1, 0))


@pytest.mark.parametrize("height", [1, 4, 16])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_way_of_a_convolution_with_8_bit_outputs(isa, height, layout):
    """Zero points that are not 0 around the image; outputs of 8 bits straight from tiles and by way of sums."""
    rng = np.random.default_rng(7)
    F = units_of_filters(rng, (32, 12, 3, 3), height, 0.2)
    W = filters_with_scale(F)
    bias = rng.uniform(-300, 300, 32)
    for dtype, zero_point in ((np.uint8, 131), (np.int8, -7)):
        x = activations(rng, (2, 12, 10, 13), dtype)
        given = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        scales = {"x_scale": 1.0, "x_zero_point": zero_point, "bias": bias, "padding": 1, "layout": layout}
        sums = (
            exact_convolution(x, F, 1, 1, 1, zero_point) - zero_point * F.astype(np.int64).sum((1, 2, 3))[:, None, None]
        )
        sums += np.rint(bias / W.scale.astype(np.float64)).astype(np.int64)[:, None, None]
        real = sums * W.scale.astype(np.float64)[:, None, None]
        y = cs.qconv2d(given, W, **scales)
        assert_array_equal(y if layout == "NCHW" else y.transpose(0, 3, 1, 2), real.astype(np.float32))
        y = cs.qconv2d(given, W, **scales, out_scale=9.0, out_zero_point=3, out_dtype=dtype)
        info = np.iinfo(dtype)
        multipliers, shifts = factors(W.scale.astype(np.float64) / 9.0)
        wanted = [
            [min(max(round(Fraction(int(s) * int(m), 2 ** int(shift))) + 3, info.min), info.max) for s in of_filter]
            for m, shift, of_filter in zip(multipliers, shifts, np.moveaxis(sums, 1, 0).reshape(32, -1), strict=True)
        ]
        wanted = np.moveaxis(np.reshape(wanted, (32, 2, 10, 13)), 0, 1)
        assert_array_equal(y if layout == "NCHW" else y.transpose(0, 3, 1, 2), wanted)


def test_layers_give_the_outputs_of_their_sums(isa):
    """Tiles that are requantised at once, whole and in part, and vectors that lie anywhere."""
    rng = np.random.default_rng(8)
    for block, (dtype, zero_point) in itertools.product(((1, 1), (4, 4)), ((np.uint8, 9), (np.int8, -128))):
        D = patterned(rng, (40, 52), block, 0.4)
        W = cs._matrix._restore({**cs.from_dense(D)._state(), "scale": np.full(40, 0.25, np.float32)})
        for n in BATCHES:
            X = activations(rng, (n, 52), dtype)
            sums = exact(D, X.T).T - zero_point * D.astype(np.int64).sum(1)
            wanted = np.clip(np.rint(sums / 64) + zero_point, np.iinfo(dtype).min, np.iinfo(dtype).max)
            scales = {"x_scale": 0.5, "x_zero_point": zero_point, "out_scale": 8.0, "out_zero_point": zero_point}
            assert_array_equal(cs.qlinear(X, W, **scales), wanted)
            assert_array_equal(cs.qlinear(np.repeat(X, 2, axis=0)[::2], W, **scales), wanted)
            out = np.zeros((n, 80), dtype)
            cs.qlinear(X, W, **scales, out=out[:, ::2])
            assert_array_equal(out[:, ::2], wanted)
