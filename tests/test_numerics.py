# SPDX-License-Identifier: BSD-3-Clause
"""What numbers do: NaN, infinities, zeros of both signs and subnormals; the same bits however a product is formed."""

import itertools
import os
import subprocess
import sys

import hypothesis.strategies as st
import levels
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import (
    COMPUTE,
    FORMS,
    Csr,
    apply,
    assert_product,
    cases,
    csr_of,
    draw,
    expected,
    input_shape,
    output_features,
    random_csr,
)

import complsparse as cs

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=("f32", "f64"))
# With 400 columns, products of one float32 vector gather at the first, use three windows at the second, then two.
DENSITIES = (0.03, 0.06, 0.12, 1)
every_density = pytest.mark.parametrize("density", DENSITIES)


def test_these_densities_choose_every_micro_kernel(isa):
    """What the tests below say of n=1 they say of each."""
    rng = np.random.default_rng(0)
    chosen = {random_csr(rng, (61, 400), density).packed().plan(n=1).microkernel for density in DENSITIES}
    rows = [row for row in levels.rows_at(isa) if row["layout"] == "windows" and row["type"] == "f32"]
    # A full matrix owns the same share of every window: where the level has a routed kernel, that is chosen.
    assert chosen & {row["name"] for row in rows} == set(levels.strongest(rows))


# --- what stands outside the stored entries is not seen --------------------------------------------------------------


@every_density
@every_float
@pytest.mark.parametrize("n", [1, 3, 16, 40])
def test_nan_reaches_the_rows_that_own_its_column_and_no_others(isa, dtype, n, density):
    rng = np.random.default_rng(1)
    S = random_csr(rng, (61, 400), density, dtype, zeros=0.2)
    S.data[rng.random(len(S.data)) < 0.1] = -0.0
    W, pattern = S.packed(), S.pattern
    X = draw(rng, (400, n), dtype)
    clean = expected(S, X, dtype)
    for column in range(0, 400, 1 if n == 1 else 29):
        owners = pattern[:, column]
        for special in (np.nan, np.inf):
            spoiled = X.copy()
            spoiled[column] = special
            Y = cs.matmul(W, spoiled)
            assert np.array_equal(~np.isfinite(Y).all(axis=1), owners), (column, special)
            others = clean._replace(value=clean.value[~owners], bound=clean.bound[~owners])
            assert_product(Y[~owners], others, dtype)


@every_density
@every_float
@pytest.mark.parametrize("form", FORMS)
def test_special_values_anywhere(isa, dtype, form, density):
    """Many NaN and infinities at once, in the matrix and in the operand, with stored zeros of both signs."""
    rng = np.random.default_rng(2)
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0], dtype)
    for shape, n in itertools.product(((45, 400), (9, 600)), (1, 2, 8, 17, 40)):
        S = random_csr(rng, shape, density, dtype, zeros=0.1)
        for in_matrix in (False, True):
            odd = rng.random(len(S.data)) < 0.05
            data = np.where(odd, rng.choice(special, len(odd)), S.data) if in_matrix else S.data
            spoiled = S._replace(data=data)
            X = draw(rng, input_shape(form, shape, n), dtype)
            X = np.where(rng.random(X.shape) < 0.02, rng.choice(special, X.shape), X)
            bias = draw(rng, output_features(form, shape), dtype)
            bias[0] = np.nan
            for options in ({}, {"bias": bias, "relu": True}):
                wanted = expected(spoiled, X, dtype, form, **options)
                given_options = {"bias": bias, "activation": "relu"} if options else {}
                assert_product(apply(form, spoiled.packed(), X, **given_options), wanted, dtype, (shape, n, options))


@pytest.mark.parametrize("n", [1, 2, 8, 16, 40])
@pytest.mark.parametrize("zero", [0.0, -0.0])
@every_float
def test_a_stored_zero_times_nan_is_nan(isa, dtype, zero, n):
    pattern = np.eye(20, 30, dtype=bool) | np.eye(20, 30, 7, dtype=bool)
    W = csr_of(pattern, np.full(pattern.sum(), zero, dtype)).packed()
    for value in (np.nan, np.inf, -np.inf):
        assert np.isnan(cs.matmul(W, np.full((30, n), value, dtype))).all()
    nothing = cs.ComplementaryMatrix((20, 30), dtype=dtype)
    assert_array_equal(cs.matmul(nothing, np.full((30, n), np.nan, dtype)), np.zeros((20, n), dtype))


@pytest.mark.parametrize("n", [1, 2, 8, 16, 40])
@every_density
@every_float
def test_an_exact_zero_is_positive(isa, dtype, density, n):
    """Sums start at +0, as NumPy's: neither a padded lane nor a stored -0.0 turns the sign."""
    rng = np.random.default_rng(3)
    S = random_csr(rng, (50, 400), density, dtype, zeros=0)
    for data, x in ((S.data, -0.0), (-np.abs(S.data), 0.0), (np.full_like(S.data, -0.0), -3.0), (S.data * 0 - 0.0, 5)):
        Y = cs.matmul(S._replace(data=data).packed(), np.full((400, n), x, dtype))
        assert not Y.any()
        assert not np.signbit(Y).any()


@pytest.mark.parametrize("n", [1, 2, 8, 16, 40])
@every_float
def test_subnormals_are_not_flushed(isa, dtype, n):
    tiny = np.finfo(dtype).smallest_subnormal
    W = cs.from_dense(np.diag(np.arange(1, 41)).astype(dtype))
    Y = cs.matmul(W, np.full((40, n), tiny, dtype))
    assert_array_equal(Y, np.repeat((np.arange(1, 41) * np.float64(1)).astype(dtype)[:, None] * tiny, n, 1))
    of_tiny = cs.from_coo(np.full(40, tiny, dtype), (np.arange(40), np.arange(40)), (40, 40))
    assert_array_equal(cs.matmul(of_tiny, np.full((40, n), 3, dtype)), np.full((40, n), 3 * tiny, dtype))


@pytest.mark.parametrize("n", [1, 4, 16])
@every_float
def test_large_and_small_values(isa, dtype, n):
    """The bound holds where terms differ by many orders of magnitude and cancel."""
    rng = np.random.default_rng(4)
    S = random_csr(rng, (40, 200), 0.3, dtype)
    half = 18 if dtype == np.float32 else 150
    S = S._replace(data=(S.data * 10.0 ** rng.integers(-half, half, len(S.data))).astype(dtype))
    X = (draw(rng, (200, n), dtype) * 10.0 ** rng.integers(-half, half, (200, n))).astype(dtype)
    with np.errstate(over="ignore"):
        assert_product(cs.matmul(S.packed(), X), expected(S, X, dtype), dtype)


@cases(60)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 400)),
    n=st.sampled_from([1, 2, 5, 8, 16, 19, 35, 70]),
    density=st.sampled_from([0.02, 0.04, 0.1, 0.3, 1]),
    dtype=st.sampled_from(FLOATS),
    share=st.sampled_from([0, 0.01, 0.2]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_values(isa, shape, n, density, dtype, share, seed):
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0, info.smallest_subnormal, info.tiny, -info.tiny], dtype)
    S = random_csr(rng, shape, density, dtype)
    S = S._replace(data=np.where(rng.random(len(S.data)) < share, rng.choice(special, len(S.data)), S.data))
    X = draw(rng, (shape[1], n), dtype)
    X = np.where(rng.random(X.shape) < share, rng.choice(special, X.shape), X)
    assert_product(cs.matmul(S.packed(), X), expected(S, X, dtype), dtype)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not run: reads the control word through glibc")
def test_import_and_products_leave_the_floating_point_control_word():
    """No flush-to-zero and no other rounding mode for the process that imports the library."""
    code = """
import ctypes, os, platform
import numpy as np, scipy.sparse, threadpoolctl
libm = ctypes.CDLL("libm.so.6")
def control():
    environment = (ctypes.c_ubyte * 64)()
    assert libm.fegetenv(environment) == 0
    if platform.machine() != "x86_64":
        return bytes(environment)
    mxcsr = int.from_bytes(bytes(environment[28:32]), "little")
    return bytes(environment[:2]), mxcsr & ~0x3F  # the low bits only record what happened
before = control()
import complsparse as cs
assert control() == before
W = cs.from_dense(np.ones((300, 300), np.float32))
for n in (1, 3, 64):
    W @ np.ones((300, n), np.float32)
assert control() == before
tiny = np.float32(1e-40)
assert tiny * np.float32(0.5) > 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- integers --------------------------------------------------------------------------------------------------------


def test_integers_are_exact_modulo_their_size(isa):
    """Extremes of every integer type, against Python's integers."""
    rng = np.random.default_rng(5)
    for char in "bBhHiIlL":
        dtype = np.dtype(char)
        info = np.iinfo(dtype)
        extremes = np.array([info.min, info.max, info.max - 1, 1], dtype)
        data, X = rng.choice(extremes, (7, 33)), rng.choice(extremes, (33, 5))
        W = csr_of(np.ones((7, 33), bool), data.ravel()).packed()
        exact = data.astype(object) @ X.astype(object)
        for n in (1, 2, 5):
            Y = cs.matmul(W, np.ascontiguousarray(X[:, :n]))
            bits = 8 * Y.dtype.itemsize
            low = 0 if Y.dtype.kind == "u" else -(2 ** (bits - 1))
            wrapped = [[(int(v) - low) % 2**bits + low for v in row] for row in exact[:, :n]]
            assert_array_equal(Y, np.array(wrapped, dtype=Y.dtype))


# --- the same bits ---------------------------------------------------------------------------------------------------

EVERY = list(COMPUTE.values())


@pytest.mark.parametrize("n", [1, 2, 16, 100])
@pytest.mark.parametrize("dtype", EVERY, ids=COMPUTE)
def test_same_bits_for_every_number_of_threads(isa, threads, dtype, n):
    """Layouts made for one number of threads, products formed with another."""
    rng = np.random.default_rng(6)
    work = 4.5 * 131072  # multiplications from which on four threads are used
    with threads(4):
        most = cs.get_num_threads()
    for shape in ((700, 900), (130, 2300), (5000, 70)) if n > 1 else ((700, 900),):
        packed = random_csr(rng, shape, min(1, work / n / (shape[0] * shape[1])) if n > 1 else 1, dtype).packed()
        X, bias = draw(rng, (shape[1], n), dtype), draw(rng, shape[0], dtype)
        results = set()
        for made_for, used in ((1, 1), (1, 2), (2, 4), (4, 4), (4, 3)):
            W = packed.with_values(packed.tocsr().data)  # without layouts
            with threads(made_for):
                W.prepare(n=n)
            with threads(used):
                assert cs.get_num_threads() == min(used, most)
                results.add(cs.matmul(W, X, bias=bias, activation="relu").tobytes())
        assert len(results) == 1, shape


@pytest.mark.parametrize(
    ("n", "density"), [(1, 0.06), (2, 0.06), (8, 0.06), (16, 0.06), (19, 0.06), (40, 0.1), (70, 0.01)]
)
@pytest.mark.parametrize("dtype", EVERY, ids=COMPUTE)
def test_same_bits_for_every_alignment_and_memory_order(isa, dtype, n, density):
    rng = np.random.default_rng(7)
    S = random_csr(rng, (150, 530), density, dtype)
    W = S.packed()
    X = draw(rng, (530, n), dtype)
    wanted = cs.matmul(W, X)
    for i in range(16):
        raw = np.empty(X.nbytes + 256, np.uint8)
        start = -raw.ctypes.data % 64 + i * X.itemsize
        shifted = raw[start : start + X.nbytes].view(dtype).reshape(X.shape)
        shifted[...] = X
        assert_array_equal(cs.matmul(W, shifted), wanted)
        by_columns = raw[start : start + X.nbytes].view(dtype).reshape(X.shape[::-1]).T
        by_columns[...] = X
        out = np.empty((150, n + i), dtype)[:, i:]
        assert_array_equal(cs.matmul(W, by_columns, out=out), wanted)
    assert_array_equal(cs.linear(X.T, W).T, wanted)
    assert_array_equal(cs.linear(np.ascontiguousarray(X.T), W).T, wanted)
    assert_array_equal(cs.matmul(X.T, W.T).T, wanted)
    assert_array_equal(cs.matmul(W, X[::-1].copy()[::-1]), wanted)


@pytest.mark.parametrize("density", [0.02, 0.1])
@pytest.mark.parametrize("dtype", EVERY, ids=COMPUTE)
def test_same_bits_for_every_split_of_a_batch(isa, dtype, density):
    """Two columns or more: any split. One column too where products are deterministic."""
    rng = np.random.default_rng(8)
    W = random_csr(rng, (140, 1100), density, dtype).packed()
    X = draw(rng, (1100, 37), dtype)
    whole = cs.matmul(W, X)
    for size in (2, 3, 4, 5, 8, 11, 16, 17, 32, 35):
        starts = list(range(0, 37, size))
        if 37 - starts[-1] == 1:
            starts.pop()
        parts = [cs.matmul(W, X[:, a:b]) for a, b in itertools.pairwise([*starts, 37])]
        assert_array_equal(np.hstack(parts), whole, err_msg=str(size))
    cs._core.set_deterministic(True)
    alone = [cs.matmul(W, np.ascontiguousarray(X[:, j])) for j in range(37)]
    assert_array_equal(np.stack(alone, axis=1), whole)
    assert_array_equal(np.hstack([cs.matmul(W, X[:, j : j + 1]) for j in range(37)]), whole)
    cs._core.set_deterministic(False)
    f = W.plan(n=1, deterministic=True)
    assert_array_equal(np.stack([f(X[:, j]) for j in range(37)], axis=1), whole)
    rows = W.plan(n=1, deterministic=True, batch_major=True)
    assert_array_equal(np.vstack([rows(np.ascontiguousarray(X.T[j : j + 1])) for j in range(37)]).T, whole)


def test_deterministic_by_the_environment():
    code = """
import numpy as np, complsparse as cs
rng = np.random.default_rng(0)
W = cs.from_dense(np.where(rng.random((60, 700)) < 0.1, rng.standard_normal((60, 700)), 0).astype(np.float32))
X = rng.standard_normal((700, 20)).astype(np.float32)
assert cs.show_config(mode="dicts")["deterministic"]["default"]
alone = np.stack([W @ X[:, j] for j in range(20)], axis=1)
assert np.array_equal(alone, W @ X)
assert np.array_equal(np.stack([W.plan(n=1)(X[:, j]) for j in range(20)], axis=1), W @ X)
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, env=dict(os.environ, COMPLSPARSE_DETERMINISTIC="1")
    )


def test_every_isa_level_gives_the_same_integers():
    rng = np.random.default_rng(9)
    S = random_csr(rng, (77, 600), 0.1, np.int64)
    results = set()
    for level in cs.isa_levels():
        cs._core.set_isa(level)
        W = S.packed()
        results.add(
            tuple(cs.matmul(W, draw(np.random.default_rng(n), (600, n), np.int64)).tobytes() for n in (1, 2, 9))
        )
    assert len(results) == 1


def test_a_row_does_not_depend_on_the_other_rows(isa):
    """For batches the bits of an output are a function of its row alone: rows permuted, outputs permuted."""
    rng = np.random.default_rng(10)
    S = random_csr(rng, (150, 600), 0.1)
    X = draw(rng, (600, 5), np.float32)
    wanted = cs.matmul(S.packed(), X)
    order = rng.permutation(150)
    rows = [np.s_[S.indptr[row] : S.indptr[row + 1]] for row in order]
    permuted = Csr(
        np.concatenate([S.data[row] for row in rows]),
        np.concatenate([S.indices[row] for row in rows]),
        np.concatenate([[0], np.cumsum(np.diff(S.indptr)[order])]),
        S.shape,
    )
    assert_array_equal(cs.matmul(permuted.packed(), X), wanted[order])
