# SPDX-License-Identifier: BSD-3-Clause
"""Byte windows whose places are of four bits: every bit against sums in int64, whatever the cost model would take."""

import numpy as np
import pytest
from byte_products import PATTERNS, check_dense, draw_weights
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import seeds

import complsparse as cs
from complsparse import _core

QUARTERS = "16of4x16"
KNOWN = _core.cost_constants()
needs_quarters = pytest.mark.skipif(
    not any(QUARTERS in row["name"] for row in cs.microkernels() if row["runnable"]), reason="no permute of bytes"
)


@pytest.fixture(autouse=True)
def _costs():
    _core.set_cost_constants({"byte_step": 1e9, "byte_unpacked": -0.99e9})  # places of four bits, whatever the pattern
    yield
    _core.set_cost_constants(KNOWN)


def kernel_of(W, n, dtype):
    layouts = [candidate["layout"] for candidate in _core.candidates(W, n, dtype, True)]
    return _core.make_plan(W, n, dtype, True, None, None, False, layouts.index("byte_windows")).microkernel


@needs_quarters
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(1, 1), (5, 15), (16, 64), (17, 65), (40, 130), (33, 300), (64, 1030)])
def test_products(pattern, shape):
    """Rows round units, columns round windows and their quarters; unbalanced rows, too."""
    rng = np.random.default_rng([*shape, PATTERNS.index(pattern)])
    D, W = draw_weights(rng, *shape, pattern)
    for dtype in ("uint8", "int8"):
        assert W.nnz == 0 or QUARTERS in kernel_of(W, 1, dtype)
        for n in (1, 2, 3, 4, 7, 8, 15):
            for batch_major in (True, False):
                assert "byte_windows" in check_dense(rng, D, W, n, dtype, batch_major)


@needs_quarters
@given(seeds, st.integers(1, 90), st.integers(1, 500), st.sampled_from(PATTERNS), st.integers(1, 17))
def test_any_product(seed, rows, cols, pattern, n):
    rng = np.random.default_rng(seed)
    D, W = draw_weights(rng, rows, cols, pattern)
    check_dense(rng, D, W, n, str(rng.choice(["uint8", "int8"])), bool(rng.random() < 0.5))


@needs_quarters
def test_balanced_patterns_take_fewer_bytes():
    """Four entries of a row in each window, one in each quarter: three bytes for two entries."""
    _core.set_cost_constants({**KNOWN, "l2_bytes": 1.0, "far_bytes": 1.0})  # memory is all that counts
    rng = np.random.default_rng(0)
    W = cs.from_dense(cs.complementary_mask((128, 1024), set_size=16, rng=rng).astype(np.int8))
    assert QUARTERS in kernel_of(W, 1, "uint8")
    x = rng.integers(0, 256, 1024, dtype=np.uint8)
    assert_array_equal(W @ x, W.toarray().astype(np.int64) @ x)


@needs_quarters
def test_they_are_taken_beyond_l2():
    """Where the way of the weights bounds the product, and nowhere else."""
    _core.set_cost_constants(KNOWN)
    l2 = _core.cache_sizes()["l2"]
    for rows, wanted in ((64, False), (int(1.3 * l2 / 512) // 16 * 16, True)):
        W = cs.from_dense(cs.complementary_mask((rows, 4096), set_size=16, rng=0).astype(np.int8))
        assert (QUARTERS in kernel_of(W, 1, "uint8")) is wanted
