# SPDX-License-Identifier: BSD-3-Clause
"""What calls need beside their arguments and results: strips of a batch, never a copy of it in a wider dtype."""

import sys

import numpy as np
import pytest
from memory import within

import complsparse as cs
from complsparse._ops import products

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="not run: reads /proc")

# 2**20 vectors of 16 entries: 16 MB of int8, 128 of int64.
BATCHES = {
    "small integers, linear": ("x = np.ones((2**20, 16), np.uint8)", "cs.linear(x, W16)", 16 + 32),
    "small integers, from the left": ("x = np.ones((16, 2**20), np.int8)", "W8 @ x", 64 + 32),
    "small integers, from the right": ("x = np.ones((2**20, 16), np.int16)", "x @ W8", 32 + 32),
    "small integers, leading axes": ("x = np.ones((4, 16, 2**18), np.uint8)", "W16 @ x", 32 + 32),
    "bytes swapped": ("x = np.ones((2**20, 16), '>f4')", "cs.linear(x, W, out=y)", 32),
    "float16": ("x = np.ones((2**20, 16), np.float16)", "cs.linear(x, W, out=y)", 32),
    "winners": ("x = np.ones((2**20, 16), np.float32)", "cs.linear(x, W, winners=1)", 16 + 16),
}


@pytest.mark.budget
@pytest.mark.parametrize("case", BATCHES)
def test_batches_are_converted_by_strips(case):
    """With room for the result, and a strip of 2**20 entries in the widest dtype, several times over."""
    batch, call, megabytes = BATCHES[case]
    setup = f"""
    W8, W16, W = (cs.from_dense(np.eye(16, dtype=t)) for t in (np.int8, np.int16, np.float32))
    y = np.zeros((2**20, 16), np.float32)
    {batch}
    {call.replace("x", "x[..., :16, :16].copy()").replace("out=y", "out=None")}
    """
    within(megabytes, setup, call)


@pytest.mark.budget
def test_outputs_that_compete_are_never_in_memory_together():
    """8192 outputs of 4096 vectors are 128 MB, their winners 0.4."""
    setup = "W, x = cs.random((8192, 64), density=0.25, rng=0), np.ones((4096, 64), np.float32); cs.linear(x[:16], W)"
    within(30, setup, "cs.linear(x, W, winners=8)")


@pytest.mark.budget
@pytest.mark.parametrize("shape", [(3_000_000, 300_000), (300_000, 3_000_000), (20_000_000, 5_000_000)])
def test_columns_for_winners_are_linear_in_entries_rows_and_columns(shape):
    """Panels times columns would be up to 1.5e9."""
    setup = f"""
    rng, shape = np.random.default_rng(0), {shape}
    ij = tuple(rng.integers(0, size, 100_000) for size in shape)
    W = cs.from_scipy(scipy.sparse.csr_array((np.ones(100_000, np.float32), ij), shape))
    w = cs.Winners(np.ones(3, np.float32), [1, 5, 9], [0, 3], (1, shape[1]))
    """
    within(64 * (100_000 + sum(shape)) / 2**20, setup, "W.prepare(winners=3, deterministic=True); cs.linear(w, W)")


@pytest.mark.parametrize("form", ["W @ X", "X @ W", "linear"])
@pytest.mark.parametrize(
    "dtypes", [("int8", "int16"), ("uint8", "uint8"), ("int64", ">i8"), ("float32", ">f4"), ("bool", "bool")]
)
def test_strips_give_what_the_whole_gives(form, dtypes, monkeypatch):
    monkeypatch.setattr(products, "STRIP_ENTRIES", 1)  # strips of 64 vectors
    rng = np.random.default_rng(0)
    D = (rng.integers(-3, 4, (20, 30)) * (rng.random((20, 30)) < 0.3)).astype(dtypes[0])
    W = cs.from_dense(D)
    for leading in ((), (2, 3)):
        for n in (1, 63, 64, 65, 200):
            rows, last = (20 if form == "X @ W" else 30), form != "W @ X"
            x = rng.integers(-3, 4, (*leading, n, rows) if last else (*leading, rows, n)).astype(dtypes[1])
            result = cs.linear(x, W) if form == "linear" else x @ W if last else W @ x
            assert np.array_equal(result, x @ D.T if form == "linear" else x @ D if last else D @ x)
            assert result.flags.c_contiguous
            out = np.zeros((*result.shape[:-1], 2 * result.shape[-1]), result.dtype)[..., ::2]
            if form == "linear":
                assert cs.linear(x, W, out=out) is out
                assert np.array_equal(out, result)
