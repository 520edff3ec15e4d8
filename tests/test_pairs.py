# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of bfloat16 on tile registers, at the levels that have them.

The oracle is a product in float64 of the rounded operands. Beside the bound of float32 stands what tile registers
flush: subnormal factors count as zeros, and no sum below 2**-126 stays.
"""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
SHAPES = ((1, 1), (1, 2), (15, 63), (16, 64), (17, 33), (31, 60), (33, 131), (64, 68), (65, 1031), (80, 257))
BATCHES = (2, 3, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 81, 128, 130)
LEAST = 2.0**-126  # the smallest number that is not subnormal


def patterned(rng, shape, block, density):
    """Values in whole blocks but for the edges of the matrix, none of them zero."""
    blocks = [-(-side // of_block) for side, of_block in zip(shape, block, strict=True)]
    mask = np.kron(rng.random(blocks) < density, np.ones(block, dtype=bool))[: shape[0], : shape[1]]
    return np.where(mask, rng.choice((-1, 1), shape) * rng.uniform(0.1, 2, shape), 0).astype(BF16)


def activations(rng, shape):
    return rng.standard_normal(shape).astype(BF16)


def assert_close(actual, D, X, bias=None):
    w, x = D.astype(np.float64), X.astype(np.float64)
    exact, size, k = w @ x, abs(w) @ abs(x), np.count_nonzero(w, axis=1)[:, None]
    flushed = [np.where(abs(a) < LEAST, a, 0) for a in (w, x)]
    lost = abs(flushed[0]) @ abs(x) + abs(w) @ abs(flushed[1]) + 2 * k * LEAST
    if bias is not None:
        exact, size, k = exact + bias[:, None], size + abs(bias[:, None]), k + 1
    ku = k * np.finfo(np.float32).eps / 2
    assert actual.dtype == np.float32
    assert (abs(actual - exact) <= ku / (1 - ku) * size + lost).all()


def plan_on_chunks(W, n, batch_major=False, bias=None, activation=None, dtype=BF16):
    """None where the layout is no candidate."""
    layouts = [candidate["layout"] for candidate in _core.candidates(W, n, dtype, batch_major)]
    if "chunks" not in layouts:
        return None
    return _core.make_plan(W, n, dtype, batch_major, bias, activation, False, layouts.index("chunks"))


def has_chunks():
    """At the level in use."""
    return plan_on_chunks(cs.from_dense(np.ones((1, 1), BF16)), 16) is not None


needs_chunks = pytest.mark.skipif(not has_chunks(), reason="no tile registers")


@pytest.mark.parametrize("block", [(16, 2), (32, 2), (16, 4), (16, 40), (80, 1032)])
@pytest.mark.parametrize("shape", SHAPES)
def test_products(isa, shape, block):
    """Round the edges of tiles, chunks and blocks, in every order of memory."""
    if not has_chunks():
        pytest.skip(f"{isa} has no tile registers")
    rng = np.random.default_rng(0)
    for density in (0.1, 1):
        D = patterned(rng, shape, block, density)
        W = cs.from_dense(D)
        bias = rng.standard_normal(shape[0]).astype(np.float32)
        for n in BATCHES:
            X = activations(rng, (shape[1], n))
            plan = plan_on_chunks(W, n)
            found = plan(X)
            assert_close(found, D, X)
            memory = activations(rng, (2 * shape[1] + 1, 2 * n + 3))
            memory[1::2, 3::2] = X
            for other in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], memory[1::2, 3::2]):
                assert_array_equal(plan(other), found)
            assert_array_equal(plan(X[:, ::-1])[:, ::-1], found)
            wide = np.full((shape[0], n + 3), -7, np.float32)
            plan(X, out=wide[:, 1:-2])
            assert_array_equal(wide[:, 1:-2], found)
            assert (wide[:, [0, -2, -1]] == -7).all()
            offset = plan_on_chunks(W, n, True, bias)
            finished = plan_on_chunks(W, n, True, bias, "relu")
            rows = np.ascontiguousarray(X.T)
            assert_close(offset(rows).T, D, X, bias)
            assert_array_equal(finished(rows), np.maximum(offset(rows), 0))


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 100)), draw(st.integers(1, 300))
    block = draw(st.sampled_from([(16, 2), (32, 2), (16, 4), (16, 64), (112, 2)]))
    D = patterned(rng, shape, block, draw(st.sampled_from([0, 0.03, 0.1, 0.4, 0.9, 1])))
    X = activations(rng, (shape[1], draw(st.integers(2, 150))))
    ends = np.array([0, -0.0, 1e-40, -9e-41, 1e-38, 3e38, -2e-30, 1e15], np.float32).astype(BF16)
    share = draw(st.sampled_from([0, 0.2]))
    return D, np.where(rng.random(X.shape) < share, rng.choice(ends, X.shape), X)


@needs_chunks
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.integers(1, 3))
def test_any_product(problem, n_threads):
    D, X = problem
    before = cs.get_num_threads()
    cs.set_num_threads(n_threads)
    try:
        found = plan_on_chunks(cs.from_dense(D), X.shape[1])(X)
    finally:
        cs.set_num_threads(before)
    with np.errstate(over="ignore", invalid="ignore"):
        fits = (abs(D.astype(np.float64)) @ abs(X.astype(np.float64)) < 3e38).all(axis=0)
    assert_close(found[:, fits], D, X[:, fits])


@needs_chunks
def test_what_is_left_to_other_loops():
    """Blocks that own half a pair, or of fewer rows; weights that are float32; one column; a deterministic product."""
    rng = np.random.default_rng(1)
    D = patterned(rng, (64, 64), (16, 2), 0.5)
    with pytest.raises(TypeError, match="no product computes in bfloat16"):
        _core.candidates(cs.from_dense(D), 16, BF16, winners=3)
    assert plan_on_chunks(cs.from_dense(D), 16) is not None
    assert plan_on_chunks(cs.from_dense(D), 1) is None
    assert plan_on_chunks(cs.from_dense(D), 16, dtype=np.float32) is None
    wide = cs.from_dense(D.astype(np.float32))
    assert_array_equal(wide @ D[:, :16], wide @ D[:, :16].astype(np.float32))
    for block in ((8, 2), (16, 1), (1, 1)):
        assert plan_on_chunks(cs.from_dense(patterned(rng, (64, 64), block, 0.5)), 16) is None
    odd = D.copy()
    odd[16, np.nonzero(D[16])[0][0]] = 0
    assert plan_on_chunks(cs.from_dense(odd), 16) is None
    W, X = cs.from_dense(D), activations(rng, (64, 32))
    _core.set_deterministic(True)
    assert_array_equal(W @ X, W @ X.astype(np.float32))


@needs_chunks
@pytest.mark.parametrize("columns", [33, 64, 300])
def test_no_number_reaches_the_rows_that_own_its_column_and_no_others(columns):
    """Also of what fills up chunks and tiles, call after call."""
    rng = np.random.default_rng(2)
    for density in (0.1, 0.5, 0.97):
        D = patterned(rng, (70, columns), (16, 2), density)
        W = cs.from_dense(D)
        for n in (2, 16, 33, 64, 70):
            plan = plan_on_chunks(W, n)
            for value in (np.nan, np.inf, -np.inf):
                X = activations(rng, (columns, n))
                X[rng.integers(columns, size=3), rng.integers(n, size=3)] = value
                finite = np.isfinite(X.astype(float))
                touched = (D != 0).astype(float) @ ~finite > 0
                found = plan(X)
                assert_array_equal(~np.isfinite(found), touched)
                untouched = ~touched.any(axis=0)
                assert_close(found[:, untouched], D, np.where(finite, X, 0).astype(BF16)[:, untouched])
    stored = cs.from_coo(np.zeros(32, BF16), (np.repeat(np.arange(16), 2), np.tile([0, 1], 16)), (16, 2))
    assert np.isnan(plan_on_chunks(stored, 16)(np.full((2, 16), np.inf, BF16))).all()


@needs_chunks
def test_subnormals_count_as_zeros():
    """The one difference from a product in float32, whose results they are in."""
    tiny = np.full((16, 2), 1e-39, np.float32).astype(BF16)
    X = np.full((2, 16), 2.0**100, np.float32).astype(BF16)
    assert not plan_on_chunks(cs.from_dense(tiny), 16)(X).any()
    assert not plan_on_chunks(cs.from_dense(X.T.copy()), 16)(tiny.T.copy()).any()
    small = np.full((16, 2), 2.0**-70, np.float32).astype(BF16)
    found = plan_on_chunks(cs.from_dense(small), 16)(small.T.copy())
    assert_array_equal(np.copysign(1, found), np.ones((16, 16)))
    assert not found.any()


@needs_chunks
def test_both_sides():
    rng = np.random.default_rng(3)
    D = patterned(rng, (96, 130), (16, 16), 0.3)
    Z = activations(rng, (96, 40))
    assert_close(plan_on_chunks(cs.from_dense(D).T, 40)(Z), D.T, Z)


@needs_chunks
@pytest.mark.parametrize("block", [(16, 2), (32, 2)])
def test_calls_take_them(block, threads, capsys):
    """`describe` says so; `matmul` and `linear` have the bits of the plan, whatever the threads."""
    rng = np.random.default_rng(4)
    mask = cs.complementary_mask((512, 1024), set_size=16, block=block, rng=0)
    D = np.where(mask, rng.standard_normal(mask.shape), 0).astype(BF16)
    W, bias = cs.from_dense(D), rng.standard_normal(512).astype(np.float32)
    W.describe()
    assert "chunks: tiles of 16 rows and 16 pairs of columns, 100% filled" in capsys.readouterr().out
    for n in (16, 64, 130):
        X = activations(rng, (1024, n))
        wanted = plan_on_chunks(W, n)(X)
        for count in (1, 2, 3):
            with threads(count):
                assert_array_equal(W @ X, wanted)
                assert_array_equal(cs.linear(X.T, W), wanted.T)
                assert_array_equal(cs.linear(X.T, W, bias, activation="relu"), np.maximum(wanted.T + bias, 0))
        assert_close(W @ X, D, X)
    with pytest.raises(ValueError, match="share"):
        cs.matmul(cs.from_dense(D[:, :512].copy()), X[:512, :16], out=X.view(np.float32)[:512, :16])
