# SPDX-License-Identifier: BSD-3-Clause
"""Products of two sparse matrices with a sparse result, against SciPy's."""

import subprocess
import sys
import textwrap

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from numpy.testing import assert_array_equal

import complsparse as cs
from complsparse import _core
from complsparse._dtypes import product_types
from complsparse._matrix import csr as csr_module
from complsparse._matrix import sparse_products

FORMATS = ["csr", "csc", "coo", "lil", "bsr", "dia", "dok"]
INTEGERS = [np.bool_, np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64]
DTYPES = [np.float32, np.float64, *INTEGERS]
# The ways of collecting a row's sums: many columns or few, for few products or many.
SHAPES = [
    (40, 30, 50),
    (9, 60, 1000),
    (9, 300, 2500),
    (5, 300, 70_000),
    (6, 4, 400_000),
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
]


def whole_numbers(rng, shape, density, dtype):
    """A canonical CSR matrix of small integers, 0 among them: sums are exact in every dtype, and some cancel."""
    S = sp.random_array(shape, density=density, rng=rng, format="csr")
    S.sort_indices()
    low = 0 if np.dtype(dtype).kind in "ub" else -2
    return sp.csr_array((rng.integers(low, 3, S.nnz).astype(dtype), S.indices, S.indptr), shape=shape)


def by_scipy(A, B, dtype):
    """In the dtype of the result. SciPy leaves out what is zero, and leaves columns in any order."""
    wide = np.int64 if np.dtype(dtype).kind in "biu" else dtype
    C = sp.csr_array(A.astype(wide)) @ sp.csr_array(B.astype(wide))
    C = C.astype(dtype)
    C.sort_indices()
    C.eliminate_zeros()
    return C


def assert_same(actual, wanted):
    assert type(actual) is sp.csr_array
    assert actual.shape == wanted.shape
    assert actual.dtype == wanted.dtype
    assert actual.has_canonical_format
    assert actual.indices.dtype == actual.indptr.dtype
    actual.check_format(full_check=True)
    assert_array_equal(actual.indptr, wanted.indptr)
    assert_array_equal(actual.indices, wanted.indices)
    assert_array_equal(actual.data, wanted.data)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_every_way_at_every_level(isa, shape, dtype):
    rng = np.random.default_rng(0)
    m, k, n = shape
    for left, right in ((0.02, 0.002), (0.3, 0.01), (0.9, 0.3), (1.0, 0.0)):
        if k * n * right > 500_000:
            continue
        A, B = whole_numbers(rng, (m, k), left, dtype), whole_numbers(rng, (k, n), right, dtype)
        assert_same(cs.from_scipy(A) @ B, by_scipy(A, B, dtype))
        assert_same(np.matmul(A, cs.from_scipy(B)), by_scipy(A, B, dtype))


@given(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 120)),
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    st.sampled_from([0.02, 0.1, 0.6]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_any_dtypes(shape, w, x, left, right, seed, transposed):
    rng = np.random.default_rng(seed)
    m, k, n = shape
    A, B = whole_numbers(rng, (m, k), left, w), whole_numbers(rng, (k, n), right, x)
    wanted = by_scipy(A, B, product_types(A.dtype, B.dtype).result)
    W, V = (cs.from_scipy(A.T).T, cs.from_scipy(B.T).T) if transposed else (cs.from_scipy(A), cs.from_scipy(B))
    for product in (W @ B, np.matmul(A, V), W @ V):
        assert_same(product, wanted)
    assert product.dtype == cs.matmul(W, V).dtype


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("container", ["array", "matrix"])
def test_every_format(name, container):
    rng = np.random.default_rng(1)
    A, B = whole_numbers(rng, (30, 24), 0.2, np.float32), whole_numbers(rng, (24, 18), 0.2, np.float32)
    W, V = cs.from_scipy(A), cs.from_scipy(B)
    wanted = by_scipy(A, B, np.float32)
    make = getattr(sp, f"{name}_{container}")
    assert_same(W @ make(B), wanted)
    assert_same(np.matmul(make(A), V), wanted)
    assert_same(W.T.T @ make(B), wanted)
    assert_same(V.T @ make(A.T), by_scipy(B.T, A.T, np.float32))
    assert_same(np.matmul(W, make(B)), wanted)
    assert_same(W.dot(make(B)), wanted)


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array])
def test_duplicates_and_any_order(make):
    rng = np.random.default_rng(2)
    for columns in (12, 900, 40_000):
        rows, inner = rng.integers(0, 20, 300), rng.integers(0, 30, 300)
        values = rng.integers(-2, 3, 300).astype(float)
        A = sp.coo_array((values, (rows, inner)), shape=(20, 30))
        major, minor, n = (rows, inner, 20) if make is sp.csr_array else (inner, rows, 30)
        order = np.argsort(major, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=n))])
        A_twice = make((values[order], minor[order], indptr), shape=A.shape)
        before = [part.copy() for part in (A_twice.data, A_twice.indices, A_twice.indptr)]
        B = whole_numbers(rng, (30, columns), 0.05, np.float64)
        assert_same(np.matmul(A_twice, cs.from_scipy(B)), by_scipy(A, B, np.float64))
        right = whole_numbers(rng, (15, 20), 0.1, np.float64)
        assert_same(cs.from_scipy(right) @ A_twice, by_scipy(right, A, np.float64))
        for part, was in zip((A_twice.data, A_twice.indices, A_twice.indptr), before):
            assert_array_equal(part, was)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("columns", [4096, 2**24, 2**24 + 1])
def test_every_number_of_products(isa, monkeypatch, columns, dtype):
    """Row i has i products, whose columns come once, in pairs or more often: each sum in the order of A's entries, and
    none where it is zero. Keys of sorting networks have room for 2**24 columns."""
    monkeypatch.setattr(sparse_products, "_FEW_COLUMNS", 2**25)
    most = 140 if columns == 4096 else 128 if columns == 2**24 else 32
    A = sp.csr_array(np.tril(np.ones((most, most), dtype)))
    rng = np.random.default_rng(8)
    for n_different in (10 * most, 2 * most, most // 8):
        taken = np.append(rng.choice(columns - 1, n_different - 1, replace=False), columns - 1)
        places = rng.choice(taken, most).astype(np.int32)
        values = rng.standard_normal(most).astype(dtype) if np.dtype(dtype).kind == "f" else rng.integers(-1, 2, most)
        values[rng.random(most) < 0.1] = 0
        A.data[:] = rng.integers(1, 3, A.nnz)
        B = sp.csr_array((values.astype(dtype), places, np.arange(most + 1)), shape=(most, columns))
        C = cs.from_scipy(A) @ B
        for row in range(most):
            sums = dict.fromkeys(places[: row + 1].tolist(), dtype(0))
            for column, a, b in zip(places, A.data[A.indptr[row] : A.indptr[row + 1]], B.data):
                sums[int(column)] += dtype(a * b)
            wanted = sorted((column, value) for column, value in sums.items() if value != 0)
            entries = slice(C.indptr[row], C.indptr[row + 1])
            assert list(zip(C.indices[entries].tolist(), C.data[entries])) == wanted


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_many_short_rows(isa, threads, dtype):
    """Rows of few products are made many at a time: with rows without any, longer ones and such of one entry between
    them, columns that come twice, and sums that cancel."""
    rng = np.random.default_rng(9)
    A = whole_numbers(rng, (700, 90), 0.06, dtype).tolil()
    A[rng.choice(700, 150, replace=False)] = 0
    A[[3, 64, 65, 400]] = 1
    A = A.tocsr()
    for columns, density in ((3000, 0.004), (20_000, 0.0004), (3000, 0.0001)):
        B = whole_numbers(rng, (90, columns), density, dtype)
        wanted = by_scipy(A, B, dtype)
        for n in (1, 2):
            with threads(n):
                assert_same(cs.from_scipy(A) @ B, wanted)


def test_far_more_products_than_entries():
    """Of which nobody asks memory for all: 40 million here, which would be 320 MB."""
    A = sp.csr_array(np.ones((200, 200), np.float32))
    columns = np.tile(np.arange(0, 100_000, 1000, dtype=np.int32), 2000)
    B = sp.csr_array((np.ones(200_000, np.float32), columns, np.arange(0, 200_001, 1000)), shape=(200, 100_000))
    C = cs.from_scipy(A) @ B
    assert_array_equal(C.indptr, np.arange(0, 20_001, 100))
    assert_array_equal(C.indices.reshape(200, 100), np.broadcast_to(columns[:100], (200, 100)))
    assert (C.data == 2000).all()


def test_zeros_and_special_values(isa):
    """What cancels and what was stored as zero is no entry; NaN is, and so is what underflows to a subnormal."""
    A = sp.csr_array(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, np.inf], [1e-300, 0.0, 0.0]]))
    B = sp.csr_array((np.array([2.0, 0.0, -2.0, 5.0, 0.0]), [0, 2, 0, 1, 3], [0, 2, 4, 5]), shape=(3, 70))
    B.data[0] = 2.0
    C = cs.from_scipy(A) @ B
    assert_same(C, by_scipy(A, B, np.float64))
    assert_array_equal(C.indices, [1, 3, 0])
    assert_array_equal(C.data, [5, np.nan, 2e-300])
    tiny = cs.from_scipy(sp.csr_array(np.array([[1e-200]]))) @ sp.csr_array(np.array([[1e-200, 1e-120]]))
    assert_array_equal(tiny.toarray(), [[0, 1e-200 * 1e-120]])
    assert tiny.nnz == 1


def test_bits_and_bounds(isa, threads):
    """Random values: within the bound of SciPy's, with the same bits for any number of threads and at every level."""
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        A = sp.random_array((700, 400), density=0.05, rng=rng, format="csr", dtype=np.float64).astype(dtype)
        B = sp.random_array((400, 3000), density=0.02, rng=rng, format="csr", dtype=np.float64).astype(dtype)
        W = cs.from_scipy(A)
        exact, size = A.astype(np.longdouble) @ B.astype(np.longdouble), abs(A) @ abs(B)
        with threads(1):
            one = W @ B
        bound = (60 * np.finfo(dtype).eps * size).toarray()
        assert (abs(one.toarray() - exact.toarray()) <= bound).all()
        for n in (2, 3):
            with threads(n):
                assert_same(W @ B, one)
        _core.set_isa("portable")
        assert_same(W @ B, one)


def test_one_table_of_dtypes():
    """int8 does not wrap where the dense product does not; what is zero modulo 2**bits of the result is no entry."""
    A = cs.from_dense(np.array([[100, 100]], np.int8))
    B = sp.csr_array(np.array([[100], [100]], np.int8))
    assert_same(A @ B, sp.csr_array(np.array([[20000]], np.int32)))
    assert_array_equal(cs.matmul(A, B), [[20000]])
    C = cs.from_dense(np.array([[256, 1]], np.int16)) @ sp.csr_array(np.array([[256, 0], [0, 1]], np.int16))
    assert_same(C, sp.csr_array(np.array([[0, 1]], np.int16)))
    half = cs.from_dense(np.array([[0.5]], np.float16)) @ sp.csr_array(np.array([[3.0]], np.float32))
    assert_same(half, sp.csr_array(np.array([[1.5]], np.float32)))
    with pytest.raises(TypeError, match=r"longdouble|float128"):
        A @ sp.csr_array(np.ones((2, 1), np.longdouble))


@pytest.mark.parametrize("name", FORMATS)
def test_complex_operands(name):
    rng = np.random.default_rng(4)
    A = whole_numbers(rng, (20, 30), 0.2, np.float32)
    for dtype in (np.complex64, np.complex128):
        B = (whole_numbers(rng, (30, 10), 0.2, np.float32) + 1j * whole_numbers(rng, (30, 10), 0.2, np.float32)).astype(
            dtype
        )
        S = B.asformat(name)
        C = cs.from_scipy(A) @ S
        wanted = (A @ B).tocsr()
        wanted.sort_indices()
        assert_same(C, wanted)


def test_index_dtypes(monkeypatch):
    rng = np.random.default_rng(5)
    A, B = whole_numbers(rng, (20, 30), 0.2, np.float64), whole_numbers(rng, (30, 90), 0.2, np.float64)
    W, wanted = cs.from_scipy(A), by_scipy(A, B, np.float64)
    assert (W @ B).indices.dtype == np.int32
    wide = B.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert_same(W @ wide, wanted)
    for limit, dtype in ((90, np.int64), (wanted.nnz, np.int64), (wanted.nnz + 1, np.int32)):
        monkeypatch.setattr(csr_module, "INT32_LIMIT", limit)
        C = W @ B
        assert C.indices.dtype == dtype
        assert_same(C, wanted)


def test_columns_beyond_32_bits_and_without_entries(monkeypatch):
    rng = np.random.default_rng(6)
    A = whole_numbers(rng, (20, 30), 0.3, np.float64)
    places = np.sort(rng.choice(2**33, 40, replace=False))
    B = whole_numbers(rng, (30, 40), 0.3, np.float64)
    wide = sp.csr_array((B.data, places[B.indices], B.indptr.astype(np.int64)), shape=(30, 2**33))
    C = cs.from_scipy(A) @ wide
    wanted = by_scipy(A, B, np.float64)
    assert C.shape == (20, 2**33)
    assert C.indices.dtype == np.int64
    assert_array_equal(C.indices, places[wanted.indices])
    assert_array_equal(C.data, wanted.data)
    monkeypatch.setattr(sparse_products, "_FEW_COLUMNS", 0)
    narrow = sp.csr_array((B.data, (B.indices * 1000).astype(np.int32), B.indptr), shape=(30, 400_000))
    assert_same(cs.from_scipy(A) @ narrow, by_scipy(A, narrow, np.float64))


def test_hypersparse_rows():
    B = sp.csr_array((np.ones(3), [5, 0, 5], np.repeat([0, 1, 2, 3], [500_001, 500_000, 500_000, 500_000])),
                     shape=(2_000_000, 6))  # fmt: skip
    W = cs.from_dense(np.eye(6))
    assert_same(np.matmul(B, W), B)
    assert_same(cs.from_scipy(B) @ sp.csr_array(np.eye(6)), B)


def test_malformed_operands_are_refused():
    W = cs.from_dense(np.eye(4))
    for indices, indptr, words in (
        ([0, 9], [0, 1, 2, 2, 2], r"column index 9 .* outside \[0, 4\)"),
        ([0, -1], [0, 1, 2, 2, 2], "column index -1"),
        ([0, 1], [0, 2, 1, 2, 2], "descends"),
        ([0, 1], [0, 1, 2, 2, 7], "7"),
    ):
        for make in (sp.csr_array, sp.csc_array):
            S = make(np.eye(4))
            S.data, S.indices, S.indptr = np.ones(2), np.array(indices, np.int32), np.array(indptr, np.int32)
            for product in (W.__matmul__, W.__rmatmul__):
                with pytest.raises(ValueError, match=words):
                    product(S)
    with pytest.raises(ValueError, match=r"\(4, 4\) and \(3, 2\)"):
        W @ sp.csr_array((3, 2))


def test_the_network_of_the_guide():
    """The loop whose activations stay sparse, on packed layers as on SciPy's."""
    rng = np.random.default_rng(7)
    layers = [cs.random((64, 64), set_size=4, rng=seed) for seed in range(6)]
    layers = [W.with_values(np.full(W.nnz, 1 / 8, np.float32)) for W in layers]
    x = y = sp.csr_array((rng.random((40, 64)) < rng.uniform(0.05, 0.6, (40, 1))).astype(np.float32))
    for W in layers:
        x, y = np.matmul(x, W.T), sp.csr_array(y @ W.tocsr().T)
        y.sort_indices()
        assert_same(x, y)
        for activations in (x, y):
            activations.data = np.clip(activations.data - np.float32(0.3), 0, 32)
            activations.eliminate_zeros()
    assert 0 < np.count_nonzero(np.diff(x.indptr)) < 40


def test_a_shortage_of_memory():
    """MemoryError, and the next product is right."""
    code = """
        import resource, numpy as np, scipy.sparse as sp, complsparse as cs
        column, row = sp.csr_array(np.ones((20_000, 1), np.float32)), sp.csr_array(np.ones((1, 20_000), np.float32))
        W = cs.from_scipy(column)
        cs.set_num_threads(1)
        W[:5] @ row
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
        for _ in range(5):
            try:
                W @ row
            except MemoryError:
                pass
            else:
                raise AssertionError("3.2 GB fitted into 100 MB")
        few = W @ row[:, :100]
        assert few.nnz == 2_000_000 and (few.data == 1).all()
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
