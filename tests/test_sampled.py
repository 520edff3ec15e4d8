# SPDX-License-Identifier: BSD-3-Clause
"""Sampled products: P @ Q at the stored positions of a matrix, against NumPy."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal
from oracle import COMPUTE, Csr, assert_product, cases, draw, expected_columns, random_csr, result_dtype
from test_matmul import DTYPES, LAYOUTS

import complsparse as cs


def check(W, S, P, Q, dtype):
    """Each stored entry is a dot product with the error bound of one; positions, zeros and order as S has them."""
    G = cs.sampled_matmul(W, P, Q)
    assert (G.shape, G.dtype, G.nnz) == (S.shape, dtype, len(S.data))
    p, q = np.asarray(P), np.asarray(Q)
    depth = p.shape[1]
    csr = G.tocsr()
    assert_array_equal(csr.indptr, S.indptr)
    assert_array_equal(csr.indices, S.indices)
    for row in range(S.shape[0]):
        columns = S.indices[S.indptr[row] : S.indptr[row + 1]]
        # The row of P as a one-row matrix times the columns of Q that count.
        one = Csr(p[row], np.arange(depth), np.array([0, depth]), (1, depth))
        wanted = expected_columns(one, q[:, columns], dtype)
        assert_product(csr.data[None, S.indptr[row] : S.indptr[row + 1]], wanted, dtype)
    return G


@pytest.mark.parametrize("dtype", COMPUTE.values(), ids=COMPUTE.keys())
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])
def test_every_depth(isa, dtype, depth):
    rng = np.random.default_rng(1)
    for shape in ((1, 1), (9, 14), (0, 3), (3, 0)):
        S = random_csr(rng, shape, 0.4, dtype)
        P, Q = draw(rng, (shape[0], depth), dtype), draw(rng, (depth, shape[1]), dtype)
        check(S.packed(), S, P, Q, dtype)
        check(S.packed().T, S.T, Q.T, P.T, dtype)


def test_dtype_pairs():
    """The result has the dtype of P @ Q; that of W does not matter."""
    rng = np.random.default_rng(2)
    S = random_csr(rng, (6, 7), 0.5, np.int8)
    for p, q in itertools.product(DTYPES, repeat=2):
        check(S.packed(), S, draw(rng, (6, 3), p), draw(rng, (3, 7), q), result_dtype(p, q))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_of_the_operands(isa, layout):
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64, np.int64):
        S = random_csr(rng, (21, 34), 0.3, dtype)
        P, Q = (LAYOUTS[layout](draw(rng, shape, dtype)) for shape in ((21, 19), (19, 34)))
        plain = [np.array(a.array if layout == "DLPack" else a, dtype=dtype, order="C") for a in (P, Q)]
        for W in (S.packed(), S.T.packed().T):
            G, wanted = cs.sampled_matmul(W, P, Q), cs.sampled_matmul(W, *plain)
            if layout == "list":  # of Python's floats: another dtype
                np.testing.assert_allclose(G.toarray(), wanted.toarray(), rtol=1e-4, atol=1e-4)
            else:
                assert_array_equal(G.toarray(), wanted.toarray(), strict=True)
        check(S.packed(), S, *plain, np.dtype(dtype))


def test_special_values(isa):
    """NaN and infinities reach the entries of their row or column, explicit zeros of W are positions like others."""
    rng = np.random.default_rng(4)
    S = random_csr(rng, (20, 30), 0.3, np.float32, zeros=0.5)
    P, Q = draw(rng, (20, 37), np.float32), draw(rng, (37, 30), np.float32)
    P[3, 5], P[7, 36], Q[0, 11], Q[36, 12] = np.nan, np.inf, -np.inf, np.nan
    check(S.packed(), S, P, Q, np.dtype(np.float32))


def test_gradient_of_the_values():
    """What the function is for: the gradient of sum(G * (W @ X)) with respect to W's values."""
    rng = np.random.default_rng(5)
    S = random_csr(rng, (8, 12), 0.4, np.float64)
    W, X, G = S.packed(), rng.standard_normal((12, 5)), rng.standard_normal((8, 5))
    gradient = cs.sampled_matmul(W, G, X.T).tocsr().data
    for i in range(W.nnz):
        step = np.zeros(W.nnz)
        step[i] = 1
        difference = cs.matmul(W.with_values(W.tocsr().data + step), X) - cs.matmul(W, X)
        np.testing.assert_allclose(gradient[i], (G * difference).sum(), rtol=1e-9, atol=1e-12)


def test_threads_give_the_same_bits(threads):
    rng = np.random.default_rng(6)
    S = random_csr(rng, (150, 200), 0.4)
    P, Q = draw(rng, (150, 70), np.float32), draw(rng, (70, 200), np.float32)
    assert len(S.data) * 70 > 2 * 131072
    results = set()
    for n in (1, 2, 4):
        with threads(n):
            results.add(cs.sampled_matmul(S.packed(), P, Q).tocsr().data.tobytes())
    assert len(results) == 1


@cases(40)
@given(
    shape=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    depth=st.integers(0, 70),
    density=st.sampled_from([0, 0.05, 0.4, 1]),
    types=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    transposed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sampled_product(isa, shape, depth, density, types, transposed, seed):
    rng = np.random.default_rng(seed)
    S = random_csr(rng, shape, density, types[0])
    W = S.T.packed().T if transposed else S.packed()
    P, Q = draw(rng, (shape[0], depth), types[1]), draw(rng, (depth, shape[1]), types[2])
    check(W, S, P, Q, result_dtype(types[1], types[2]))
