# SPDX-License-Identifier: BSD-3-Clause
"""Weights, activations and layers of 8 bits: every bit against sums in int64 and fractions (`tools/quantized.py`)."""

import io
import itertools
import pickle
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from quantized import LIMITS, expected, factor, linear_sums
from sliding import Sliding, patches

import complsparse as cs
from complsparse import _core
from complsparse._quantized.requantize import factors, with_bounds

DTYPES = ("uint8", "int8")
ACTIVATIONS = (None, "relu", "relu6")


def numbers(rng, shape, dtype):
    return rng.integers(*LIMITS[dtype], shape, dtype=dtype, endpoint=True)


def weights(rng, rows, columns, density=0.3):
    values = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < density)
    return cs.quantize(cs.from_dense(values * rng.uniform(0.1, 10, (rows, 1))))


def with_numbers(values, scale=None):
    """A quantised matrix of exactly these numbers, those that `quantize` gives no row of among them."""
    state = cs.from_dense(values.astype(np.int8))._state()
    scale = np.ones(len(values)) if scale is None else scale
    return cs._matrix._restore({**state, "scale": np.asarray(scale, dtype=np.float32)})


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_weights_are_within_half_a_scale(bits, dtype):
    rng = np.random.default_rng(bits)
    D = (100 * rng.standard_normal((13, 40)) * (rng.random((13, 40)) < 0.3)).astype(dtype)
    D[3] = 0
    W = cs.from_dense(D)
    Wq = cs.quantize(W, bits=bits)
    assert Wq.dtype == np.int8
    assert (Wq.scale.dtype, Wq.scale.shape, Wq.scale[3]) == (np.float32, (13,), 1)
    assert not Wq.scale.flags.writeable
    limit = 2 ** (bits - 1) - 1
    largest = np.abs(D.astype(np.float64)).max(axis=1)
    full = largest > 0
    assert_array_equal(np.abs(Wq.toarray()).max(axis=1)[full], limit)
    np.testing.assert_allclose(Wq.scale[full], largest[full] / limit, rtol=1e-7)
    error = np.abs(Wq.toarray() * Wq.scale.astype(np.float64)[:, None] - D)
    assert (error <= 0.5 * Wq.scale[:, None] * (1 + 1e-6) + 1e-6 * np.abs(D)).all()
    assert_array_equal(Wq.indices, W.indices)  # entries that became 0 stay
    assert_array_equal(Wq.indptr, W.indptr)


def test_weights_round_half_to_even():
    Wq = cs.quantize(cs.from_dense(np.array([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5]])))
    assert Wq.scale[0] == 1
    assert_array_equal(Wq.toarray(), [[127, 0, 2, 2, 0, -2, 126]])


@pytest.mark.parametrize("value", [5e-324, 1e-45, 1e-40, 1e38, 3e38])
def test_weights_of_any_size(value):
    Wq = cs.quantize(cs.from_dense(np.array([[value, -value]])))
    assert np.isfinite(Wq.scale[0])
    assert Wq.scale[0] > 0
    assert abs(float(Wq.scale[0]) * int(Wq.toarray()[0, 0]) - value) <= 0.5 * float(Wq.scale[0]) + 1e-7 * value


def test_weights_that_cannot_be_quantised():
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=re.escape(f"W[1, 0] is {value}")):
            cs.quantize(cs.from_dense(np.array([[1.0, 0], [value, 2]])))
    with pytest.raises(ValueError, match="row 1 of W has a weight of 1e\\+300"):
        cs.quantize(cs.from_dense(np.array([[1.0], [1e300]])))
    W = cs.from_dense(np.eye(2))
    for bits in (1, 9, 0):
        with pytest.raises(ValueError, match=f"bits={bits}"):
            cs.quantize(W, bits=bits)
    with pytest.raises(TypeError, match="bits must be an integer, not float"):
        cs.quantize(W, bits=8.0)
    with pytest.raises(TypeError, match="not ndarray"):
        cs.quantize(np.eye(2))


def test_the_scale_stays_with_the_numbers():
    rng = np.random.default_rng(0)
    Wq = weights(rng, 9, 20)
    buffer = io.BytesIO()
    cs.save(buffer, Wq)
    buffer.seek(0)
    kept = [Wq.T.T, Wq.copy(), Wq.T.copy().T, pickle.loads(pickle.dumps(Wq)), cs.load(buffer), Wq.astype(np.int8),
            cs.ComplementaryMatrix(Wq), pickle.loads(pickle.dumps(Wq.T)).T]  # fmt: skip
    for other in kept:
        assert_array_equal(other.scale, Wq.scale)
        assert_array_equal(other.toarray(), Wq.toarray())
        assert not other.scale.flags.writeable
    assert_array_equal(Wq.T.scale, Wq.scale)
    dropped = [Wq.astype(np.int16), Wq.with_values(Wq.data), -Wq, Wq * 2, cs.from_dense(np.eye(2)),
               cs.ComplementaryMatrix(Wq, dtype=np.float32), cs.ComplementaryMatrix(Wq.T)]  # fmt: skip
    assert [other.scale for other in dropped] == [None] * len(dropped)


def test_a_transposed_matrix_is_quantised_by_its_own_rows():
    rng = np.random.default_rng(1)
    W = cs.from_dense(rng.standard_normal((6, 11)) * (rng.random((6, 11)) < 0.5))
    Wq, copied = cs.quantize(W.T), cs.quantize(cs.from_dense(W.toarray().T))
    assert_array_equal(Wq.scale, copied.scale)
    assert_array_equal(Wq.toarray(), copied.toarray())
    x = numbers(rng, (3, 6), "uint8")
    assert_array_equal(cs.qlinear(x, Wq, x_scale=0.1), cs.qlinear(x, copied, x_scale=0.1))


@pytest.mark.parametrize(
    ("scale", "error", "words"),
    [
        (np.ones(3, np.float32), TypeError, "vector of 2 float32"),
        (np.ones(2), TypeError, "vector of 2 float32"),
        (np.ones((2, 1), np.float32), TypeError, "vector of 2 float32"),
        ([1.0, 1.0], TypeError, "vector of 2 float32"),
        (np.array([1, 0], np.float32), ValueError, r"scale\[1\] is 0.0"),
        (np.array([-1, 1], np.float32), ValueError, r"scale\[0\] is -1.0"),
        (np.array([1, np.nan], np.float32), ValueError, r"scale\[1\] is nan"),
        (np.array([1, np.inf], np.float32), ValueError, r"scale\[1\] is inf"),
    ],
)
def test_scales_that_come_back_are_not_trusted(scale, error, words):
    state = cs.from_dense(np.eye(2, dtype=np.int8))._state()
    with pytest.raises(error, match=words):
        cs._matrix._restore({**state, "scale": scale})
    if isinstance(scale, np.ndarray):
        buffer = io.BytesIO()
        cs.save(buffer, cs.from_dense(np.eye(2, dtype=np.int8)))
        buffer.seek(0)
        members = dict(np.load(buffer))
        buffer = io.BytesIO()
        np.savez(buffer, **members, scale=scale)
        buffer.seek(0)
        with pytest.raises(ValueError, match=words if scale.ndim == 1 else "member 'scale'"):
            cs.load(buffer)
    with pytest.raises(ValueError, match="belongs to int8 values"):
        cs._matrix._restore({**cs.from_dense(np.eye(2))._state(), "scale": np.ones(2, np.float32)})


# --- activations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("span", [(-3, 5), (0, 7), (2, 9), (-8, -1), (-1e-3, 1e5)])
def test_activations_are_within_half_a_scale(dtype, span):
    x = np.random.default_rng(2).uniform(*span, (20, 30)).astype(np.float32)
    xq, scale, zero_point = cs.quantize_activations(x, dtype=dtype)
    assert (xq.dtype, xq.shape, type(scale), type(zero_point)) == (np.dtype(dtype), x.shape, float, int)
    low, high = LIMITS[dtype]
    assert low <= zero_point <= high
    assert (np.abs(scale * (xq.astype(np.float64) - zero_point) - x) <= scale * (1 + 1e-9)).all()
    inside = (xq > low) & (xq < high)  # the ends may be cut where the zero point was rounded
    assert (np.abs(scale * (xq.astype(np.float64) - zero_point) - x)[inside] <= scale / 2 * (1 + 1e-9)).all()
    assert_array_equal(cs.quantize_activations(np.append(x, 0), dtype=dtype)[0][-1], zero_point)


@given(st.integers(0, 2**32), st.sampled_from(DTYPES), st.sampled_from(["float32", "float64", "float16", "int16"]))
def test_activations_are_those_of_numpy(seed, dtype, x_dtype):
    """In float64, whatever x is; halves too, and any strides."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-900, 900, (int(rng.integers(1, 40)), 2 * int(rng.integers(1, 20)))) / rng.choice([1, 2, 3])
    x = x.astype(x_dtype)[:, ::2]
    xq, scale, zero_point = cs.quantize_activations(x, dtype=dtype)
    least, most = LIMITS[dtype]
    assert_array_equal(xq, np.clip(np.rint(x.astype(np.float64) / scale) + zero_point, least, most).astype(dtype))


def test_many_activations(threads):
    x = np.random.default_rng(5).standard_normal(1_000_003).astype(np.float32)
    for count in (1, 2, 3):
        with threads(count):
            xq, scale, zero_point = cs.quantize_activations(x)
            assert_array_equal(xq, np.clip(np.rint(x.astype(np.float64) / scale) + zero_point, 0, 255))


def test_activations_by_percentile():
    x = np.append(np.linspace(0, 1, 1000), 1000.0)
    xq, scale, zero_point = cs.quantize_activations(x, method=("percentile", 99.0))
    assert (scale, zero_point) == (np.percentile(x, 99.0) / 255, 0)
    assert xq[-1] == 255
    assert_array_equal(cs.quantize_activations(x, method=("percentile", 100))[0], cs.quantize_activations(x)[0])
    assert cs.quantize_activations(np.zeros(3))[1:] == (1.0, 0)
    assert cs.quantize_activations(np.zeros(3), dtype=np.int8)[1:] == (1.0, -128)


def test_activations_that_cannot_be_quantised():
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=re.escape(f"x[1, 0] is {value}")):
            cs.quantize_activations([[1.0, 2], [value, 3]])
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        cs.quantize_activations(np.zeros((0, 3)))
    for method in ("mean", ("percentile",), ("percentile", 50), ("percentile", 101), ("percentile", np.nan), None):
        with pytest.raises(ValueError, match="method="):
            cs.quantize_activations(np.ones(3), method=method)
    for dtype in (np.int16, np.bool_, np.float32):
        with pytest.raises(TypeError, match="uint8 or int8"):
            cs.quantize_activations(np.ones(3), dtype=dtype)
    with pytest.raises(TypeError, match="complex128"):
        cs.quantize_activations(np.ones(3, complex))


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 7, 16, 33, 64, 130])
def test_raw_sums_are_exact_on_every_level(isa, threads, dtype, n):
    rng = np.random.default_rng(n)
    for shape in ((1, 1), (37, 83), (120, 257)):
        Wq = weights(rng, *shape)
        x = numbers(rng, (n, shape[1]), dtype)
        for count in (1, 2):
            with threads(count):
                sums = cs.linear(x, Wq)
                assert sums.dtype == np.int32
                assert_array_equal(sums, linear_sums(x, Wq))
                assert_array_equal(cs.matmul(Wq, x.T.copy()), sums.T)


@pytest.mark.parametrize(("dtype", "x", "w"), [("uint8", 255, -128), ("int8", -128, -128), ("uint8", 255, 127)])
def test_the_largest_sums(isa, dtype, x, w):
    """Up to 2**16 columns of the largest numbers, for every zero point."""
    K = 2**16
    Wq = with_numbers(np.full((4, K), w))
    values = np.full((3, K), x, dtype=dtype)
    assert_array_equal(cs.linear(values, Wq), np.full((3, 4), K * x * w))
    for zero_point in (*LIMITS[dtype], 3):
        y = cs.qlinear(values, Wq, x_scale=1.0, x_zero_point=zero_point)
        assert_array_equal(y, np.full((3, 4), np.float32(K * (x - zero_point) * w)))


@pytest.mark.parametrize(("dtype", "each"), [("uint8", 255), ("int8", 128)])
def test_sums_beyond_int32_are_an_error(dtype, each):
    K = (2**31 - 1) // (127 * each)
    for columns in (K, K + 1):
        values = np.zeros((3, columns))
        values[1] = 127
        Wq, x = with_numbers(values), np.zeros(columns, dtype)
        if columns == K:
            cs.qlinear(x, Wq, x_scale=1.0)
            continue
        with pytest.raises(
            ValueError, match=rf"row 1 of W, .* {127 * columns}, reaches sums of {127 * columns * each}"
        ):
            cs.qlinear(x, Wq, x_scale=1.0)
    small = with_numbers(np.array([[0, 1], [1, 1]]))
    most = 2**31 - 1 - 2 * 255
    cs.qlinear(np.zeros(2, np.uint8), small, x_scale=1.0, bias=np.array([0.0, most]))
    with pytest.raises(ValueError, match=f"row 1 of W.* a bias of {most + 1}: beyond int32"):
        cs.qlinear(np.zeros(2, np.uint8), small, x_scale=1.0, bias=np.array([0.0, most + 1]))


# --- layers -----------------------------------------------------------------------------------------------------------


@given(st.floats(2**-70, 2.0**28.9))
@example(1 - 2.0**-53)  # rounds to a multiplier of 2**31
@example(2.0**29 - 2.0**-20)
@example(2.0**-64)
def test_factors(real):
    """To 31 bits; below 2**-32 as many as there are above 2**-62."""
    (multiplier,), (shift,) = factors(np.array([real]))
    assert (multiplier, shift) == factor(real)
    assert abs(float(multiplier) / 2.0**shift - real) <= max(real * 2.0**-31, 2.0**-63)


@given(
    st.integers(0, 2**32),
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.sampled_from(ACTIVATIONS),
    st.integers(0, 255),
    st.integers(0, 255),
    st.floats(1e-4, 10),
    st.sampled_from([1e-4, 0.01, 0.3, 5.0, 1000.0]),
    st.booleans(),
)
def test_layers_to_the_bit(seed, dtype, out_dtype, activation, x_zero, out_zero, x_scale, out_scale, with_bias):
    rng = np.random.default_rng(seed)
    n, rows, columns = rng.integers(0, 20), rng.integers(1, 30), rng.integers(1, 60)
    Wq = weights(rng, rows, columns, rng.choice([0.05, 0.5, 1.0]))
    x = numbers(rng, (n, columns), dtype)
    x_zero, out_zero = x_zero + LIMITS[dtype][0], out_zero + LIMITS[out_dtype][0]
    bias = rng.normal(0, 10, rows).astype(np.float32) if with_bias else None
    sums = linear_sums(x, Wq, x_zero)
    common = {"x_scale": x_scale, "bias": bias, "activation": activation}
    ending = {"out_scale": out_scale, "out_zero_point": out_zero}
    y = cs.qlinear(x, Wq, x_zero_point=x_zero, out_dtype=out_dtype, **common, **ending)
    assert y.dtype == out_dtype
    assert_array_equal(y, expected(sums, Wq, out_dtype, **common, **ending))
    real = cs.qlinear(x, Wq, x_zero_point=x_zero, **common)
    assert real.dtype == np.float32
    assert_array_equal(real, expected(sums, Wq, np.float32, **common))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_zero_point_is_exact(dtype):
    rng = np.random.default_rng(3)
    Wq, x = weights(rng, 9, 31), numbers(rng, (4, 31), dtype)
    for zero_point in range(LIMITS[dtype][0], LIMITS[dtype][1] + 1):
        for out_scale in (None, 1.5):
            y = cs.qlinear(x, Wq, x_scale=0.5, x_zero_point=zero_point, out_scale=out_scale)
            wanted = expected(linear_sums(x, Wq, zero_point), Wq, dtype, x_scale=0.5, out_scale=out_scale)
            assert_array_equal(y, wanted)


def test_the_bits_are_those_of_every_level_and_thread_count(isa, threads):
    """Sizes round the tiles, batches beyond a strip."""
    rng = np.random.default_rng(4)
    for n, rows, columns in ((1, 70, 500), (17, 33, 129), (200, 16, 64), (40_000, 3, 30)):
        Wq, x = weights(rng, rows, columns), numbers(rng, (n, columns), "uint8")
        options = {"x_scale": 0.02, "bias": rng.normal(0, 1, rows), "activation": "relu6", "out_scale": 0.05}
        wanted = expected(linear_sums(x, Wq, 7), Wq, "uint8", **options) if n < 1000 else None
        for count in (1, 2, 5):
            with threads(count):
                y = cs.qlinear(x, Wq, x_zero_point=7, **options)
            wanted = y if wanted is None else wanted
            assert_array_equal(y, wanted)
        if n >= 1000:
            part = slice(None, None, 997)
            assert_array_equal(y[part], expected(linear_sums(x[part], Wq, 7), Wq, "uint8", **options))


def test_ties_of_outputs_go_to_even():
    """A factor of exactly 1/2: every odd sum is a tie."""
    Wq = with_numbers(np.array([[1]]))
    x = np.arange(-9, 10, dtype=np.int8)[:, None]
    y = cs.qlinear(x, Wq, x_scale=1.0, out_scale=2.0)
    assert_array_equal(y[:, 0], np.rint(np.arange(-9, 10) / 2))


def test_shapes_strides_and_out():
    rng = np.random.default_rng(5)
    Wq = weights(rng, 6, 10)
    x = numbers(rng, (2, 3, 10), "int8")
    options = {"x_scale": 0.1, "x_zero_point": -5, "out_scale": 0.7, "out_zero_point": 3}
    y = cs.qlinear(x, Wq, **options)
    assert y.shape == (2, 3, 6)
    assert_array_equal(cs.qlinear(x[0, 0], Wq, **options), y[0, 0])
    assert_array_equal(cs.qlinear(x[:, ::-1], Wq, **options), y[:, ::-1])
    assert_array_equal(cs.qlinear(np.asfortranarray(x), Wq, **options), y)
    assert cs.qlinear(x[:0], Wq, **options).shape == (0, 3, 6)
    for room in (np.zeros((2, 3, 6), np.int8), np.zeros((6, 3, 2), np.int8).T, np.zeros((2, 3, 12), np.int8)[..., ::2]):
        assert cs.qlinear(x, Wq, out=room, **options) is room
        assert_array_equal(room, y)
    real = np.zeros((2, 3, 6), np.float32)
    assert cs.qlinear(x, Wq, x_scale=0.1, out=real) is real
    assert real.any()
    empty = cs.quantize(cs.from_dense(np.zeros((3, 4))))
    assert_array_equal(cs.qlinear(np.ones(4, np.uint8), empty, x_scale=1.0, bias=[1, 2, 3]), [1, 2, 3])


def test_what_was_folded_is_not_taken_for_other_arguments():
    """Folded biases and factors are kept with the matrix: by value, and by type."""
    rng = np.random.default_rng(9)
    Wq, x = weights(rng, 5, 30), numbers(rng, (4, 30), "uint8")
    bias = rng.normal(0, 10, 5).astype(np.float32)
    for _ in range(2):
        for x_scale, zero_point, out_scale in itertools.product((0.1, 0.2), (0, 1), (None, 0.5, 1.0)):
            for offset in (None, bias, 2 * bias):
                options = {"x_scale": x_scale, "bias": offset, "out_scale": out_scale}
                wanted = expected(linear_sums(x, Wq, zero_point), Wq, "uint8", **options)
                assert_array_equal(cs.qlinear(x, Wq, x_zero_point=zero_point, **options), wanted)
    bias *= 3  # in place
    for out_scale in (None, 0.5):
        wanted = expected(linear_sums(x, Wq), Wq, "uint8", x_scale=0.1, bias=bias, out_scale=out_scale)
        assert_array_equal(cs.qlinear(x, Wq, x_scale=0.1, bias=bias, out_scale=out_scale), wanted)
        cs.qlinear(x, Wq, x_scale=1.0, x_zero_point=1, out_scale=out_scale)
        for zero_point, kind in ((1.0, "1.0 is not an integer"), (True, "True is not an integer")):
            with pytest.raises(TypeError, match=re.escape(f"x_zero_point={kind}")):
                cs.qlinear(x, Wq, x_scale=1.0, x_zero_point=zero_point, out_scale=out_scale)


@pytest.mark.parametrize("n", [1, 3, 70, 5000])  # by each kind of product, and more sums than are kept at once
def test_linear_layers_whose_numbers_are_known(n):
    rng = np.random.default_rng(n)
    Wq = weights(rng, 37, 50)
    scales = {"x_scale": 0.1, "bias": rng.normal(0, 10, 37).astype(np.float32), "out_scale": 0.7}
    options = {**scales, "x_zero_point": 3}
    for dtype in ("uint8", "int8", "uint8"):
        few = numbers(rng, (70, 50), dtype)
        again = np.arange(n) % 70
        x, wanted = few[again], expected(linear_sums(few, Wq, 3), Wq, dtype, **scales)[again]
        for _ in range(2):
            assert_array_equal(cs.qlinear(x, Wq, **options), wanted)
        assert_array_equal(cs.qlinear(np.asfortranarray(x), Wq, **options), wanted)
        assert_array_equal(cs.qlinear(x[::-1], Wq, **options), wanted[::-1])
        assert_array_equal(cs.qlinear(x[0], Wq, **options), wanted[0])
        for room in (np.zeros((n, 37), dtype), np.zeros((n, 74), dtype)[:, ::2]):
            assert cs.qlinear(x, Wq, out=room, **options) is room
            assert_array_equal(room, wanted)
        with pytest.raises(ValueError, match="36"):
            cs.qlinear(x, Wq, out=np.zeros((n, 36), dtype), **options)
        with pytest.raises(ValueError, match="49"):
            cs.qlinear(x[:, 1:], Wq, **options)


def test_convolutions_whose_numbers_are_known():
    rng = np.random.default_rng(3)
    Wq, x = weights(rng, 6, 4 * 9), numbers(rng, (2, 4, 5, 6), "uint8")
    options = {"kernel_size": 3, "x_scale": 0.1, "x_zero_point": 2, "out_scale": 0.7}
    for padding in (1, 0, (1, 1), ((1, 1), (1, 1)), [1, 1]):
        sliding = Sliding((3, 3), padding=((0, 0), (0, 0)) if padding == 0 else ((1, 1), (1, 1)))
        columns = patches(x.astype(np.int64), sliding, 2).reshape(2, 36, -1).transpose(0, 2, 1)
        wanted = expected(linear_sums(columns, Wq, 2).reshape(-1, 6), Wq, "uint8", x_scale=0.1, out_scale=0.7)
        wanted = wanted.reshape(2, *sliding.out((5, 6)), 6).transpose(0, 3, 1, 2)
        for _ in range(2):
            assert_array_equal(cs.qconv2d(x, Wq, padding=padding, **options), wanted)
        assert_array_equal(cs.qconv2d(x[::-1], Wq, padding=padding, **options), wanted[::-1])
        for room in (
            np.zeros(wanted.shape, np.uint8),
            np.zeros((*wanted.shape[:3], 9), np.uint8)[..., : wanted.shape[3]],
        ):
            assert cs.qconv2d(x, Wq, padding=padding, out=room, **options) is room
            assert_array_equal(room, wanted)
        assert cs.qconv2d(x[:1], Wq, padding=padding, **options).shape == (1, *wanted.shape[1:])
    square = with_numbers(np.eye(4))
    for _ in range(2):
        with pytest.raises(ValueError, match="shares memory"):
            cs.qconv2d(x, square, 1, out=x, **GOOD)
        cs.qconv2d(x, square, 1, **GOOD)
    changing = [1, 1]
    assert_array_equal(cs.qconv2d(x, Wq, padding=changing, **options).shape, (2, 6, 5, 6))
    changing[:] = [0, 0]
    assert_array_equal(cs.qconv2d(x, Wq, padding=changing, **options).shape, (2, 6, 3, 4))


def test_winners_multiply():
    rng = np.random.default_rng(6)
    Wq, x = weights(rng, 12, 40), numbers(rng, (5, 40), "uint8")
    w = cs.kwta(x, 7)
    options = {"x_scale": 0.1, "out_scale": 0.7}
    assert_array_equal(cs.qlinear(w, Wq, **options), cs.qlinear(w.toarray(), Wq, **options))


GEOMETRIES = {
    "plain": ({}, Sliding((3, 3))),
    "padded": ({"padding": 1}, Sliding((3, 3), padding=((1, 1), (1, 1)))),
    "same": ({"padding": "same", "stride": 2}, Sliding((3, 3), (2, 2), padding=((1, 1), (0, 1)))),
    "uneven": ({"padding": ((2, 0), (1, 3)), "dilation": 2}, Sliding((3, 3), (1, 1), (2, 2), ((2, 0), (1, 3)))),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_to_the_bit(geometry, layout, groups):
    """Every zero point pads with itself."""
    how, sliding = GEOMETRIES[geometry]
    rng = np.random.default_rng(7)
    filters = rng.standard_normal((6, 4 // groups, 3, 3)) * (rng.random((6, 4 // groups, 3, 3)) < 0.4)
    Wq = cs.quantize(cs.from_filters(filters))
    assert Wq.filter_shape == filters.shape
    for dtype, out_dtype, activation in itertools.product(DTYPES, (None, *DTYPES), ACTIVATIONS):
        x = numbers(rng, (3, 4, 9, 10), dtype)
        zero_point = int(numbers(rng, (), dtype))
        options = {"x_scale": 0.05, "bias": rng.normal(0, 1, 6), "activation": activation}
        if out_dtype is not None:
            options |= {"out_scale": 0.1, "out_zero_point": int(numbers(rng, (), out_dtype))}
        images = x if layout == "NCHW" else x.transpose(0, 2, 3, 1)
        found = cs.qconv2d(
            images, Wq, x_zero_point=zero_point, groups=groups, layout=layout, out_dtype=out_dtype, **how, **options
        )
        columns = patches(x.astype(np.int64), sliding, zero_point)  # (N, C, taps, pixels)
        halves = columns.reshape(3, groups, -1, columns.shape[-1])
        parts = [linear_sums(halves[:, g].transpose(0, 2, 1), Wq, zero_point) for g in range(groups)]
        sums = np.concatenate([part[..., g * 6 // groups : (g + 1) * 6 // groups] for g, part in enumerate(parts)], -1)
        wanted = expected(sums.reshape(-1, 6), Wq, out_dtype or np.float32, **options)
        wanted = wanted.reshape(3, *sliding.out((9, 10)), 6)
        assert_array_equal(found, wanted if layout == "NHWC" else wanted.transpose(0, 3, 1, 2))


def test_convolutions_of_many_images_are_those_of_one():
    rng = np.random.default_rng(8)
    Wq = cs.quantize(cs.from_filters(rng.standard_normal((8, 3, 3, 3))))
    x = numbers(rng, (9, 3, 120, 130), "uint8")  # beyond a strip
    options = {"x_scale": 0.05, "x_zero_point": 9, "padding": 1, "out_scale": 0.2}
    room = np.zeros((9, 8, 120, 130), np.uint8)
    assert cs.qconv2d(x, Wq, out=room, **options) is room
    for image in (0, 4, 8):
        assert_array_equal(room[image : image + 1], cs.qconv2d(x[image : image + 1], Wq, **options))
    assert cs.qconv2d(x[:0], Wq, **options).shape == (0, 8, 120, 130)


# --- what is refused --------------------------------------------------------------------------------------------------


GOOD = {"x_scale": 0.1, "out_scale": 0.1}
WRONG = {
    "x_scale nan": ({"x_scale": np.nan}, ValueError, "x_scale is nan"),
    "x_scale zero": ({"x_scale": 0}, ValueError, "x_scale is 0.0"),
    "x_scale negative": ({"x_scale": -0.5}, ValueError, "x_scale is -0.5"),
    "x_scale infinite": ({"x_scale": np.inf}, ValueError, "x_scale is inf"),
    "x_scale per column": ({"x_scale": np.ones(4)}, ValueError, r"x_scale has shape \(4,\)"),
    "x_scale text": ({"x_scale": "one"}, TypeError, "x_scale='one'"),
    "out_scale nan": ({"out_scale": np.nan}, ValueError, "out_scale is nan"),
    "out_scale zero": ({"out_scale": 0.0}, ValueError, "out_scale is 0.0"),
    "out_scale negative": ({"out_scale": -1}, ValueError, "out_scale is -1.0"),
    "out_scale tiny": ({"out_scale": 1e-300}, ValueError, r"x_scale \* W.scale\[0\] / out_scale is .* below 2\*\*29"),
    "x_zero_point beyond": ({"x_zero_point": 256}, ValueError, "x_zero_point is 256; .* uint8 lies from 0 to 255"),
    "x_zero_point negative": ({"x_zero_point": -1}, ValueError, "x_zero_point is -1"),
    "x_zero_point real": ({"x_zero_point": 1.0}, TypeError, "x_zero_point=1.0"),
    "x_zero_point many": ({"x_zero_point": [1, 2]}, ValueError, r"x_zero_point has shape \(2,\)"),
    "out_zero_point beyond": (
        {"out_zero_point": 200, "out_dtype": np.int8}, ValueError, "out_zero_point is 200; .* int8 lies from"
    ),
    "out_zero_point without": ({"out_scale": None, "out_zero_point": 5}, ValueError, "out_zero_point=5 without"),
    "out_dtype without": ({"out_scale": None, "out_dtype": np.int8}, TypeError, "out_dtype=int8 without out_scale"),
    "out_dtype": ({"out_dtype": np.int16}, TypeError, "out_dtype=int16 with out_scale"),
    "bias shape": ({"bias": np.ones(2)}, ValueError, r"bias has shape \(2,\).*\(3,\)"),
    "bias nan": ({"bias": [0, np.nan, 0]}, ValueError, r"bias\[1\] is nan"),
    "bias large": ({"bias": [0, 0, 1e30]}, ValueError, r"bias\[2\] is 1e\+30.* beyond int32"),
    "bias complex": ({"bias": [0j, 0, 0]}, TypeError, "bias has dtype complex128"),
    "activation real": ({"activation": "gelu"}, TypeError, "'gelu' needs real numbers"),
    "activation": ({"activation": "softmax"}, ValueError, "'softmax' is not known"),
    "out shape": ({"out": np.zeros(2, np.uint8)}, ValueError, r"out has shape \(2,\)"),
    "out dtype": ({"out": np.zeros(3, np.int8)}, TypeError, "out has dtype int8"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_layers_refuse(what):
    change, error, words = WRONG[what]
    Wq = with_numbers(np.eye(3, 4), [1, 2, 3])
    with pytest.raises(error, match=words):
        cs.qlinear(np.zeros(4, np.uint8), Wq, **{**GOOD, **change})
    if not what.startswith("out shape"):
        images = np.zeros((1, 4, 1, 1), np.uint8)
        change = {**change, "out": change["out"].reshape(1, 3, 1, 1)} if "out" in change else change
        with pytest.raises(error, match=words):
            cs.qconv2d(images, Wq, 1, **{**GOOD, **change})


@pytest.mark.parametrize("layer", [cs.qlinear, lambda x, W, **how: cs.qconv2d(x.reshape(1, -1, 1, 1), W, 1, **how)])
def test_operands_that_layers_refuse(layer):
    x, Wq = np.zeros(4, np.uint8), with_numbers(np.eye(3, 4))
    with pytest.raises(TypeError, match=re.escape("int64 has no scale: complsparse.quantize")):
        layer(x, cs.from_dense(np.eye(3, 4, dtype=np.int64)), **GOOD)
    with pytest.raises(TypeError, match="as a ComplementaryMatrix, got ndarray"):
        layer(x, np.eye(3, 4), **GOOD)
    with pytest.raises(ValueError, match=r"3 scales are not one per row \(shape \(4, 3\)\)"):
        layer(np.zeros(3, np.uint8), Wq.T, **GOOD)
    for dtype in (np.int16, np.float32, np.bool_):
        with pytest.raises(TypeError, match=f"xq has dtype {np.dtype(dtype)}"):
            layer(x.astype(dtype), Wq, **GOOD)
    with pytest.raises(ValueError, match="5"):
        layer(np.zeros(5, np.uint8), Wq, **GOOD)


def test_out_may_not_overlap_an_input():
    Wq, memory = with_numbers(np.eye(4)), np.zeros((2, 4), np.uint8)
    before = memory.copy()
    for _ in range(2):
        with pytest.raises(ValueError, match="shares memory"):
            cs.qlinear(memory, Wq, out=memory, **GOOD)
        assert_array_equal(memory, before)
        cs.qlinear(memory, Wq, **GOOD)  # whose numbers are known from now on


@pytest.mark.parametrize("out_dtype", DTYPES)
def test_requantising_near_halves(isa, out_dtype):
    """Sums whose outputs lie at a half, next to one, and where they begin to saturate; factors of all sizes."""
    rng = np.random.default_rng(6)
    scale = np.float32(2.0) ** rng.integers(-18, 2, 40) * rng.choice([1, 0.75, rng.random()], 40).astype(np.float32)
    Wq = with_numbers(np.eye(40), scale)
    bias, multipliers, shifts = (np.zeros(40, dtype=np.int32), *factors(scale.astype(np.float64)))
    scaling, (low, high) = with_bounds(multipliers, shifts), LIMITS[out_dtype]
    for zero_point in (low, 0, high):
        wanted_at = rng.integers(low - 20, high + 20, (700, 40)) - zero_point + 0.5
        exact = np.rint(wanted_at * 2.0**shifts / multipliers)
        sums = (np.clip(exact, -(2**24), 2**24) + rng.integers(-1, 2, exact.shape)).astype(np.int32)
        wanted = expected(sums.astype(np.int64), Wq, out_dtype, x_scale=1.0, out_scale=1.0, out_zero_point=zero_point)
        for of_rows, by_column in itertools.product((sums, sums.astype(np.float32)), (True, False)):
            laid = np.ascontiguousarray(of_rows if by_column else of_rows.T)
            y = np.empty(laid.shape, dtype=out_dtype)
            _core.requantize(laid, y, laid.shape, by_column, bias, scaling, zero_point, low, high)
            assert_array_equal(y if by_column else y.T, wanted)
