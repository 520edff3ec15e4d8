# SPDX-License-Identifier: BSD-3-Clause
"""Activations of products: every one, out of every layout, within a few units of the last place of their definition."""

import enum
import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from activations import activated, activations, units_off
from numpy.testing import assert_array_equal
from oracle import draw, random_csr

import complsparse as cs
from complsparse import _core

MOST_UNITS = 4
NAMES = _core.activations()

every_activation = pytest.mark.parametrize("name", NAMES)
every_float = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])


def matrices(rng, dtype):
    """One for each layout."""
    yield random_csr(rng, (61, 400), 0.05, dtype).packed()
    yield random_csr(rng, (300, 2000), 0.0005, dtype).packed()  # the stored rows
    yield cs.random((70, 160), set_size=16, block=(4, 1), dtype=dtype, rng=1)  # routed, and rows that share columns
    yield cs.from_dense(np.kron(rng.random((6, 8)) < 0.4, rng.normal(size=(4, 4))).astype(dtype))
    yield cs.from_dense(np.kron(rng.random((4, 8)) < 0.4, rng.normal(size=(16, 4))).astype(dtype))


def assert_activated(found, name, sums, message):
    off = units_off(found, activated(name, sums))
    assert off.max(initial=0) <= MOST_UNITS, (message, sums.flat[off.argmax()], found.flat[off.argmax()])


def test_the_oracle_has_every_name():
    assert set(activations) == set(NAMES)


@every_activation
@every_float
def test_out_of_every_layout(isa, name, dtype):
    """Of the sums that the same micro-kernel gives without an activation; with a bias and without."""
    rng = np.random.default_rng(0)
    layouts = set()
    for W, n, batch_major in itertools.product(matrices(rng, dtype), (1, 3, 16, 33, 130), (False, True)):
        bias = draw(rng, W.shape[0], dtype)
        x = draw(rng, (n, W.shape[1]) if batch_major else (W.shape[1], n), dtype)
        for i, candidate in enumerate(_core.candidates(W, n, dtype, batch_major)):
            layouts.add(candidate["layout"])
            for given in (None, bias):
                plain = _core.make_plan(W, n, dtype, batch_major, given, None, False, i)
                f = _core.make_plan(W, n, dtype, batch_major, given, name, False, i)
                assert_activated(f(x), name, plain(x), (f.microkernel, n))
    assert layouts >= {"row_groups", "shared_row_groups", "stored_rows", "windows", "strips"}


@every_activation
@every_float
def test_with_winners(isa, name, dtype):
    rng = np.random.default_rng(1)
    for W, n in itertools.product(matrices(rng, dtype), (1, 5, 40)):
        w = cs.kwta(draw(rng, (n, W.shape[1]), dtype), 9)
        bias = draw(rng, W.shape[0], dtype)
        for i in range(len(_core.candidates(W, n, dtype, winners=9))):
            sums, y = np.empty((n, W.shape[0]), dtype), np.empty((n, W.shape[0]), dtype)
            _core.winners_into(W, w, w.values, sums, False, True, bias, None, i)
            _core.winners_into(W, w, w.values, y, False, True, bias, name, i)
            assert_activated(y, name, sums, (W, n, i))


def special_values(dtype):
    info = np.finfo(dtype)
    steps = np.array(
        [0.0, 1e-30, 1e-5, 0.01, 0.5, 1, 2.9999, 3, 3.0001, 5.999, 6, 6.001, 8, 13, 20, 38, 90, 700, 745, 1e4]
    )
    tiny = [info.smallest_subnormal, info.tiny, info.max, np.inf]
    values = np.concatenate([steps, tiny, np.linspace(0, 40, 400)]).astype(dtype)
    return np.concatenate([values, -values, [np.nan]]).astype(dtype)


@every_activation
@every_float
@pytest.mark.parametrize("n", [1, 7, 64])
def test_special_values(isa, name, dtype, n):
    """The identity hands them to the activation as they are; NaN stays, and zeros keep the sign of the limit."""
    x = special_values(dtype)
    W = cs.from_scipy(sp.eye_array(len(x), dtype=dtype, format="csr"))
    X = np.repeat(x[:, None], n, axis=1)
    sums = W @ X
    assert_array_equal(sums, X)
    y = cs.matmul(W, X, activation=name)
    assert_array_equal(np.isnan(y), np.isnan(X))
    here = np.isfinite(X)
    assert_activated(y[here], name, sums[here], name)
    infinite = np.isinf(X)
    assert_array_equal(y[infinite], activated(name, X[infinite]))


@every_activation
def test_strides_of_the_output(isa, name):
    """Where y lies as no loop writes it: scattered, backwards, interleaved; and the same bits everywhere."""
    rng = np.random.default_rng(2)
    for W, n in itertools.product(matrices(rng, np.float32), (1, 6, 40)):
        X = draw(rng, (W.shape[1], n), np.float32)
        Y = cs.matmul(W, X, activation=name)
        taller, wider = np.empty((2 * W.shape[0], n), np.float32), np.empty((W.shape[0], 3 * n), np.float32)
        for out in (taller[::2], taller[::-2], wider[:, ::3], wider[:, ::-3], np.empty((n, W.shape[0]), np.float32).T):
            assert_array_equal(cs.matmul(W, X, activation=name, out=out), Y)


@every_activation
def test_same_bits_for_every_split_of_a_batch_and_number_of_threads(isa, name, threads):
    rng = np.random.default_rng(3)
    W = random_csr(rng, (3000, 400), 0.05).packed()
    X = draw(rng, (400, 130), np.float32)
    Y = cs.matmul(W, X, activation=name)
    with threads(3):
        assert_array_equal(cs.matmul(W, X, activation=name), Y)
    assert_array_equal(cs.matmul(W, X[:, :40].copy(), activation=name), Y[:, :40])


@every_activation
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.bool_])
def test_products_of_integers_have_relu_only(name, dtype):
    W = cs.from_dense(np.eye(3, dtype=dtype))
    calls = (
        lambda: cs.matmul(W, np.ones(3, dtype), activation=name),
        lambda: cs.linear(np.ones((2, 3), dtype), W, activation=name),
        lambda: W.plan(n=1, dtype=dtype, activation=name),
    )
    for call in calls:
        if name == "relu":
            call()
        else:
            with pytest.raises(TypeError, match=f"'{name}'.*float"):
                call()


class Named(enum.StrEnum):
    RELU = "relu"


@pytest.mark.parametrize("name", [Named.RELU, np.str_("relu")], ids=["StrEnum", "numpy.str_"])
def test_names_are_any_kind_of_string(name):
    W, x = cs.from_dense(np.diag([-1.0, 2.0])), np.ones(2)
    assert_array_equal(cs.matmul(W, x, activation=name), [0, 2])
    assert_array_equal(cs.linear(cs.kwta(x, 2), W, activation=name), [0, 2])
    assert_array_equal(W.plan(n=1, activation=name)(x), [0, 2])


def test_sixteen_bit_floats_are_rounded_once():
    """The activation sees the sum in float32."""
    W = cs.from_dense(np.eye(4, dtype=np.float16))
    x = np.array([-1.5, 0.3, 2.0, 9.0], np.float16)
    assert_array_equal(
        cs.matmul(W, x, activation="gelu", dtype=np.float16),
        cs.matmul(W, x.astype(np.float32), activation="gelu").astype(np.float16),
    )
