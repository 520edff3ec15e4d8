# SPDX-License-Identifier: BSD-3-Clause
"""Chunks: products of 8-bit numbers on tile registers, at the levels that have them; every bit against int64 sums."""

import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
from at_once import is_right_everywhere
from hypothesis import HealthCheck, example, given, settings
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core

DTYPES = (np.uint8, np.int8)
SHAPES = ((1, 1), (15, 63), (16, 64), (17, 65), (31, 60), (33, 130), (64, 68), (65, 1030), (80, 257))
BATCHES = (2, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 81, 128, 130)
AT_THE_ENDS = (-128, 127, 1, -1, 50)


def patterned(rng, shape, block, density):
    """Values at the ends of their range among others, in whole blocks but for the edges of the matrix."""
    blocks = [-(-side // of_block) for side, of_block in zip(shape, block, strict=True)]
    mask = np.kron(rng.random(blocks) < density, np.ones(block, dtype=bool))[: shape[0], : shape[1]]
    return np.where(mask, rng.choice(AT_THE_ENDS, shape), 0).astype(np.int8)


def activations(rng, shape, dtype):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def exact(D, X):
    """Sums of bytes are exact in float64, whose products are fast."""
    return (D.astype(np.float64) @ X.astype(np.float64)).astype(np.int64)


def plan_on_chunks(W, n, dtype, batch_major=False, bias=None, activation=None):
    """None where the layout is no candidate."""
    layouts = [candidate["layout"] for candidate in _core.candidates(W, n, dtype, batch_major)]
    if "chunks" not in layouts:
        return None
    number = layouts.index("chunks")
    return _core.make_plan(W, n, dtype, batch_major, bias, activation, False, number)


def has_chunks():
    """At the level in use."""
    return plan_on_chunks(cs.from_dense(np.ones((1, 1), np.int8)), 16, np.uint8) is not None


needs_chunks = pytest.mark.skipif(not has_chunks(), reason="no tile registers")


@pytest.mark.parametrize("block", [(1, 1), (4, 4), (16, 4), (32, 4), (16, 64)])
@pytest.mark.parametrize("shape", SHAPES)
def test_products(isa, shape, block):
    """Round the edges of tiles, chunks and blocks, in every order of memory."""
    rng = np.random.default_rng(0)
    if not has_chunks():
        pytest.skip(f"{isa} has no tile registers")
    for density in (0.06, 0.5, 1):
        D = patterned(rng, shape, block, density)
        W = cs.from_dense(D)
        bias = rng.integers(-(2**20), 2**20, shape[0], dtype=np.int32)
        for dtype, n in ((dtype, n) for dtype in DTYPES for n in BATCHES):
            X = activations(rng, (shape[1], n), dtype)
            wanted = exact(D, X)
            plan = plan_on_chunks(W, n, dtype)
            assert_array_equal(plan(X), wanted)
            assert_array_equal(plan(np.asfortranarray(X)), wanted)
            assert_array_equal(plan(np.repeat(X, 2, axis=1)[:, ::2]), wanted)
            assert_array_equal(plan(X[:, ::-1])[:, ::-1], wanted)
            wide = np.full((shape[0], n + 3), -7, np.int32)
            plan(X, out=wide[:, 1:-2])
            assert_array_equal(wide[:, 1:-2], wanted)
            assert (wide[:, [0, -2, -1]] == -7).all()
            finished = plan_on_chunks(W, n, dtype, True, bias, "relu")
            assert_array_equal(finished(np.ascontiguousarray(X.T)), np.maximum(wanted + bias[:, None], 0).T)


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 100), st.integers(1, 600)))
    block = draw(st.sampled_from([(1, 1), (1, 4), (4, 4), (8, 4), (16, 4), (32, 4), (16, 1), (16, 40)]))
    D = patterned(rng, shape, block, draw(st.sampled_from([0, 0.03, 0.1, 0.4, 0.9, 1])))
    return D, activations(rng, (shape[1], draw(st.integers(2, 150))), draw(st.sampled_from(DTYPES)))


@needs_chunks
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.integers(1, 3))
@example((np.zeros((0, 5), np.int8), np.zeros((5, 16), np.uint8)), 1)
@example((np.zeros((5, 0), np.int8), np.zeros((0, 16), np.int8)), 2)
def test_any_product(problem, n_threads):
    D, X = problem
    before = cs.get_num_threads()
    cs.set_num_threads(n_threads)
    try:
        plan = plan_on_chunks(cs.from_dense(D), X.shape[1], X.dtype)
        assert_array_equal(plan(X), exact(D, X))
    finally:
        cs.set_num_threads(before)


@needs_chunks
def test_both_sides():
    rng = np.random.default_rng(1)
    D = patterned(rng, (130, 96), (16, 4), 0.3)
    W = cs.from_dense(D)
    for dtype in DTYPES:
        Z = activations(rng, (130, 40), dtype)
        assert_array_equal(plan_on_chunks(W.T, 40, dtype)(Z), exact(D.T, Z))


@needs_chunks
@pytest.mark.parametrize("columns", [2**16, 70_000, 262_200])
def test_the_largest_sums(columns):
    """Next to both ends of int32 and beyond, modulo 2**32."""
    D = np.stack([np.full(columns, -128), np.full(columns, 127), np.full(columns, 3)]).astype(np.int8)
    D[2, 1::3] = 0
    W = cs.from_dense(D)
    for dtype, value in ((np.uint8, 255), (np.int8, -128), (np.int8, 127)):
        X = np.full((columns, 17), value, dtype=dtype)
        assert_array_equal(plan_on_chunks(W, 17, dtype)(X), exact(D, X).astype(np.int32))


@needs_chunks
def test_requantised_outputs():
    """Fused to 8 bits: the same as other layouts give, and as sums that are requantised afterwards."""
    rng = np.random.default_rng(2)
    mask = cs.complementary_mask((100, 200), set_size=4, block=(16, 4), rng=0)
    real = np.where(mask, rng.standard_normal((100, 200)), 0)
    W = cs.quantize(cs.from_dense(real.astype(np.float32)))
    assert any("chunks" in choice["reason"] for choice in W._choices(np.uint8))
    for dtype in DTYPES:
        for n in (16, 40, 64, 100):
            x = activations(rng, (n, 200), dtype)
            given = {"x_scale": 0.02, "x_zero_point": 3, "out_scale": 0.3, "out_zero_point": 5}
            found = cs.qlinear(x, W, **given)
            assert_array_equal(found, np.concatenate([cs.qlinear(row[None], W, **given) for row in x]))


@needs_chunks
def test_threads_give_the_same_bits(threads):
    rng = np.random.default_rng(3)
    D = patterned(rng, (700, 512), (16, 4), 0.1)
    X = activations(rng, (512, 150), np.int8)
    for count in (1, 2, 3):
        with threads(count):
            plan = plan_on_chunks(cs.from_dense(D), 150, np.int8)
            assert_array_equal(plan(X), exact(D, X))


@needs_chunks
def test_callers_at_once_and_forks():
    """Each thread and each process has tile registers of its own, and none stay configured."""
    rng = np.random.default_rng(4)
    D = patterned(rng, (256, 256), (16, 4), 0.2)
    X = activations(rng, (256, 64), np.uint8)
    wanted = exact(D, X)
    plan = plan_on_chunks(cs.from_dense(D), 64, np.uint8)
    assert is_right_everywhere(lambda: np.array_equal(plan(X), wanted))


REFUSED = """
import ctypes, sys

class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

memory = ctypes.create_string_buffer(8192)
stack = Stack(ctypes.addressof(memory), 0, 8192)
if ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None):
    sys.exit(77)
import numpy as np
import complsparse as cs
from complsparse import _core

found = {level["name"]: level["supported"] for level in _core.isa_levels()}
D = np.kron(np.eye(8), np.ones((16, 16))).astype(np.int8)
X = np.arange(128 * 16).astype(np.uint8).reshape(128, 16)
print(found["amx"], "chunks" in [candidate["layout"] for candidate in _core.candidates(cs.from_dense(D), 16, np.uint8)],
      bool((cs.from_dense(D) @ X == D.astype(int) @ X).all()))
"""


@needs_chunks
@pytest.mark.skipif(sys.platform != "linux", reason="another system")
def test_a_refusal_by_the_system():
    """Linux gives tile registers to no process that has a signal stack too small to save them: the level is passed
    over, and so it says."""
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("no signal stack of 8 KiB here")
    assert done.stdout.split() == ["False", "False", "True"], done.stderr


@needs_chunks
@pytest.mark.parametrize("block", [(16, 4), (32, 4)])
def test_the_plan_says_what_it_is(block):
    mask = cs.complementary_mask((512, 1024), set_size=16, block=block, rng=0)
    W = cs.from_dense(np.where(mask, 1, 0).astype(np.int8))
    for dtype in DTYPES:
        (of_sixteen,) = (
            choice["reason"] for choice in W._choices(dtype) if choice["n_first"] <= 16 <= choice["n_last"]
        )
        assert "chunks: tiles of 16 rows and 16 quads of columns, 100% filled" in of_sixteen
