# SPDX-License-Identifier: BSD-3-Clause
"""Products of 8-bit numbers on every level and layout: the bits of sums in int64."""

import numpy as np
import pytest
from byte_products import PATTERNS, check_dense, check_winners, draw_numbers, draw_weights, exact_sums
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core

DTYPES = ("uint8", "int8")
SHAPES = ((1, 1), (3, 5), (16, 64), (17, 63), (40, 300), (70, 129), (33, 1000))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_candidate(isa, pattern, dtype):
    """Of every layout, round the widths of tiles, units and windows, in both orders of x."""
    rng = np.random.default_rng(PATTERNS.index(pattern))
    for shape in SHAPES:
        D, W = draw_weights(rng, *shape, pattern)
        for n in (1, 2, 3, 4, 7, 8, 9, 16, 21):
            for batch_major in (False, True):
                layouts = check_dense(rng, D, W, n, dtype, batch_major)
                assert "quads" in layouts
                assert ("byte_windows" in layouts) == (isa != "portable")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", [1, 2, 4, 8, 16])
def test_winners(isa, height, dtype):
    rng = np.random.default_rng(height)
    for rows, cols in ((1, 7), (33, 90), (96, 400)):
        mask = np.repeat(rng.random((-(-rows // height), cols)) < 0.2, height, axis=0)[:rows]
        W = cs.from_dense(mask.astype(np.int8))
        W = W.with_values(draw_numbers(rng, W.nnz, np.int8))
        for n, k in ((1, 0), (1, 3), (2, 7), (5, 5)):
            check_winners(rng, W.toarray(), W, n, dtype, k)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads(isa, threads, dtype):
    """Enough work for several, rows in order and not."""
    rng = np.random.default_rng(5)
    for pattern in ("balanced", "ragged"):
        D, W = draw_weights(rng, 1024, 1000, pattern)
        for n in (1, 3, 20):
            x = draw_numbers(rng, (n, 1000), dtype)
            for count in (1, 2, 3):
                with threads(count):
                    assert_array_equal(cs.linear(x, W), exact_sums(D, x))
                    assert_array_equal(W @ x.T.copy(), exact_sums(D, x).T)


@pytest.mark.parametrize(("dtype", "x", "w"), [("uint8", 255, -128), ("int8", -128, -128), ("uint8", 255, 127)])
def test_extremes(isa, dtype, x, w):
    """Where vpmaddubsw would saturate; and sums modulo 2**32 beyond 2**16 columns."""
    for columns in (64, 2**16, 2**16 + 1000):
        W = cs.from_dense(np.full((3, columns), w, np.int8))
        values = np.full((2, columns), x, dtype)
        wanted = exact_sums(W.toarray(), values).astype(np.uint64).astype(np.uint32).view(np.int32)
        for i in range(len(_core.candidates(W, 2, dtype, True))):
            f = _core.make_plan(W, 2, dtype, True, None, None, False, i)
            assert_array_equal(f(values), wanted, err_msg=f.microkernel)


def test_plans_read_8_bit_activations():
    W = cs.from_dense(np.eye(20, dtype=np.int8))
    for dtype in (None, np.int8, np.uint8):
        f = W.plan(n=1, dtype=dtype)
        x_dtype = np.dtype(dtype or np.int8)
        assert (f.x_dtype, f.dtype) == (x_dtype, np.int32)
        assert f.microkernel == W.plan(n=1, dtype=dtype, bias=np.ones(20, np.int32)).microkernel
        assert_array_equal(f(np.full(20, 100, x_dtype)), np.full(20, 100, np.int32))
        with pytest.raises(TypeError, match=f"x has dtype int32; the plan takes {x_dtype}, and computes in int32"):
            f(np.ones(20, np.int32))
    assert W.plan(n=1, dtype=np.int32).x_dtype == np.int32


def test_a_balanced_pattern_fills_its_windows(isa):
    """One entry of each row in 16 columns: quads from windows of 64."""
    W = cs.random((64, 512), set_size=16, rng=0)
    Wq = cs.quantize(W)
    (choice,) = [c for c in Wq._choices(np.uint8) if c["n_first"] == 1]
    if isa == "portable":
        assert choice["microkernel"].startswith("row_groups_s8u8s32")
    else:
        assert choice["reason"] == "byte windows: quads from windows of 64 columns, 100% filled"


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_four_columns_side_by_side(isa, dtype):
    """Which become rows of bytes: of every length, in arrays of four columns and as part of wider ones."""
    rng = np.random.default_rng(4)
    for rows in (1, 3, 4, 15, 16, 17, 33, 63, 64, 65, 200):
        D = rng.integers(-127, 128, (20, rows)).astype(np.int8)
        W = cs.from_dense(np.where(rng.random(D.shape) < 0.3, D, 0).astype(np.int8))
        for width in (4, 5, 9):
            wide = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, (rows, width)).astype(dtype)
            x = wide[:, :4]
            wanted = W.toarray().astype(np.int64) @ x.astype(np.int64)
            assert_array_equal(cs.matmul(W, x), wanted)
            for candidate in range(len(_core.candidates(W, 4, np.dtype(dtype), False))):
                plan = _core.make_plan(W, 4, np.dtype(dtype), False, None, None, False, candidate)
                assert_array_equal(plan(x), wanted, err_msg=plan.microkernel)
