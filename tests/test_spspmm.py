# SPDX-License-Identifier: BSD-3-Clause
"""Products with sparse activations against the oracle: every way of every plan, every block height, level and type."""

import ctypes
import itertools
import pathlib
import pickle
import re

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from levels import rows_at, strongest
from numpy.testing import assert_array_equal
from oracle import (
    COMPUTE,
    FORMS,
    Csr,
    Expected,
    apply,
    assert_product,
    cases,
    csr_of,
    draw,
    expected,
    expected_columns,
    input_shape,
    output_features,
    random_csr,
    result_dtype,
)
from strategies import draw_values, seeds, structured

import complsparse as cs
from complsparse import _core

HEIGHTS = (1, 2, 4, 8, 16)
every_type = pytest.mark.parametrize("dtype", COMPUTE.values(), ids=COMPUTE.keys())
every_form = pytest.mark.parametrize("form", FORMS)


def tall_csr(rng, shape, height, density, dtype=np.float32):
    """Blocks of `height` rows that share a pattern; columns of unequal counts, the first empty, the last full."""
    m, k = shape
    mask = rng.random((m // height, k)) < density * rng.choice([0.3, 1, 1, 2], k)
    if k > 1:
        mask[:, 0], mask[:, -1] = False, True
    mask = mask.repeat(height, axis=0)
    return csr_of(mask, draw(rng, mask.sum(), dtype))


def sparse_input(rng, shape, share, dtype):
    """Dense activations with that share alive, none of them zero."""
    x = draw(rng, shape, dtype)
    x[x == 0] = 1
    return np.where(rng.random(shape) < share, x, np.zeros_like(x))


def moderate(values):
    """Without the largest finite numbers: the oracle, in a wider type, would not overflow where a product does."""
    if values.dtype.kind == "f":
        values[np.isfinite(values) & (np.abs(values) > 1e9)] = 1
    return values


def winners_of(x, form):
    return cs.Winners.from_dense(x, axis=-1 if form != "W @ X" or x.ndim == 1 else -2)


def skipping(S, w, result, form="W @ X", bias=None):
    """The product in which only winners take part, vector by vector: what is not stored touches nothing."""
    S = S.T if form == "X @ W" else S
    dense = w.toarray()
    last = form != "W @ X" or dense.ndim == 1
    columns = np.atleast_2d(dense) if last else dense.T
    parts = []
    for v, x in enumerate(columns):
        mine = w.indices[w.indptr[v] : w.indptr[v + 1]]
        alive = np.isin(S.indices, mine)
        indptr = np.concatenate([[0], np.cumsum(alive)])[S.indptr]
        met = S._replace(data=S.data[alive], indices=S.indices[alive], indptr=indptr)
        parts.append(expected_columns(met, x[:, None], result, bias))
    joined = [np.concatenate([getattr(p, name) for p in parts], axis=1) for name in Expected._fields]
    return Expected(*((part.T.reshape(*dense.shape[:-1], -1) if last else part) for part in joined))


def by_candidate(W, w, y_shape, dtype, form="linear", bias=None, activation=None):
    """(name, result) of every way that the plan knows."""
    found = _core.candidates(W, max(1, w.nnz and len(w.indptr) - 1), dtype, winners=1)
    for i, way in enumerate(found):
        y = np.full(y_shape, 99, dtype)
        _core.winners_into(W, w, w.values, y, form == "X @ W", form == "linear", bias, activation, i)
        yield way["layout"], y


# --- against the oracle ----------------------------------------------------------------------------------------------


@every_type
@pytest.mark.parametrize("height", HEIGHTS)
def test_every_height_and_way(isa, height, dtype):
    rng = np.random.default_rng(height)
    for blocks, k in ((1, 1), (1, 40), (4, 33), (9, 17)):
        m = blocks * height
        for density, n in itertools.product((0.1, 0.5), (1, 3, 17, 33)):
            S = tall_csr(rng, (m, k), height, density, dtype)
            W, bias = S.packed(), draw(rng, m, dtype)
            x = sparse_input(rng, (n, k), rng.choice([0.05, 0.3, 1.0]), dtype)
            w = winners_of(x, "linear")
            for relu in (False, True):
                wanted = expected(S, x, dtype, "linear", bias, relu)
                for name, y in by_candidate(W, w, (n, m), dtype, "linear", bias, "relu" if relu else None):
                    assert_product(y, wanted, dtype, (name, m, k, n))
            columns = cs.Winners.from_dense(np.ascontiguousarray(x.T), axis=0)
            for name, y in by_candidate(W, columns, (m, n), dtype, "W @ X"):
                assert_product(y, expected(S, x.T, dtype), dtype, (name, m, k, n))


@every_form
@every_type
def test_public_forms(isa, form, dtype):
    rng = np.random.default_rng(3)
    for shape, n in itertools.product(((1, 1), (17, 40), (64, 33)), (1, 2, 19)):
        S = random_csr(rng, shape, 0.2, dtype)
        W = S.packed()
        x = sparse_input(rng, input_shape(form, shape, n), 0.3, dtype)
        w = winners_of(x, form)
        bias = draw(rng, output_features(form, shape), dtype)
        wanted = expected(S, x, dtype, form)
        assert_product(apply(form, W, w), wanted, dtype)
        offset = expected(S, x, dtype, form, bias, relu=True)
        assert_product(apply(form, W, w, bias=bias, activation="relu"), offset, dtype)
        out = np.empty(wanted.value.shape, dtype)
        assert apply(form, W, w, out=out) is out
        assert_product(out, wanted, dtype)
        wide = np.full((wanted.value.shape[0], 2 * wanted.value.shape[1]), 7, dtype)
        apply(form, W, w, out=wide[:, ::2])
        assert_product(wide[:, ::2].copy(), wanted, dtype)
        assert (wide[:, 1::2] == 7).all()
        if form == "W @ X":
            assert_array_equal(W @ w, apply(form, W, w))
        elif form == "X @ W":
            assert_array_equal(w @ W, apply(form, W, w))
            assert_array_equal(cs.linear(w, W.T), apply(form, W, w))


def test_one_vector_and_many_axes():
    rng = np.random.default_rng(4)
    S = random_csr(rng, (20, 30), 0.3)
    W, x = S.packed(), sparse_input(rng, (2, 3, 30, 5), 0.2, np.float32)
    assert_product(cs.matmul(W, winners_of(x, "W @ X")), expected(S, x, np.float32), np.float32)
    batch_first = np.ascontiguousarray(np.moveaxis(x, 2, -1))
    wanted = expected(S, batch_first, np.float32, "linear")
    assert_product(cs.linear(winners_of(batch_first, "linear"), W), wanted, np.float32)
    assert_product(cs.matmul(W, winners_of(x[0, 0, :, 0], "")), expected(S, x[0, 0, :, 0], np.float32), np.float32)
    assert_product(cs.linear(winners_of(x[0, 0, :, 0], ""), W), expected(S, x[0, 0, :, 0], np.float32), np.float32)


@pytest.mark.parametrize(("w_dtype", "x_dtype"), [("i1", "i1"), ("i1", "u1"), ("f4", "f8"), ("f8", "f4"), ("i2", "i4"),
                                                  ("?", "i1"), ("f2", "f4"), ("f4", "i1"), ("i8", "i8")])  # fmt: skip
def test_dtypes_are_those_of_dense_products(w_dtype, x_dtype):
    rng = np.random.default_rng(5)
    S = random_csr(rng, (30, 40), 0.3, np.int8)
    S = S._replace(data=draw(rng, len(S.data), w_dtype))
    x = sparse_input(rng, (7, 40), 0.3, np.dtype(x_dtype))
    W, w = S.packed(), winners_of(x, "linear")
    result = result_dtype(w_dtype, x_dtype)
    for options in ({}, {"activation": "relu"}, {"bias": np.ones(30, result), "activation": "relu"}):
        wanted = cs.linear(x, W, **options)
        actual = cs.linear(w, W, **options)
        assert actual.dtype == wanted.dtype == result
        if result.kind == "f":
            assert_product(
                actual, expected(S, x, result, "linear", options.get("bias"), "activation" in options), result
            )
        else:
            assert_array_equal(actual, wanted)
    assert cs.linear(w, W, dtype=np.float64).dtype == np.float64


def test_integers_wrap_as_numpy_wraps():
    big = np.array([[2**62, 2**62, -(2**63)]])
    W = cs.from_dense(np.concatenate([big, -big, big]))
    x = np.array([[3, 5, 0], [2**62 + 1, 7, 2]])
    with np.errstate(over="ignore"):
        wanted = x @ W.toarray().T
    w = winners_of(x, "linear")
    for _, y in by_candidate(W, w, (2, 3), np.int64):
        assert_array_equal(y, wanted)


@given(S=structured(), seed=seeds, share=st.sampled_from([0, 0.02, 0.2, 1]), n=st.sampled_from([1, 2, 16, 17]),
       form=st.sampled_from(FORMS))  # fmt: skip
@cases(60)
def test_patterns_with_structure(S, seed, share, n, form):
    x = sparse_input(np.random.default_rng(seed), input_shape(form, S.shape, n), share, np.float32)
    W, w = S.packed(), winners_of(x, form)
    wanted = expected(S, x, np.float32, form)
    assert_product(apply(form, W, w), wanted, np.float32)
    for name, y in by_candidate(W, w, wanted.value.shape, np.float32, form):
        assert_product(y, wanted, np.float32, name)


@given(seed=seeds, height=st.sampled_from(HEIGHTS), blocks=st.integers(0, 9), k=st.integers(0, 20),
       n=st.integers(0, 20), form=st.sampled_from(FORMS), dtype=st.sampled_from(list(COMPUTE.values())))  # fmt: skip
@cases(80)
def test_any_values(seed, height, blocks, k, n, form, dtype):
    """NaN, infinities and zeros of either sign among weights and winners: pairs of stored entries, and nothing else."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((blocks, k)) < 0.4).repeat(height, axis=0)
    S = csr_of(mask, moderate(draw_values(rng, dtype, mask.sum())))
    shape = input_shape(form, S.shape, n)
    last = form != "W @ X"
    vectors, length = (shape[0], shape[1]) if last else (shape[1], shape[0])
    alive = rng.random((vectors, length)) < 0.4
    values = moderate(draw_values(rng, dtype, alive.sum()))
    w = cs.Winners(values, np.nonzero(alive)[1],
                   np.concatenate([[0], np.cumsum(alive.sum(axis=1))]), shape, -1 if last else 0)  # fmt: skip
    if vectors == 0:
        assert apply(form, S.packed(), w).size == 0
        return
    with np.errstate(all="ignore"):
        wanted = skipping(S, w, dtype, form)
        assert_product(apply(form, S.packed(), w), wanted, dtype)
        for name, y in by_candidate(S.packed(), w, wanted.value.shape, dtype, form):
            assert_product(y, wanted, dtype, name)


# --- what is not stored, and what is padded --------------------------------------------------------------------------


@pytest.mark.parametrize("height", HEIGHTS)
def test_padding_is_never_seen(isa, height):
    """Columns of 3 and 4 blocks become columns of 4: what goes there is nobody's, infinite winners or not."""
    rng = np.random.default_rng(6)
    mask = np.zeros((8, 30), dtype=bool)
    for column in range(30):
        mask[rng.choice(8, 3 if column % 4 == 0 else 4, replace=False), column] = True
    mask = mask.repeat(height, axis=0)
    S = csr_of(mask, draw(rng, mask.sum(), np.float32))
    W = S.packed()
    for value in (np.inf, np.nan, -np.inf, -0.0):
        x = np.zeros((2, 30), np.float32)
        w = cs.Winners(np.full(4, value, np.float32), [0, 5, 8, 12], [0, 2, 4], x.shape)
        wanted = skipping(S, w, np.float32, "linear")
        y = np.empty((2, len(mask)), np.float32)
        _core.winners_into(W, w, w.values, y, False, True, None, None, 0)
        assert_product(y, wanted, np.float32, value)
    W._prepare(1, np.float32, True, winners=2)
    (layout,) = (layout for layout in W._layouts() if layout["layout"] == "columns")
    assert layout["slots"] == 4 * 30 * height > W.nnz


def test_a_weight_that_is_not_finite_meets_only_winners():
    D = np.array([[1, np.nan, 0], [np.inf, 0, 2]], dtype=np.float32)
    W = cs.from_dense(D)
    assert [way["layout"] for way in _core.candidates(W, 64, np.float32, winners=3)] == ["columns"]
    w = cs.Winners(np.array([5, 3], np.float32), [0, 2], [0, 1, 2], (2, 3))
    assert_array_equal(cs.linear(w, W), [[5, np.inf], [0, 6]])
    assert np.isnan(cs.linear(w.toarray(), W)).any()  # the dense product does multiply by the zeros
    stored_zero = cs.Winners(np.zeros(1, np.float32), [1], [0, 1], (1, 3))
    assert_array_equal(cs.linear(stored_zero, W), [[np.nan, 0]])


def test_none_and_all():
    rng = np.random.default_rng(7)
    S = random_csr(rng, (40, 50), 0.3)
    W, bias = S.packed(), draw(rng, 40, np.float32)
    nothing = cs.Winners.from_dense(np.zeros((3, 50), np.float32))
    assert_array_equal(cs.linear(nothing, W), np.zeros((3, 40)))
    assert_array_equal(cs.linear(nothing, W, bias), np.tile(bias, (3, 1)))
    x = sparse_input(rng, (3, 50), 1, np.float32)
    for name, y in by_candidate(W, winners_of(x, "linear"), (3, 40), np.float32):
        assert_product(y, expected(S, x, np.float32, "linear"), np.float32, name)
    for shape in ((0, 5), (5, 0), (0, 0)):
        E = cs.ComplementaryMatrix(shape, dtype=np.float32)
        assert_array_equal(cs.linear(cs.Winners.from_dense(np.zeros((2, shape[1]), "f4")), E), np.zeros((2, shape[0])))
    assert cs.linear(cs.Winners.from_dense(np.zeros((0, 50), np.float32)), W).shape == (0, 40)


# --- order of summation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", HEIGHTS)
def test_bits_do_not_depend_on_threads_or_company(isa, threads, height):
    rng = np.random.default_rng(8)
    S = tall_csr(rng, (512, 700), height, 0.1)
    x = sparse_input(rng, (64, 700), 0.3, np.float32)
    w, y = winners_of(x, "linear"), np.empty((64, 512), np.float32)
    found = []
    for n in (1, 2, 3):
        with threads(n):
            W = S.packed()  # panels are cut for the threads that are there
            at = [way["layout"] for way in _core.candidates(W, 64, np.float32, winners=200)].index("columns")
            _core.winners_into(W, w, w.values, y, False, True, None, None, at)
            found.append(y.copy())
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])
    _core.set_deterministic(True)
    for v in (0, 5, 63):
        assert_array_equal(cs.linear(winners_of(x[v], ""), S.packed()), found[0][v])
    assert_array_equal(cs.linear(w, S.packed()), found[0])
    assert_array_equal(cs.linear(x, S.packed()), found[0])  # the zeros add nothing: the same order, the same bits


@pytest.mark.parametrize("height", HEIGHTS[1:])
def test_a_block_that_the_edge_cuts(isa, height):
    rng = np.random.default_rng(14)
    for rest, k in itertools.product(range(1, height), (1, 30)):
        mask = (rng.random((5, k)) < 0.4).repeat(height, axis=0)[: 4 * height + rest]
        mask[:, 0] = True
        S = csr_of(mask, draw(rng, mask.sum(), np.float32))
        W, bias = S.packed(), draw(rng, len(mask), np.float32)
        x = sparse_input(rng, (3, k), 0.5, np.float32)
        for name, y in by_candidate(W, winners_of(x, "linear"), (3, len(mask)), np.float32, "linear", bias):
            assert_product(y, expected(S, x, np.float32, "linear", bias), np.float32, name)
        f = _core.make_plan(W, 1, np.float32, False, None, None, True, winners=1)
        assert k == 1 or f"_{height}x1_" in f.microkernel
        around = np.full(len(mask) + 64, 7, np.float32)  # nothing is written beyond the output, aligned or not
        for first in range(16, 33):
            f(winners_of(x[0], ""), out=around[first : first + len(mask)])
            assert (around[:first] == 7).all()
            assert (around[first + len(mask) :] == 7).all()
            around[...] = 7


@pytest.mark.parametrize("shape", [(5000, 60), (70_000, 9), (9, 5000)])
def test_panels(threads, shape):
    """More rows than one panel holds, more blocks than a target can name, few rows of many columns."""
    rng = np.random.default_rng(9)
    for density, n_threads in ((0.02, 1), (0.5, 1), (0.5, 2)):
        S = random_csr(rng, shape, density)
        x = sparse_input(rng, (20, shape[1]), 0.5, np.float32)
        with threads(n_threads):
            for name, y in by_candidate(S.packed(), winners_of(x, "linear"), (20, shape[0]), np.float32):
                assert_product(y, expected(S, x, np.float32, "linear"), np.float32, (name, density))
            w = winners_of(np.ascontiguousarray(x.T), "W @ X")
            for name, y in by_candidate(S.packed(), w, (shape[0], 20), np.float32, "W @ X"):
                assert_product(y, expected(S, x.T, np.float32), np.float32, (name, density))


@every_type
@pytest.mark.parametrize("height", [1, 4])
def test_panels_of_few_columns(isa, threads, height, dtype):
    """Far fewer entries than pairs of panels and columns: panels list the columns that they have."""
    rng = np.random.default_rng(10)
    m, k, blocks = 700_000, 700_000, 10_000
    places = np.unique(rng.integers(0, m // height * 3000, blocks))  # in 3,000 columns
    rows, columns = (places // 3000 * height)[:, None] + np.arange(height), places % 3000 * (k // 3000)
    S = scipy.sparse.csr_array((np.ones(rows.size), (rows.ravel(), columns.repeat(height))), (m, k))
    S = Csr(draw(rng, S.nnz, dtype), S.indices, S.indptr.astype(np.int64), (m, k))
    x = np.zeros((3, k), dtype)
    alive = rng.choice(3000, (2, 1500)) * (k // 3000)
    for v, places in enumerate((alive[0], alive[1, :40])):  # more and fewer than a panel has columns; and none
        x[v, places] = draw(rng, len(places), dtype)
    wanted = expected(S, x, dtype, "linear")
    W = S.packed()
    w, other = winners_of(x, "linear"), winners_of(np.ascontiguousarray(x.T), "W @ X")
    for n in (1, 2):
        with threads(n):
            for name, y in by_candidate(W, w, (3, m), dtype):
                assert_product(y, wanted, dtype, name)
            for name, y in by_candidate(W, other, (m, 3), dtype, "W @ X"):
                assert_product(y.T, wanted, dtype, name)
    _core.set_deterministic(True)
    assert_product(cs.linear(w, W), wanted, dtype)
    if np.dtype(dtype).kind == "f":
        data = S.data.copy()
        data[0] = np.inf  # such a matrix has no other way
        T = S._replace(data=data)
        assert_product(cs.linear(w, T.packed()), skipping(T, w, dtype, "linear"), dtype)
    (layout,) = (layout for layout in W._layouts() if layout["layout"] == "columns")
    assert layout["bytes"] < 32 * (W.nnz + m + k)


def test_panels_without_columns():
    """Nothing is stored, and there are far more pairs of panels and columns than rows and columns."""
    W = cs.from_coo([], ([], []), (3_000_000, 300_000), dtype=np.float32)
    w = cs.Winners(np.ones(3, np.float32), [1, 5, 299_999], [0, 3], (1, 300_000))
    for _, y in by_candidate(W, w, (1, 3_000_000), np.float32):
        assert not y.any()


# --- scipy.sparse ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csr", "csc", "coo", "lil", "bsr", "dia", "dok"])
def test_scipy_operands_give_dense_results(name):
    rng = np.random.default_rng(10)
    S = random_csr(rng, (30, 40), 0.2, np.float64)
    W = S.packed()
    for form in FORMS:
        x = sparse_input(rng, input_shape(form, S.shape, 12), 0.2, np.float64)
        X = getattr(scipy.sparse, f"{name}_array")(x)
        assert_product(apply(form, W, X), expected(S, x, np.float64, form), np.float64)
        bias = draw(rng, output_features(form, S.shape), np.float64)
        wanted = expected(S, x, np.float64, form, bias, True)
        assert_product(apply(form, W, X, bias=bias, activation="relu"), wanted, np.float64)
    assert scipy.sparse.issparse(W @ scipy.sparse.csr_array(sparse_input(rng, (40, 3), 0.2, np.float64)))


def test_two_packed_matrices_and_duplicates():
    rng = np.random.default_rng(11)
    A, B = (random_csr(rng, (20, 20), 0.2, np.int64) for _ in range(2))
    dense = [np.zeros((20, 20), np.int64) for _ in range(2)]
    for S, D in zip((A, B), dense):
        D[S.rows, S.indices] = S.data
    assert_array_equal(cs.matmul(A.packed(), B.packed()), dense[0] @ dense[1])
    assert_array_equal(cs.linear(A.packed(), B.packed()), dense[0] @ dense[1].T)
    twice = scipy.sparse.coo_array(([1, 2, 4], ([0, 0, 1], [3, 3, 5])), shape=(2, 20))
    before = twice.data.copy()
    assert_array_equal(cs.linear(twice, A.packed()), twice.toarray() @ dense[0].T)
    assert_array_equal(twice.data, before)


# --- plans -----------------------------------------------------------------------------------------------------------


@every_type
def test_a_plan_for_winners(dtype):
    rng = np.random.default_rng(12)
    S = random_csr(rng, (45, 60), 0.2, dtype)
    W, bias = S.packed(), draw(rng, 45, dtype)
    for n, batch_major in itertools.product((1, 3, 40), (False, True)):
        form = "linear" if batch_major else "W @ X"
        f = W.plan(n=n, batch_major=batch_major, bias=bias, activation="relu", winners=6)
        assert f.winners == 6
        assert "6 winners" in repr(f)
        x = sparse_input(rng, (n, 60) if batch_major else (60, n), 0.1, dtype)
        w, wanted = winners_of(x, form), expected(S, x, dtype, form, bias, relu=True)
        assert_product(f(w), wanted, dtype)
        out = np.empty(wanted.value.shape, dtype)
        assert f(w, out=out) is out
        assert_product(out, wanted, dtype)
        out[...] = 0
        bound = f.bind(w, out)
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(bound.function)
        call(bound.context)
        assert_product(out, wanted, dtype)
        out[...] = 0
        bound()
        assert_product(out, wanted, dtype)
        if n == 1:
            assert_product(f(winners_of(x.reshape(-1), "")), Expected(*(p.reshape(-1) for p in wanted)), dtype)


def test_what_a_plan_refuses():
    W = cs.from_dense(np.eye(3, dtype=np.float32))
    w = cs.Winners.from_dense(np.ones(3, np.float32))
    f = W.plan(winners=1)
    refused = [
        (TypeError, "made for dense", lambda: W.plan()(w)),
        (TypeError, "made for winners", lambda: f(np.ones(3, np.float32))),
        (TypeError, "float64", lambda: f(cs.Winners.from_dense(np.ones(3)))),
        (ValueError, "4", lambda: f(cs.Winners.from_dense(np.ones(4, np.float32)))),
        (ValueError, r"\(3, 1\)", lambda: f(cs.Winners.from_dense(np.ones((3, 2), np.float32), axis=0))),
        (ValueError, "along axis 1", lambda: f(cs.Winners.from_dense(np.ones((3, 1), np.float32)))),
        (ValueError, r"\(2,\)", lambda: f(w, out=np.ones(2, np.float32))),
        (TypeError, "float64", lambda: f(w, out=np.ones(3))),
        (TypeError, "int", lambda: f(w, out=3)),
        (TypeError, "list", lambda: f([1, 2, 3])),
        (TypeError, "winners", lambda: W.plan(winners=1.5)),
        (ValueError, "-1", lambda: W.plan(winners=-1)),
        (ValueError, "-1", lambda: W.prepare(winners=-1)),
        (IndexError, ".*", lambda: _core.make_plan(W, 1, np.float32, False, None, None, False, 2, 1)),
    ]
    for kind, words, call in refused:
        with pytest.raises(kind, match=words):
            call()


def test_the_plan_knows_when_not_to():
    """Few winners of tall blocks: columns. Nearly all of them, in a batch: written out. Both are to be seen."""
    W = cs.random((512, 512), set_size=16, block=(16, 1), rng=0)

    def first(n, k):
        return _core.candidates(W, n, np.float32, winners=k)[0]["layout"]

    assert first(1, 10) == first(64, 10) == "columns"
    assert first(64, 512) == "dense"
    costs = [{way["layout"]: way["cost"] for way in _core.candidates(W, 64, np.float32, winners=k)} for k in (5, 50)]
    assert costs[0]["columns"] < costs[1]["columns"]
    W.prepare(1, winners=10)
    assert "columns" in [layout["layout"] for layout in W._layouts()]


def test_describe_tells_the_choice(capsys):
    W = cs.random((256, 256), set_size=16, block=(16, 1), rng=0)
    W.describe(winners=3)
    text = capsys.readouterr().out
    assert "with 3 winners in each column of X" in text
    assert re.search(r"columns_f32_16x1_\w+: columns", text)
    W.describe(winners=256)
    assert "written out with their zeros" in capsys.readouterr().out


def test_every_row_of_the_table_is_taken(isa):
    """Of rows that levels have in common, the last level's."""
    taken = set()
    of_bytes = [(np.int8, np.uint8), (np.int8, np.int8)]
    products = [*((dtype, dtype) for dtype in COMPUTE.values()), *of_bytes]  # of weights and activations
    for (dtype, x), height in itertools.product(products, HEIGHTS):
        W = tall_csr(np.random.default_rng(1), (64, 40), height, 0.3, dtype).packed()
        at = [way["layout"] for way in _core.candidates(W, 1, x, winners=1)].index("columns")
        taken.add(_core.make_plan(W, 1, x, False, None, None, False, at, 1).microkernel)
    assert taken == set(strongest(row for row in rows_at(isa) if row["layout"] == "columns"))


def test_the_network_of_the_guide():
    """The example runs in tests/test_docs.py; here with inputs of which all, some and none survive."""
    page = pathlib.Path(__file__).resolve().parents[1] / "docs" / "guide" / "winners.md"
    example = page.read_text().partition("## Example")[2]
    names = {"np": np, "cs": cs}
    for block in re.findall(r"^```pycon\n(.*?)^```$", example, re.MULTILINE | re.DOTALL):
        lines = [line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))]
        exec("\n".join(lines), names)
    layers = [names["layer"](seed, 64) for seed in range(10)]
    rng = np.random.default_rng(3)
    counts = []
    for least, most in ((0.01, 0.03), (0.05, 0.5), (0.9, 1)):
        inputs = rng.random((40, 64)) < rng.uniform(least, most, (40, 1))
        x = cs.Winners.from_dense(inputs.astype(np.float32))
        rows = names["survivors"](layers, x, 0.3)
        assert_array_equal(rows, names["survivors_in_scipy"]([W.tocsr() for W in layers], x.tocsr(), 0.3))
        counts.append(len(rows))
    assert counts[0] < counts[1] < counts[2] == 40


# --- errors ----------------------------------------------------------------------------------------------------------


def test_errors_name_the_numbers():
    W = cs.from_dense(np.ones((3, 5), dtype=np.float32))
    w = cs.Winners.from_dense(np.ones((4, 5), np.float32))
    along_first = cs.Winners.from_dense(np.ones((5, 4), np.float32), axis=0)
    both = cs.Winners.from_dense(np.ones((1, 5), np.float32), axis=(0, 1))
    out = np.empty((4, 3), np.float32)
    read_only = out.copy()
    read_only.flags.writeable = False
    refused = [
        (ValueError, "along axis 1 of shape .4, 5..*second to last", lambda: cs.matmul(W, w)),
        (ValueError, "along axis 0 of shape .5, 4..*last axis", lambda: cs.linear(along_first, W)),
        (ValueError, "along axis .0, 1.", lambda: cs.linear(both, W)),
        (ValueError, "6 features.*expects 5", lambda: cs.linear(cs.Winners.from_dense(np.ones((2, 6), "f4")), W)),
        (ValueError, "2 rows.*expects 5", lambda: W @ cs.Winners.from_dense(np.ones((2, 6), "f4"), axis=0)),
        (ValueError, "5 columns.*expects 3", lambda: w @ W),
        (ValueError, r"bias has shape \(2,\)", lambda: cs.linear(w, W, np.ones(2))),
        (ValueError, "softmax", lambda: cs.linear(w, W, activation="softmax")),
        (ValueError, r"out has shape \(4, 2\)", lambda: cs.linear(w, W, out=np.empty((4, 2), "f4"))),
        (TypeError, "out has dtype float64", lambda: cs.linear(w, W, out=np.empty((4, 3)))),
        (ValueError, "read-only", lambda: cs.linear(w, W, out=read_only)),
        (TypeError, "list", lambda: cs.linear(w, W, out=[])),
        (ValueError, "shares memory", lambda: cs.linear(w, W, out[0], out=out)),
        (ValueError, "repeats", lambda: cs.linear(w, W, out=np.lib.stride_tricks.as_strided(out, strides=(0, 4)))),
        (TypeError, "needs a ComplementaryMatrix", lambda: cs.matmul(w, np.ones((5, 3)))),
        (TypeError, "needs W as a Compl", lambda: cs.linear(w, np.ones((3, 5)))),
        (ValueError, "5 columns against 6 rows", lambda: cs.matmul(W, scipy.sparse.csr_array((6, 2)))),
        (ValueError, "6 features.*expects 5", lambda: cs.linear(scipy.sparse.csr_array((2, 6)), W)),
        (ValueError, "5 columns against 6 rows", lambda: cs.matmul(W, scipy.sparse.coo_array(np.ones(6)))),
    ]
    for kind, words, call in refused:
        with pytest.raises(kind, match=words):
            call()


def test_a_copy_from_a_pickle_gives_the_same_product():
    rng = np.random.default_rng(13)
    S = random_csr(rng, (30, 40), 0.2)
    w = winners_of(sparse_input(rng, (5, 40), 0.3, np.float32), "linear")
    again = pickle.loads(pickle.dumps((S.packed(), w)))
    assert_array_equal(cs.linear(again[1], again[0]), cs.linear(w, S.packed()))
